/** Blocks: as they are stored by each codec, and raw. */
import { crc32 } from '../../src/bytes/crc32.ts'
import type { Random } from '../../src/host/random.ts'
import { Block } from '../../src/sst/block.ts'
import { BriefPlace, openBlock } from '../../src/sst/block-kernel.ts'
import { CODEC_NAMES, codecByName } from '../../src/sst/codec.ts'
import { fflateDeflateCodec } from '../../src/sst/codec-deflate.ts'
import { lz4KernelCodec } from '../../src/sst/codec-lz4.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { openStoredBlock, STORED_HEADER_BYTES } from '../../src/sst/stored-block.ts'
import { goldenTable } from '../sst/golden/golden-entries.ts'
import { open, readAll } from '../sst/table-model.ts'
import {
	type ByteInput,
	byteFormat,
	decoded,
	expectThat,
	type Format,
	putU32,
	u32At,
	type Verdict,
	WHERE,
} from './format.ts'
import { mutate } from './mutation.ts'

/** What a table may admit: the size of a block is bounded by what its table says, and that by what its bytes can be. */
const RAW_MAX_BYTES = 269_549_568

/** Every block of the golden table of that codec, as stored. */
function storedBlocks(codec: CodecName): Uint8Array[] {
	const built = goldenTable(codec)
	const table = open(built)
	return Array.from({ length: table.blockCount }, (_, i) => {
		const { offset, bytes } = table.blockRange(i)
		return built.bytes.slice(offset, offset + bytes)
	})
}

function rawOf(stored: Uint8Array): Uint8Array {
	return openStoredBlock(stored, RAW_MAX_BYTES, WHERE).slice()
}

function sealStored(bytes: Uint8Array): void {
	if (bytes.length >= 4) putU32(bytes, 0, crc32(bytes.subarray(4)))
}

/** Of a codec that exists twice, the other one. */
const TWINS: Readonly<Partial<Record<CodecName, typeof lz4KernelCodec>>> = {
	lz4: lz4KernelCodec,
	deflate: fflateDeflateCodec,
}

/** Most bytes that one byte of a payload can stand for, and the header: RFC 1951, the LZ4 block format, RFC 8878. */
const EXPANSION: Readonly<Record<CodecName, number>> = { none: 1, lz4: 255, deflate: 1032, zstd: 32_768 }

/** Both make the same of a payload, or both refuse it. */
function checkTwin(bytes: Uint8Array, raw: Uint8Array | undefined): void {
	const twin = Object.entries(TWINS).find(([name]) => codecByName(name)?.id === bytes[4])?.[1]
	if (twin === undefined || bytes.length < STORED_HEADER_BYTES) return
	const rawBytes = u32At(bytes, 5)
	if (rawBytes > 300_000) return
	const other = new Uint8Array(rawBytes)
	let isAccepted = true
	try {
		twin.decompress(bytes.subarray(5), other)
	} catch {
		isAccepted = false
	}
	// fflate reads on where zlib says that a code is impossible: it may accept more, and never anything else.
	if (raw === undefined) expectThat(!isAccepted || twin === fflateDeflateCodec, 'one codec refuses what its twin reads')
	else expectThat(isAccepted && Buffer.compare(raw, other) === 0, 'a codec and its twin read different bytes')
}

function judgeStored({ bytes, sample, kind }: ByteInput): Verdict {
	const answer = decoded(() => openStoredBlock(new Uint8Array(bytes), RAW_MAX_BYTES, WHERE))
	if (kind !== 'damaged') checkTwin(bytes, answer?.value)
	expectThat(answer !== undefined || kind !== 'sample', 'a sample is refused')
	if (answer === undefined) return 'refused'
	expectThat(answer.value.length === u32At(bytes, 5), 'a block of another size than it declares')
	if (kind === 'damaged') expectThat(Buffer.compare(bytes, sample) === 0, 'damage behind a checksum is accepted')
	return 'accepted'
}

/** A change in the payload alone, which leaves the header true. */
function changedPayload(sample: Uint8Array, random: Random, samples: readonly Uint8Array[]): Uint8Array {
	const payload = mutate(sample.subarray(STORED_HEADER_BYTES), random, samples)
	const bytes = new Uint8Array(STORED_HEADER_BYTES + payload.length)
	bytes.set(sample.subarray(0, STORED_HEADER_BYTES))
	bytes.set(payload, STORED_HEADER_BYTES)
	sealStored(bytes)
	return bytes
}

