import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BriefPlace, kernelDecompress, openBlock } from '../../src/sst/block-kernel.ts'
import { lz4Compress, lz4Decompress, lz4MaxBytes } from '../../src/sst/lz4-kernel.ts'
import { openStoredBlock } from '../../src/sst/stored-block.ts'
import { goldenTable } from './golden/golden-entries.ts'
import { open } from './table-model.ts'

const WHERE = 'here'

function compressed(raw: Uint8Array): Uint8Array {
	const target = new Uint8Array(lz4MaxBytes(raw.length))
	return target.slice(0, lz4Compress(raw, 0, raw.length, target, 0))
}

/** What one of them makes of a payload; undefined when it refuses it. */
function read(
	payload: Uint8Array,
	size: number,
	by: (payload: Uint8Array, raw: Uint8Array) => boolean | undefined,
): string | undefined {
	const raw = new Uint8Array(size).fill(0xee)
	const isRead = by(payload, raw)
	expect(isRead).toBeDefined()
	return isRead === true ? Buffer.from(raw).toString('hex') : undefined
}

/** Text that repeats itself at short and long distances. */
const texts = fc
	.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 30 })), { maxLength: 30 })
	.map(pieces => new Uint8Array(Buffer.concat(pieces.flatMap(([piece, times]) => Array(times).fill(piece)))))

describe('LZ4 in the kernel', () => {
	test('reads what TypeScript reads', () => {
		fc.assert(
			fc.property(texts, raw => {
				const payload = compressed(raw)
				expect(read(payload, raw.length, kernelDecompress)).toBe(Buffer.from(raw).toString('hex'))
			}),
			{ numRuns: 300 },
		)
	})

	test('refuses what TypeScript refuses: changed payloads, other sizes, bytes at random', () => {
		fc.assert(
			fc.property(
				fc.oneof(texts.map(compressed), fc.uint8Array({ maxLength: 60 })),
				fc.nat(200),
				fc.nat(),
				fc.nat(255),
				(payload, size, place, byte) => {
					if (payload.length > 0) payload[place % payload.length] = byte
					expect(read(payload, size, kernelDecompress)).toBe(read(payload, size, lz4Decompress))
				},
			),
			{ numRuns: 1_000 },
		)
	})

	test('makes the same of payloads with some bytes changed, whose size is right', () => {
		const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
		fc.assert(
			fc.property(texts, changes, (raw, changed) => {
				const payload = compressed(raw)
				for (const [place, byte] of changed) payload[place % payload.length] = byte
				expect(read(payload, raw.length, kernelDecompress)).toBe(read(payload, raw.length, lz4Decompress))
			}),
			{ numRuns: 1_000 },
		)
	})

	test('leaves to others what is larger than its memory', () => {
		expect(kernelDecompress(new Uint8Array(10), new Uint8Array(65_537))).toBeUndefined()
	})
})

describe('blocks opened in the kernel', () => {
	const built = goldenTable('lz4')
	const table = open(built)
	const raws = Array.from({ length: table.blockCount }, (_, i) => {
		const { offset, bytes } = table.blockRange(i)
		return openStoredBlock(built.bytes.slice(offset, offset + bytes), table.rawMaxBytes, WHERE)
	})

	test('stay as they are while others are opened, also brief ones while others are kept', () => {
		const brief = new BriefPlace()
		for (const raw of raws.slice(1)) {
			const first = brief.open(raw.slice(), WHERE)
			const keys = Array.from({ length: first.count }, (_, i) => first.keyAt(i))
			const others = raws.map(other => openBlock(other.slice(), WHERE))
			kernelDecompress(compressed(new Uint8Array(10_000)), new Uint8Array(10_000))
			expect(Array.from({ length: first.count }, (_, i) => first.keyAt(i))).toEqual(keys)
			expect(others.map(other => other.bytes)).toEqual(raws)
			expect(others.map(other => other.keyAt(other.count - 1))).toEqual(
				raws.map(other => {
					const again = openBlock(other.slice(), WHERE)
					return again.keyAt(again.count - 1)
				}),
			)
		}
		expect(raws.length).toBeGreaterThan(2)
	})

	test('are the same when their stored bytes stand in its memory, whatever the codec', () => {
		const place = new BriefPlace()
		for (const codec of ['none', 'lz4', 'deflate'] as const) {
			const other = goldenTable(codec)
			const opened = open(other)
			for (let i = 0; i < opened.blockCount; i++) {
				const { offset, bytes } = opened.blockRange(i)
				const stored = other.bytes.slice(offset, offset + bytes)
				const here = place.stored(bytes)
				here.set(stored)
				const block = opened.decodeBlock(i, here, WHERE, place)
				const elsewhere = opened.decodeBlock(i, stored.slice(), WHERE)
				expect(block.bytes).toEqual(elsewhere.bytes)
				const damaged = place.stored(bytes)
				damaged.set(stored)
				damaged[bytes - 1] = (stored[bytes - 1] as number) ^ 1
				expect(() => opened.decodeBlock(i, damaged, WHERE, place)).toThrow(WHERE)
				// And where the block itself is kept.
				const kept = place.stored(bytes)
				kept.set(stored)
				expect(opened.decodeBlock(i, kept, WHERE).bytes).toEqual(elsewhere.bytes)
			}
		}
	})

	test('are refused when they are damaged', () => {
		const raw = (raws[0] as Uint8Array).slice()
		raw[8] = 0xff
		expect(() => openBlock(raw.slice(), WHERE)).toThrow(WHERE)
		expect(() => new BriefPlace().open(raw, WHERE)).toThrow(WHERE)
	})
})
