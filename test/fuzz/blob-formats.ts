/** Packs of large values: their headers, references to them, and the values. */
import { type BlobRef, decodeBlobRef, encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { decodeBlob, FrameDecoder } from '../../src/blob/frame-decoder.ts'
import { PackEncoder } from '../../src/blob/pack-encoder.ts'
import {
	blobRange,
	decodePackHeader,
	encodePackHeader,
	FRAME_BYTES,
	FRAME_CRC_BYTES,
	frameSeed,
	PACK_HEADER_BYTES,
	u32Bytes,
} from '../../src/blob/pack-format.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import type { Random } from '../../src/host/random.ts'
import { goldenBlobs } from '../sst/golden/golden-entries.ts'
import { type Attempt, codecFormat, decoded, expectThat, type Format, putU32, type Verdict, WHERE } from './format.ts'
import { below, joined, mutate, oddNumber, oneOf } from './mutation.ts'

const REFS: readonly BlobRef[] = [
	{ packId: 'w3-17', offset: 64, bytes: 300_000, crc: 0x1234_5678 },
	{ packId: 'x'.repeat(44), offset: 2 ** 40, bytes: 0, crc: 0 },
	{ packId: 'm2-9', offset: 2 ** 52, bytes: 2 ** 51, crc: 0xffff_ffff },
]

interface StoredBlob {
	readonly ref: BlobRef
	readonly stored: Uint8Array
}

function storedBlob(value: Uint8Array): StoredBlob {
	const { ref, pieces } = new PackEncoder('w3-17').value(value)
	return { ref, stored: joined(...pieces) }
}

const LONG = goldenBlobs.map(storedBlob)
const SHORT = [0, 1, 3, 100, 700].map(bytes =>
	storedBlob(Uint8Array.from({ length: bytes }, (_, i) => (i * 31) & 0xff)),
)

/** The CRC of each frame put right, for a value of so many bytes; answers the CRC of the whole. */
function sealFrames(stored: Uint8Array, valueBytes: number): number {
	let whole = 0
	for (let i = 0, at = 0; i * FRAME_BYTES < valueBytes; i++) {
		const end = at + Math.min(FRAME_BYTES, valueBytes - i * FRAME_BYTES)
		if (end + FRAME_CRC_BYTES > stored.length) return whole
		const crc = crc32(stored.subarray(at, end), frameSeed(i))
		putU32(stored, end, crc)
		whole = crc32(u32Bytes(crc), whole)
		at = end + FRAME_CRC_BYTES
	}
	return whole
}

/** The payloads one after another, by arithmetic alone. */
function payloadsOf(stored: Uint8Array): Uint8Array {
	const frame = FRAME_BYTES + FRAME_CRC_BYTES
	const frames = Array.from({ length: Math.ceil(stored.length / frame) }, (_, i) =>
		stored.subarray(i * frame, (i + 1) * frame),
	)
	return joined(...frames.map(bytes => bytes.subarray(0, bytes.length - FRAME_CRC_BYTES)))
}

/** The same value in pieces of any sizes. */
function decodedInPieces(ref: BlobRef, stored: Uint8Array, random: Random): Uint8Array {
	const decoder = new FrameDecoder(ref, WHERE)
	const parts: Uint8Array[] = []
	for (let at = 0; at < stored.length; ) {
		const end = at + 1 + below(random, random.next() < 0.5 ? 40 : FRAME_BYTES)
		parts.push(...decoder.push(stored.subarray(at, end)))
		at = end
	}
	decoder.end()
	return joined(...parts)
}

interface BlobInput extends StoredBlob {
	readonly isSealed: boolean
	readonly isSample: boolean
	readonly sample: StoredBlob
}

function judgeBlob({ ref, stored, isSealed, isSample, sample }: BlobInput, random: Random): Verdict {
	const whole = decoded(() => decodeBlob(ref, stored, WHERE))
	const pieces = decoded(() => decodedInPieces(ref, stored, random))
	expectThat(
		(whole === undefined) === (pieces === undefined),
		'a blob is sound whole and not in pieces, or the other way round',
	)
	expectThat(whole !== undefined || !isSample, 'a sample is refused')
	if (whole === undefined || pieces === undefined) return 'refused'
	expectThat(Buffer.compare(whole.value, pieces.value) === 0, 'a blob is another one in pieces')
	expectThat(whole.value.length === ref.bytes, 'a blob of another length than its reference says')
	expectThat(Buffer.compare(whole.value, payloadsOf(stored)) === 0, 'a blob that is not what is stored')
	expectThat(isSealed || Buffer.compare(stored, sample.stored) === 0, 'damage behind a checksum is accepted')
	return 'accepted'
}

function changedRef(ref: BlobRef, random: Random): BlobRef {
	return random.next() < 0.5
		? { ...ref, bytes: oddNumber(random) }
		: { ...ref, bytes: Math.max(0, ref.bytes + below(random, 5) - 2) }
}

const blobFormat: Format = {
	name: 'blob-value',
	attempt(random): Attempt {
		const sample = oneOf(random, random.next() < 0.02 ? LONG : SHORT)
		const dice = random.next()
		const isSample = dice < 0.05
		const isSealed = dice >= 0.4
		const changed = isSample ? sample.stored : mutate(sample.stored, random, [sample.stored])
		const isShort = sample.stored.length < FRAME_BYTES
		// The length of what is there, or a lie about it.
		const bytes = isShort && changed.length >= FRAME_CRC_BYTES ? changed.length - FRAME_CRC_BYTES : sample.ref.bytes
		const crc = isSealed ? sealFrames(changed, bytes) : sample.ref.crc
		const told = isSealed ? { ...sample.ref, bytes, crc } : sample.ref
		const ref = isSealed && random.next() < 0.2 ? changedRef(told, random) : told
		return {
			allocationMaxBytes: 20 * (changed.length + FRAME_BYTES) + 300_000,
			judge: () => judgeBlob({ ref, stored: changed, isSealed, isSample, sample }, random),
			show: () =>
				`${JSON.stringify(ref)} ${changed.length} bytes ${Buffer.from(changed.subarray(0, 1000)).toString('hex')}`,
		}
	},
}

export const blobFormats: readonly Format[] = [
	codecFormat<BlobRef>({
		name: 'blob-ref',
		samples: REFS.map(encodeBlobRef),
		isPlain: true,
		decode: bytes => decodeBlobRef(bytes, WHERE),
		encode: encodeBlobRef,
		check: ref => {
			const { offset, bytes } = blobRange(ref)
			expectThat(Number.isSafeInteger(offset + bytes), 'a range that no store can be asked for')
		},
	}),
	codecFormat<string>({
		name: 'pack-header',
		samples: ['w3-17', 'x'.repeat(44), 'é'].map(encodePackHeader),
		seal: bytes => putU32(bytes, 60, crc32(bytes.subarray(0, 60))),
		// What follows the header are values.
		decode: bytes => decodePackHeader(bytes.length > PACK_HEADER_BYTES ? new Uint8Array(0) : bytes, WHERE),
		encode: encodePackHeader,
	}),
	blobFormat,
]
