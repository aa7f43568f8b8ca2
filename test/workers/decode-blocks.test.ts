import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Block } from '../../src/sst/block.ts'
import { decodeBlocksJob } from '../../workers/decode-blocks.ts'
import { build, entry, open } from '../sst/table-model.ts'

const codecs = fc.constantFrom('none' as const, 'deflate' as const, 'lz4' as const, 'zstd' as const)

test('blocks of many buffers come back raw, each alone in a buffer of its own', () => {
	fc.assert(
		fc.property(codecs, fc.integer({ min: 1, max: 400 }), fc.boolean(), (codec, count, areTogether) => {
			const built = build(
				Array.from({ length: count }, (_, i) => entry(`key ${String(i).padStart(6, '0')}`, 1, 'value '.repeat(i % 9))),
				{ codec, blockBytes: 512 },
			)
			const table = open(built)
			const ranges = Array.from({ length: table.blockCount }, (_, i) => table.blockRange(i))
			const slices = ranges.map(({ offset, bytes }) => built.bytes.slice(offset, offset + bytes).buffer)
			const { output, transfer } = decodeBlocksJob({
				buffers: areTogether ? [built.bytes.slice().buffer] : slices,
				blocks: ranges.map(({ offset, bytes }, i) => ({
					...(areTogether ? { buffer: 0, offset } : { buffer: i, offset: 0 }),
					bytes,
					rawMaxBytes: 1 << 20,
					where: 'sst/a',
				})),
			})
			expect(new Set(transfer).size).toBe(ranges.length)
			const moved = structuredClone(output, { transfer: [...transfer] })
			moved.blocks.forEach((result, i) => {
				if (!('raw' in result)) throw new Error('a sound block was refused')
				expect(result.raw.byteLength).toBe(result.raw.buffer.byteLength)
				const { offset, bytes } = table.blockRange(i)
				const expected = table.decodeBlock(i, built.bytes.slice(offset, offset + bytes), 'sst/a')
				expect(new Block(result.raw, 'sst/a').keyAt(0)).toEqual(expected.keyAt(0))
				expect(result.raw).toEqual(new Uint8Array(expected.bytes))
			})
		}),
		{ numRuns: 60 },
	)
})

test('a flipped byte, a raw size above the limit, and a range outside fail alone, each typed', () => {
	const built = build([entry('a', 1, 'x'.repeat(4_000))], { codec: 'deflate' })
	const { bytes } = open(built).blockRange(0)
	const good = built.bytes.slice(0, bytes)
	const flipped = good.slice()
	flipped[bytes - 1] = (flipped[bytes - 1] ?? 0) ^ 1
	const block = { offset: 0, bytes, rawMaxBytes: 1 << 20, where: 'sst/a' }
	const { output } = decodeBlocksJob({
		buffers: [flipped.buffer, good.buffer],
		blocks: [
			{ ...block, buffer: 0 },
			{ ...block, buffer: 1 },
			{ ...block, buffer: 1, rawMaxBytes: 100 },
			{ ...block, buffer: 1, bytes: bytes + 1 },
			{ ...block, buffer: 2 },
		],
	})
	expect(output.blocks).toMatchObject([
		{ error: { code: 'ISLE_CORRUPT', details: { where: 'sst/a' } } },
		{ raw: expect.any(Uint8Array) },
		{ error: { code: 'ISLE_CORRUPT' } },
		{ error: { name: 'RangeError' } },
		{ error: { name: 'RangeError' } },
	])
})
