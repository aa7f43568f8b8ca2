import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KIND_TOMBSTONE } from '../../src/sst/entry.ts'
import { EntryOrder, type OrderedEntries } from '../../src/sst/entry-order.ts'
import { type OrderEntriesInput, orderEntriesJob } from '../../workers/order-entries.ts'
import { blockBytes, build, entry, type ModelEntry, open, sorted } from './table-model.ts'

const FIRST_SEQ = 1_000

/** The history of a commit: some keys again and again, in any order; the numbers are their places. */
const history = fc
	.array(
		fc.record({
			key: fc.oneof(fc.nat(30), fc.nat(100_000)),
			valueBytes: fc.constantFrom(0, 1, 7, 8, 9, 100, 3_000),
			isDeleted: fc.constantFrom(false, false, false, true),
			expiresAtMs: fc.constantFrom(0, 0, 0, 5_000_000),
		}),
		{ minLength: 1, maxLength: 300 },
	)
	.map(mutations =>
		mutations.map(({ key, valueBytes, isDeleted, expiresAtMs }, i): ModelEntry => {
			const put = entry(
				`keys/${key}`,
				FIRST_SEQ + i,
				isDeleted ? '' : `${i}`.padEnd(valueBytes, '.').slice(0, valueBytes),
			)
			return isDeleted ? { ...put, kind: KIND_TOMBSTONE } : { ...put, expiresAtMs }
		}),
	)

const options = fc.record({
	blockBytes: fc.constantFrom(64, 700, 16_384),
	codec: fc.constantFrom<'none' | 'lz4'>('none', 'lz4'),
})

function entriesOf({ count, bytes, ends, minSeq, seqs, kinds, expiries }: OrderedEntries): ModelEntry[] {
	return Array.from({ length: count }, (_, i) => ({
		key: bytes.slice(i === 0 ? 0 : ends[2 * i - 1], ends[2 * i]),
		seq: seqs === undefined ? minSeq + i : (seqs[i] as number),
		kind: (kinds?.[i] ?? 0 + 1) as ModelEntry['kind'],
		expiresAtMs: expiries?.[i] ?? 0,
		value: bytes.slice(ends[2 * i], ends[2 * i + 1]),
	}))
}

function jobOf(built: ReturnType<typeof build>, perRun: number, seqs: readonly [number, number]): OrderEntriesInput {
	const table = open(built)
	const runs: OrderEntriesInput['runs'][number][] = []
	for (let first = 0; first < table.blockCount; first += perRun) {
		const count = Math.min(perRun, table.blockCount - first)
		const stored = built.bytes.slice(table.bytesBefore(first), table.bytesBefore(first + count))
		runs.push({ run: table.blockRun(first, count), stored: new Uint8Array(stored) })
	}
	return { runs, minSeq: seqs[0], maxSeq: seqs[1], where: 'here' }
}

test('all entries of a table come in the order of their numbers, by the job and by blocks', () => {
	fc.assert(
		fc.property(history, options, fc.integer({ min: 1, max: 9 }), (entries, tableOptions, perRun) => {
			const built = build(sorted(entries), tableOptions)
			const seqs = [FIRST_SEQ, FIRST_SEQ + entries.length - 1] as const
			const { output, transfer } = orderEntriesJob(jobOf(built, perRun, seqs))
			expect(entriesOf(output)).toEqual(entries)
			expect(new Set(transfer).size).toBe(transfer.length)

			const table = open(built)
			const order = new EntryOrder({ minSeq: seqs[0], maxSeq: seqs[1], isWhole: true, where: 'here' })
			const blocks = Array.from({ length: table.blockCount }, (_, i) =>
				table.decodeBlock(i, blockBytes(built, table, i), 'here'),
			)
			for (const block of blocks) order.measure(block, 0, block.count)
			order.arrange()
			for (const block of blocks) order.copy(block, 0, block.count)
			expect(entriesOf(order.finish())).toEqual(entries)
		}),
		{ numRuns: 150 },
	)
})

test('some entries of a table come in the order of their numbers', () => {
	fc.assert(
		fc.property(history, options, fc.nat(), fc.nat(), (entries, tableOptions, skipped, left) => {
			const built = build(sorted(entries), tableOptions)
			const table = open(built)
			const maxSeq = FIRST_SEQ + entries.length - 1
			const order = new EntryOrder({ minSeq: FIRST_SEQ, maxSeq, isWhole: false, where: 'here' })
			const wanted: number[] = []
			const parts = Array.from({ length: table.blockCount }, (_, i) => {
				const block = table.decodeBlock(i, blockBytes(built, table, i), 'here')
				const first = skipped % block.count
				const end = first + 1 + (left % (block.count - first))
				for (let j = first; j < end; j++) wanted.push(block.seqAt(j))
				return { block, first, end }
			})
			for (const { block, first, end } of parts) order.measure(block, first, end)
			order.arrange()
			for (const { block, first, end } of parts) order.copy(block, first, end)
			expect(entriesOf(order.finish())).toEqual(wanted.sort((a, b) => a - b).map(seq => entries[seq - FIRST_SEQ]))
		}),
		{ numRuns: 100 },
	)
})

test.each([
	['lacks one', [1, 3], 1, 3],
	['has one twice', [1, 1, 3], 1, 3],
	['has one that is too small', [1, 2, 3], 2, 4],
	['has one that is far too large', [1, 2, 3 + 2 ** 32], 1, 3],
])('a table that %s is corrupt', (_what, numbers, minSeq, maxSeq) => {
	const built = build(numbers.map((seq, i) => entry(`k${i}`, seq)))
	expect(() => orderEntriesJob(jobOf(built, 1, [minSeq, maxSeq]))).toThrow(
		expect.objectContaining({ code: 'ISLE_CORRUPT', message: expect.stringContaining('here') }),
	)
})

test('a damaged block is corrupt, and so is one of another place', () => {
	const built = build(
		Array.from({ length: 200 }, (_, i) => entry(`k${1_000 + i}`, 1 + i, 'value')),
		{ blockBytes: 300 },
	)
	const damaged = jobOf(built, 100, [1, 200])
	const [first] = damaged.runs
	if (first !== undefined) first.stored[50] = (first.stored[50] as number) ^ 1
	expect(() => orderEntriesJob(damaged)).toThrow('here')
	const { runs, ...rest } = jobOf(built, 1, [1, 200])
	const strayed = runs.map(({ run }, i) => ({
		run,
		stored: runs[(i + 1) % runs.length]?.stored as Uint8Array<ArrayBuffer>,
	}))
	expect(runs.length).toBeGreaterThan(3)
	expect(() => orderEntriesJob({ runs: strayed, ...rest })).toThrow('here')
	expect(orderEntriesJob({ runs, ...rest }).output.count).toBe(200)
})