function storedFormat(codec: CodecName): Format {
	const samples = storedBlocks(codec)
	return byteFormat({
		name: `stored-block-${codec}`,
		samples,
		seal: sealStored,
		judge: judgeStored,
		makeSealed: (sample, random) => changedPayload(sample, random, samples),
		// Raw bytes, once or twice, and those that the judge asks for. The codec is what the block says.
		allocationMaxBytes: bytes => {
			const named = CODEC_NAMES.find(name => codecByName(name)?.id === bytes[4]) ?? 'none'
			return 4 * EXPANSION[named] * (bytes.length + 64) + 1_300_000
		},
	})
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
	return Math.sign(Buffer.compare(a, b))
}

/** All ways of asking a block answer alike, in order, and within what it says of itself. */
export function checkBlock(block: Block, sought: readonly Uint8Array[]): void {
	const keys = Array.from({ length: block.count }, (_, i) => block.keyAt(i))
	const seqs = new Float64Array(block.count)
	block.copySeqs(seqs)
	for (const [i, key] of keys.entries()) {
		expectThat(key.length >= 1 && key.length <= 65_536 && key.length === block.keyBytesAt(i), 'a key out of bounds')
		const seq = block.seqAt(i)
		expectThat(Number.isSafeInteger(seq) && seq === seqs[i], 'a sequence number that is none')
		expectThat(Number.isSafeInteger(block.expiresAtMsAt(i)), 'an expiry that is none')
		expectThat(block.kindAt(i) <= KIND_BLOB, 'an unknown kind')
		expectThat(block.valueViewAt(i).length === block.valueEndAt(i) - block.valueStartAt(i), 'a value cut off')
		const before = keys[i - 1]
		if (before === undefined) continue
		const order = compareKeys(before, key)
		expectThat(order < 0 || (order === 0 && block.seqAt(i - 1) > seq), 'entries out of order')
		expectThat(order !== 0 || block.hasVersions, 'versions that are denied')
		expectThat(Math.sign(block.compareKeysAt(i - 1, block, i)) === order, 'keys that compare otherwise')
	}
	for (const key of [...sought, ...keys.slice(0, 3), ...keys.slice(-3)]) {
		const first = keys.findIndex(candidate => compareKeys(candidate, key) >= 0)
		const place = first < 0 ? block.count : first
		// Twice: the second search goes another way.
		expectThat(block.seek(key) === place && block.seek(key) === place, 'a search that misses')
		if (place < block.count)
			expectThat(
				Math.sign(block.compareKeyAt(place, key)) === compareKeys(keys[place] ?? key, key),
				'a key that compares otherwise',
			)
	}
}

const soughtKeys: readonly Uint8Array[] = readAll(goldenTable('none'))
	.filter((_, i) => i % 17 === 0)
	.map(({ key }) => key)

export const blockFormats: readonly Format[] = [
	...CODEC_NAMES.map(storedFormat),
	byteFormat({
		name: 'raw-block',
		samples: storedBlocks('none')
			.map(rawOf)
			.filter(raw => raw.length < 5000),
		judge({ bytes, kind }) {
			const answer = decoded(() => new Block(new Uint8Array(bytes), WHERE))
			expectThat(answer !== undefined || kind !== 'sample', 'a sample is refused')
			const places = [openBlock, (raw: Uint8Array, where: string) => new BriefPlace().open(raw, where)]
			for (const open of places) {
				const kernel = decoded(() => open(new Uint8Array(bytes), WHERE))
				expectThat((kernel === undefined) === (answer === undefined), 'the kernel judges a block otherwise')
				if (kernel === undefined) continue
				expectThat(kernel.value.hasVersions === answer?.value.hasVersions, 'the kernel finds other versions')
				checkBlock(kernel.value, soughtKeys)
			}
			if (answer === undefined) return 'refused'
			checkBlock(answer.value, soughtKeys)
			return 'accepted'
		},
		// A prefix of 64 KiB is made once for each key of a block.
		allocationMaxBytes: ({ length }) => 100 * length * length + 1_000_000,
	}),
]
