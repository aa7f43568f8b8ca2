import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import { type Chain, type KeyRange, type MergeRange, nextRange } from '../../src/maintenance/merge-ranges.ts'
import type { TableRef } from '../../src/manifest/manifest.ts'
import type { SstTable } from '../../src/sst/sst-table.ts'
import { build, entry, type ModelEntry, modelEntries, open, readAll, sorted, utf8 } from '../sst/table-model.ts'

interface Inputs {
	readonly chains: readonly Chain[]
	readonly tables: ReadonlyMap<string, { readonly table: SstTable; readonly entries: readonly ModelEntry[] }>
}

/** Each chain is cut into tables between two keys at about `cutEvery` entries. */
function inputsOf(chainEntries: readonly (readonly ModelEntry[])[], blockBytes: number, cutEvery: number): Inputs {
	const tables = new Map<string, { table: SstTable; entries: readonly ModelEntry[] }>()
	const chains = chainEntries.map((entries, chainIndex) => {
		const chain: TableRef[] = []
		for (let from = 0; from < entries.length; ) {
			let to = Math.min(entries.length, from + cutEvery)
			while (to < entries.length && sameKey(entries[to], entries[to - 1])) to++
			const own = entries.slice(from, to)
			const built = build(own, { blockBytes })
			const id = `w1-${chainIndex}_${chain.length}`
			chain.push({ id, objectKey: `sst/${id}`, offset: 0, meta: built.meta })
			tables.set(id, { table: open(built), entries: readAll(built) })
			from = to
		}
		return chain
	})
	return { chains, tables }
}

function sameKey(a: ModelEntry | undefined, b: ModelEntry | undefined): boolean {
	return a !== undefined && b !== undefined && compareBytes(a.key, b.key) === 0
}

function rangesOf(inputs: Inputs, within: KeyRange, budgetBytes: number): { ranges: MergeRange[]; opened: string[] } {
	const ranges: MergeRange[] = []
	const opened = new Map<string, SstTable>()
	let { lower } = within
	for (let steps = 0; steps < 100_000; steps++) {
		const next = nextRange(inputs.chains, { lower, upper: within.upper }, budgetBytes, ref => opened.get(ref.id))
		if (next.kind === 'open') {
			expect(next.refs.length).toBeGreaterThan(0)
			for (const ref of next.refs) {
				expect(opened.has(ref.id)).toBe(false)
				const { table } = inputs.tables.get(ref.id) ?? {}
				if (table !== undefined) opened.set(ref.id, table)
			}
			continue
		}
		ranges.push(next.range)
		lower = next.range.upper
		if (lower === null || lower === within.upper) return { ranges, opened: [...opened.keys()] }
	}
	throw new Error('the ranges do not end')
}

function isWithin(key: Uint8Array, range: KeyRange): boolean {
	const isAbove = range.lower === null || compareBytes(key, range.lower) >= 0
	return isAbove && (range.upper === null || compareBytes(key, range.upper) < 0)
}

/** The largest block of each chain: what a range cannot do without. */
function unavoidableBytes(inputs: Inputs): number {
	return inputs.chains.reduce((sum, chain) => {
		const blocks = chain.flatMap(ref => {
			const table = inputs.tables.get(ref.id)?.table
			return table === undefined ? [] : Array.from({ length: table.blockCount }, (_, i) => table.blockRange(i).bytes)
		})
		return sum + Math.max(0, ...blocks)
	}, 0)
}

/** Newest versions that the parts of `range` hold, of keys within it. */
function newestIn(inputs: Inputs, range: MergeRange): Map<string, number> {
	const newest = new Map<string, number>()
	for (const part of range.parts) {
		const found = inputs.tables.get(part.ref.id)
		if (found === undefined) continue
		let blockBytes = 0
		for (let i = part.firstBlock; i < part.firstBlock + part.blockCount; i++) {
			blockBytes += found.table.blockRange(i).bytes
		}
		expect(part.bytes).toBe(blockBytes)
		for (const item of found.entries) {
			const block = found.table.findBlock(item.key)
			const isRead = block >= part.firstBlock && block < part.firstBlock + part.blockCount
			if (!isRead || !isWithin(item.key, range)) continue
			const key = Buffer.from(item.key).toString('hex')
			newest.set(key, Math.max(newest.get(key) ?? 0, item.seq))
		}
	}
	return newest
}

