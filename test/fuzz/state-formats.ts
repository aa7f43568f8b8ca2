/** Checkpoints and pins. */
import { crc32 } from '../../src/bytes/crc32.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { plainTable } from '../../src/manifest/packed-table.ts'
import { decodePin, encodePin, type Pin } from '../../src/manifest/pin.ts'
import { GOLDEN_CHECKPOINTS } from '../manifest/golden-manifests.ts'
import { codecFormat, expectThat, type Format, putU32, WHERE } from './format.ts'

const PREAMBLE_BYTES = 12
const checkpoints = Object.values(GOLDEN_CHECKPOINTS)

function sealState(bytes: Uint8Array): void {
	if (bytes.length < PREAMBLE_BYTES) return
	putU32(bytes, 8, crc32(bytes.subarray(PREAMBLE_BYTES), crc32(bytes.subarray(0, 8))))
}

/** Tables of runs are kept as their bytes: as they are, and as plain data, they must say the same. */
function plain(manifest: Manifest): Manifest {
	const runs = manifest.runs.map(({ id, tables }) => ({ id, tables: tables.map(plainTable) }))
	const made = { ...manifest, runs }
	const isSame = Buffer.compare(encodeCheckpoint(made), encodeCheckpoint(manifest)) === 0
	expectThat(isSame, 'tables that are other ones when they are packed')
	return made
}

export const stateFormats: readonly Format[] = [
	codecFormat<Manifest>({
		name: 'checkpoint',
		samples: checkpoints.map(encodeCheckpoint),
		seal: sealState,
		isPlain: true,
		decode: bytes => plain(decodeCheckpoint(bytes, WHERE)),
		encode: encodeCheckpoint,
	}),
	codecFormat<Pin>({
		name: 'pin',
		samples: checkpoints.map((manifest, i) =>
			encodePin({ name: `pin é ${i}`, createdMs: 1_700_000_000_000, expiresMs: i, manifest }),
		),
		seal: sealState,
		isPlain: true,
		decode: bytes => {
			const pin = decodePin(bytes, WHERE)
			return { ...pin, manifest: plain(pin.manifest) }
		},
		encode: encodePin,
	}),
]
