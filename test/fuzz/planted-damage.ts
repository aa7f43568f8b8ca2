/**
 * Positive controls: decoders with one of their checks taken out. Fuzzing has to find each within a bounded number of inputs of the
 * formats that have it.
 */
import { importPatched, type SourcePatch } from '../support/patched-modules.ts'
import type { Format } from './format.ts'

export interface PlantedDamage {
	readonly name: string
	/** Where it must be found. */
	readonly format: string
	/** Inputs within which it must be found, from any seed: fifteen times the mean of 26 seeds at least, so that one in millions misses it. */
	readonly inputsMax: number
	readonly patch: SourcePatch
	/** As of `FuzzOptions`. */
	readonly hangMs?: number | undefined
}

function planted(
	name: string,
	format: string,
	inputsMax: number,
	file: string,
	find: string,
	replace: string,
): PlantedDamage {
	return { name, format, inputsMax, patch: { file, find, replace } }
}

export const PLANTED_DAMAGE: readonly PlantedDamage[] = [
	planted(
		'record-checksum',
		'record-commit-without-sections',
		2000,
		'src/log/record.ts',
		'if (crc32(headerBytes, crc32(bytes.subarray(0, 12))) !== storedCrc)',
		'if (storedCrc < 0)',
	),
	planted(
		'bytes-behind-a-record',
		'record-commit-with-sections',
		5000,
		'src/log/record.ts',
		'if (offset !== bytes.length) throw',
		'if (offset < 0) throw',
	),
	planted(
		'number-in-any-form',
		'blob-ref',
		40_000,
		'src/bytes/byte-reader.ts',
		'if (byte === 0 && count > 1)',
		'if (byte < 0)',
	),
	planted(
		'number-beyond-2-53',
		'checkpoint',
		200_000,
		'src/bytes/byte-reader.ts',
		"if (!Number.isSafeInteger(value)) throw this.#error('a number beyond 2^53')\n\t\t\t\treturn value",
		'return value',
	),
	planted(
		'bytes-behind-the-end',
		'checkpoint',
		5000,
		'src/bytes/byte-reader.ts',
		'if (this.remaining !== 0)',
		'if (this.remaining < 0)',
	),
	planted(
		'commit-with-a-gap',
		'commit',
		10_000,
		'src/manifest/commit.ts',
		'if (meta.minSeq !== next)',
		'if (meta.minSeq < 0)',
	),
	planted(
		'pin-without-checksum',
		'pin',
		2000,
		'src/manifest/pin.ts',
		'if (crc32(body, crc32(bytes.subarray(0, 8))) !== storedCrc)',
		'if (storedCrc < 0)',
	),
	planted(
		'text-that-is-none',
		'edits',
		20_000,
		'src/bytes/byte-reader.ts',
		"new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })",
		"new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })",
	),
	planted(
		'block-of-any-size',
		'stored-block-lz4',
		5000,
		'src/sst/stored-block.ts',
		'if (codec !== undefined && rawBytes > codec.expansionMax * payloadBytes)',
		'if (payloadBytes < 0)',
	),
	planted(
		'lz4-reads-before-the-start',
		'stored-block-lz4',
		20_000,
		'src/sst/lz4-kernel.ts',
		'if (distance === 0 || distance > out) return false',
		'',
	),
	planted(
		'entries-in-any-order',
		'raw-block',
		5000,
		'src/sst/block-checks.ts',
		'if (order > 0 || (order === 0 && block.seqAt(i - 1) <= block.seqAt(i)))',
		'if (order > 1e9)',
	),
	planted(
		'kind-of-any-number',
		'raw-block',
		40_000,
		'src/sst/block.ts',
		'if ((bytes[i] as number) > KIND_BLOB)',
		'if ((bytes[i] as number) < 0)',
	),
	planted(
		'keys-that-belong-elsewhere',
		'table-none',
		4000,
		'src/sst/sst-table.ts',
		'if (!isAfter || !isBefore)',
		'if (i < 0 && !isAfter && !isBefore)',
	),
	planted(
		'index-out-of-order',
		'index',
		40_000,
		'src/sst/block-index.ts',
		'if (i > 1 && compareRanges(this.#separators, before, start, this.#separators, start, separatorEnd) > 0)',
		'if (i < 0 && before > 0)',
	),
	planted(
		'filter-without-checksum',
		'filter',
		2000,
		'src/sst/filter.ts',
		'crc32(section.subarray(4)) === readUint(section, 0, 4)',
		'true',
	),
	planted(
		'frame-without-checksum',
		'blob-value',
		5000,
		'src/blob/frame-decoder.ts',
		'if (!isSoundFrame(this.#index, frame))',
		'if (this.#index < 0)',
	),
	planted(
		'value-of-any-length',
		'blob-value',
		5000,
		'src/blob/frame-decoder.ts',
		'if (stored.length !== expected) throw',
		'if (expected < 0) throw',
	),
	planted(
		'cursor-in-any-form',
		'cursor',
		20_000,
		'src/tail/cursor.ts',
		'if (encodeCursor(cursor) !== text)',
		"if (text === '')",
	),
	planted(
		'cache-file-without-checksum',
		'cache-file',
		5000,
		'workers/cache-file.ts',
		'if (crc32(file.subarray(12, headerBytes)) !== view.getUint32(8, true)) return undefined',
		'',
	),
	planted(
		'kernel-passes-any-block',
		'merge',
		2000,
		'workers/kernel-merge.ts',
		'setPassable(isStoredAlike(cursor.stored, this.#source(i).meta, codec))',
		'setPassable(isStoredAlike(cursor.stored, this.#source(i).meta, codec) || true)',
	),
	{
		...planted(
			'an-endless-loop',
			'blob-ref',
			1000,
			'src/bytes/byte-reader.ts',
			"throw this.#error('a varint of more than 8 bytes')",
			'for (;;) value++',
		),
		hangMs: 1000,
	},
]

/** The formats over decoders that have this damage. */
export async function loadDamaged({ name, patch }: PlantedDamage): Promise<readonly Format[]> {
	const folders = ['src/', 'workers/', 'test/fuzz/']
	const loaded = (await importPatched('test/fuzz/formats.ts', name, [patch], folders)) as typeof import('./formats.ts')
	return loaded.FORMATS
}