describe('the ranges of a merge', () => {
	test('partition the keys, hold every newest version, and stay within the budget, whatever the tables look like', () => {
		const shapes = fc.record({
			chains: fc.array(modelEntries, { minLength: 1, maxLength: 5 }),
			blockBytes: fc.constantFrom(64, 100, 400),
			cutEvery: fc.integer({ min: 1, max: 40 }),
			budgetBytes: fc.integer({ min: 1, max: 4000 }),
			bounds: fc.tuple(
				fc.option(fc.uint8Array({ minLength: 1, maxLength: 2 })),
				fc.option(fc.uint8Array({ minLength: 1, maxLength: 2 })),
			),
		})
		fc.assert(
			fc.property(shapes, ({ chains, blockBytes, cutEvery, budgetBytes, bounds }) => {
				const inputs = inputsOf(
					chains.map(entries => sorted(entries)),
					blockBytes,
					cutEvery,
				)
				const [lower, upper] = bounds
				const within = { lower, upper }
				if (lower !== null && upper !== null && compareBytes(lower, upper) >= 0) return
				const { ranges } = rangesOf(inputs, within, budgetBytes)
				expect(ranges[0]?.lower).toBe(lower)
				expect(ranges.at(-1)?.upper).toBe(upper)
				const limit = Math.max(budgetBytes, unavoidableBytes(inputs))
				const expected = new Map<string, number>()
				for (const { entries } of inputs.tables.values()) {
					for (const item of entries.filter(candidate => isWithin(candidate.key, within))) {
						const key = Buffer.from(item.key).toString('hex')
						expected.set(key, Math.max(expected.get(key) ?? 0, item.seq))
					}
				}
				const found = new Map<string, number>()
				let before: Uint8Array | null = lower
				for (const range of ranges) {
					expect(range.lower).toBe(before)
					if (range.lower !== null && range.upper !== null) {
						expect(compareBytes(range.lower, range.upper)).toBeLessThan(0)
					}
					before = range.upper
					expect(range.inputBytes).toBe(range.parts.reduce((sum, part) => sum + part.bytes, 0))
					expect(range.inputBytes).toBeLessThanOrEqual(limit)
					for (const [key, seq] of newestIn(inputs, range)) {
						expect(found.has(key)).toBe(false)
						found.set(key, seq)
					}
				}
				expect(found).toEqual(expected)
			}),
			{ numRuns: 300 },
		)
	})

	test('one key with 100,000 versions costs its newest version, not its history', () => {
		const versions = Array.from({ length: 100_000 }, (_, i) => entry('hot', 200_000 - i, 'x'.repeat(40)))
		const entries = sorted([entry('a', 1, 'first'), ...versions, entry('z', 2, 'last')])
		const inputs = inputsOf([entries, [entry('hot', 300_000, 'newer')]], 4096, 1_000_000)
		const budgetBytes = 65_536
		const { ranges } = rangesOf(inputs, { lower: null, upper: null }, budgetBytes)
		const table = inputs.tables.get('w1-0_0')?.table
		expect(table?.blockCount).toBeGreaterThan(1000)
		expect(ranges.reduce((sum, range) => sum + range.inputBytes, 0)).toBeLessThan(4 * 4096)
		const newest = new Map(ranges.flatMap(range => [...newestIn(inputs, range)]))
		expect(newest.get(Buffer.from('hot').toString('hex'))).toBe(300_000)
		expect(newest.get(Buffer.from('z').toString('hex'))).toBe(2)
		// Positive control: the whole table is far more than that.
		expect(table?.meta.storedBytes).toBeGreaterThan(4_000_000)
	})

	test('a table is opened when a range reaches it, not before', () => {
		const entries = Array.from({ length: 400 }, (_, i) => entry(`key-${String(i).padStart(4, '0')}`, i + 1, 'value'))
		const inputs = inputsOf([entries], 200, 100)
		const within = { lower: null, upper: utf8('key-0150') }
		const { opened, ranges } = rangesOf(inputs, within, 1000)
		expect(opened).toEqual(['w1-0_0', 'w1-0_1'])
		expect(ranges.length).toBeGreaterThan(2)
	})

	test('a thousand small tables are asked for together and planned once, not once each', () => {
		const entries = Array.from({ length: 1000 }, (_, i) => [entry(`key${(i * 7919) % 1000}`, i + 1)])
		const { chains, tables } = inputsOf(entries, 4096, 1)
		const within = { lower: null, upper: null }
		const asked = nextRange(chains, within, 1_000_000, () => undefined)
		expect(asked.kind === 'open' && asked.refs.length).toBe(1000)
		const planned = nextRange(chains, within, 1_000_000, ref => tables.get(ref.id)?.table)
		expect(planned.kind === 'range' && planned.range.parts.length).toBe(1000)
	})

	test('the budget holds exactly: one block less and the range is cut there', () => {
		const entries = Array.from({ length: 60 }, (_, i) => entry(`key-${String(i).padStart(4, '0')}`, i + 1, 'value'))
		const inputs = inputsOf([entries], 200, 1000)
		const all = inputs.tables.get('w1-0_0')?.table
		const bytes = all === undefined ? 0 : all.bytesBefore(all.blockCount)
		const within = { lower: null, upper: null }
		expect(rangesOf(inputs, within, bytes).ranges).toHaveLength(1)
		expect(rangesOf(inputs, within, bytes - 1).ranges).toHaveLength(2)
	})
})
