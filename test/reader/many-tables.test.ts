/** A database of 100,000 tables (100 GB and more): what opening, getting and scanning cost, by counting. */
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, test } from 'vitest'
import { TableSlot } from '../../src/cache/table-slot.ts'
import { systemHost } from '../../src/host/host.ts'
import { checkpointKey, decodeCheckpoint, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest, SortedRun, TableRef } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { PackedTable, plainTable } from '../../src/manifest/packed-table.ts'
import { tablesChanged } from '../../src/manifest/tables-changed.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { holdsStateAt, viewOf } from '../../src/reader/read-view.ts'
import { collect, manifestOf, put, readsOf, runOf, storeTable, tableOf } from './fixture.ts'
import { RoundStore } from './round-store.ts'

const TABLES = 100_000
const RUNS = 4
const PER_RUN = TABLES / RUNS
/** Tables that exist: the others are never asked for. */
const REAL = [0, 1, 2, 12_345, 12_346, PER_RUN - 3, PER_RUN - 2, PER_RUN - 1] as const
const keyOf = (table: number, i: number): string => `user/${String(table).padStart(8, '0')}/${i}`

/** Counts which tables of a run are looked at. */
function counted(tables: readonly TableRef[], onLook: () => void): readonly TableRef[] {
	return new Proxy(tables, {
		get(target, name): unknown {
			if (typeof name === 'string' && /^\d+$/.test(name)) onLook()
			return Reflect.get(target, name)
		},
	})
}

describe('100,000 tables in four runs', () => {
	const store = new RoundStore(new MemoryStore())
	let manifest: Manifest
	let looks = 0

	beforeAll(async () => {
		store.isHolding = false
		const runs = []
		for (let run = 0; run < RUNS; run++) {
			const real = new Map<number, TableRef>()
			for (const index of REAL) {
				const versions = [0, 5, 9].map(i => put(keyOf(index, i), (RUNS - run) * 10 + i / 9))
				const table = tableOf(
					`r${run}-${index}`,
					versions.map((version, i) => ({ ...version, seq: (RUNS - run) * 10 + i })),
				)
				real.set(index, await storeTable(store, table))
			}
			const model = real.get(0)
			if (model === undefined) throw new Error('the first table is real')
			const tables = Array.from({ length: PER_RUN }, (_, index): TableRef => {
				const found = real.get(index)
				if (found !== undefined) return found
				const meta = {
					...model.meta,
					smallestKey: Buffer.from(keyOf(index, 0)),
					largestKey: Buffer.from(keyOf(index, 9)),
				}
				return { id: `r${run}-${index}`, objectKey: `sst/r${run}-${index}`, offset: 0, meta }
			})
			runs.push(runOf(`run${run}`, tables))
		}
		manifest = manifestOf({ runs })
		store.isHolding = true
	})

	function reads() {
		const look = (): void => {
			looks++
		}
		const runs = manifest.runs.map(run => ({ ...run, tables: counted(run.tables, look) }))
		const view = viewOf({ ...manifest, runs })
		const opened = readsOf(store, view)
		// What is known of a run is found out once.
		opened.core.planOf(view.manifest)
		looks = 0
		store.reset()
		return { reads: opened, view }
	}

	test('a cold get of small tables takes one round trip of one GET a run, and looks at few tables of each', async () => {
		const { reads: cold } = reads()
		expect(await store.settle(cold.get(keyOf(12_345, 5)))).toContain(keyOf(12_345, 5))
		expect(store.rounds.map(round => round.length)).toEqual([RUNS])
		// Two binary searches (from memory, then cold) of 15 steps, at two looks each, and some more.
		expect(looks).toBeLessThanOrEqual(RUNS * (2 * 15 * 2 + 10))
		looks = 0
		expect(cold.getCached(keyOf(12_345, 5), 'cold')).toContain(keyOf(12_345, 5))
		expect(looks).toBeLessThanOrEqual(RUNS * (15 + 5))
	})

	test.each([false, true])('a short scan (reverse: %s) looks at few tables of each run', async reverse => {
		const { reads: cold } = reads()
		const range = { gte: keyOf(12_345, 5), lt: keyOf(12_346, 5), limit: 3, reverse }
		const rows = await store.settle(collect(cold.keys(range)))
		const keys = [keyOf(12_345, 5), keyOf(12_345, 9), keyOf(12_346, 0)]
		expect(rows).toEqual(reverse ? keys.toReversed() : keys)
		expect(looks).toBeLessThanOrEqual(RUNS * (2 * 15 + 20))
		looks = 0
		expect(await store.settle(collect(cold.keys({ limit: 3, reverse })))).toHaveLength(3)
		expect(looks).toBeLessThanOrEqual(RUNS * 20)
	})

	test('a new commit is planned by its own table alone', async () => {
		const { reads: cold, view } = reads()
		const next = tableOf('l0', [put(keyOf(12_345, 5), 1000)])
		const l0 = [next.ref]
		cold.core.planOf({ ...view.manifest, l0, lastSeq: 1000 })
		// The ends of each run.
		expect(looks).toBeLessThanOrEqual(RUNS * 10)
	})

	test('are opened in slices between which other events happen, and take little more memory than their bytes', async () => {
		const inner = new MemoryStore()
		const positions = { writerPosition: { epoch: 1, slot: 0 }, maintenancePosition: { epoch: 0, slot: 0 } }
		const checkpoint = encodeCheckpoint({ ...manifest, ...positions })
		await inner.put(checkpointKey(positions), checkpoint)
		let yields = 0
		const { clock } = systemHost
		const yieldToIo = (): Promise<void> => {
			yields++
			return clock.yieldToIo()
		}
		const before = memoryInUse()
		const opened = await loadManifest(new DatabaseLogs(inner, { ...clock, yieldToIo }))
		const bytes = memoryInUse() - before
		expect(opened.runs.reduce((sum, run) => sum + run.tables.length, 0)).toBe(TABLES)
		// References; sums of the runs, and the three passes of their index; the checksum.
		const slices = Math.floor(TABLES / 1024) + 4 * Math.floor(TABLES / 4096) + Math.floor(checkpoint.length / 2_097_152)
		expect(yields).toBeGreaterThanOrEqual(slices - 2 * RUNS)
		// Measured: 60 bytes each for an object of five words and its place in an array that has room to grow, 14 for the index.
		expect(bytes - checkpoint.length).toBeLessThan(TABLES * 90)
		expect(checkpoint.length).toBeLessThan(TABLES * 100)
	}, 60_000)

	test('that have all been asked for keep no slot each', () => {
		const { reads: cold } = reads()
		const { levels } = cold.core.planOf(manifest)
		for (const level of levels) for (let index = 0; index < level.tables.length; index++) level.slotAt(index)
		// At the most 4,096 of each run; the registry of the source keeps twice 1,024.
		expect(queryObjects(TableSlot, { format: 'count' })).toBeLessThanOrEqual(RUNS * 4096 + 2048)
		expect(levels.map(level => level.tables.length)).toEqual(Array.from({ length: RUNS }, () => PER_RUN))
	})

	test('are not looked at when an edit touches eight of them, neither by the fold nor by a reader that follows it', () => {
		const { tables } = manifest.runs[RUNS - 1] as SortedRun
		const small = { ...manifest, runs: [{ id: 'few', tables: tables.slice(0, PER_RUN / 10) }] }
		const looksOf = (state: Manifest): number => {
			const before = decodeCheckpoint(encodeCheckpoint(state), 'test')
			const run = before.runs.at(-1) as SortedRun
			const record = rewrite(run, 1_000)
			const source = readsOf(new MemoryStore(), viewOf(before)).core
			const stop = countLooks()
			const after = applyEdits(before, [record])
			const changed = tablesChanged(before, after)
			holdsStateAt(after, after.lastSeq)
			source.planOf(after)
			const fields = stop()
			expect(after.runs.at(-1)?.tables).toHaveLength(run.tables.length - 4)
			expect([changed.gone.length, changed.come.length]).toEqual([8, 4])
			return fields
		}
		const [few, many] = [looksOf(small), looksOf(manifest)]
		// Positive control: what is looked at for an edit is counted.
		expect(few).toBeGreaterThan(100)
		// The sums of 128 neighbours, 12 buckets of about 16 ids, binary searches, the ends of each run.
		expect(many).toBeLessThan(2_000)
		expect(many - few).toBeLessThan(500)
	})

	test('take no more memory once edits have replaced them', async () => {
		const [first] = manifest.runs
		if (first === undefined) throw new Error('four runs')
		let edited: Manifest = { ...manifest, runs: [{ id: 'r', tables: first.tables.slice(0, 1) }] }
		const before = memoryInUse()
		for (let at = 1; at < PER_RUN; at += 100) {
			edited = applyEdits(edited, [addition(first.tables.slice(at, at + 100), Math.floor(at / 100))])
		}
		const bytes = memoryInUse() - before
		expect(edited.runs[0]?.tables.length).toBe(PER_RUN)
		expect(bytes).toBeLessThan(PER_RUN * 200)
	}, 60_000)
})

/** A record that puts `tables` into a run. */
function addition(tables: readonly TableRef[], slot: number): EditRecord {
	const position = { epoch: 0, slot }
	// Objects and keys of their own, as decoding a record makes them: about 850 bytes for each table.
	const add = tables.map(({ meta, ...table }) => {
		const [smallestKey, largestKey] = [new Uint8Array(meta.smallestKey), new Uint8Array(meta.largestKey)]
		return { runId: 'r', table: { ...table, meta: { ...meta, smallestKey, largestKey } } }
	})
	const edits: Edit[] = [{ kind: 'replace', remove: [], add, addPacks: [] }]
	return { position, writerPosition: { epoch: 1, slot: 0 }, committedAtMs: 0, edits }
}

/** A record that makes four of the eight tables of `run` from `at` on. */
function rewrite({ id: runId, tables }: SortedRun, at: number): EditRecord {
	const inputs = tables.slice(at, at + 8).map(plainTable)
	const add = [0, 2, 4, 6].map(i => {
		const [first, last] = [inputs[i] as TableRef, inputs[i + 1] as TableRef]
		const meta = { ...first.meta, largestKey: last.meta.largestKey }
		return { runId, table: { id: `m1-${i}`, objectKey: `sst/m1-${i}`, offset: 0, meta } }
	})
	const edits: Edit[] = [{ kind: 'replace', remove: inputs.map(({ id }) => id), add, addPacks: [] }]
	return { position: { epoch: 0, slot: 0 }, writerPosition: { epoch: 1, slot: 0 }, committedAtMs: 0, edits }
}

/** Counts how often a field of a packed table is asked for, until what it answers is called: that answers the number. */
function countLooks(): () => number {
	let looks = 0
	const { constructor: _, meta: __, ...fields } = Object.getOwnPropertyDescriptors(PackedTable.prototype)
	const original: unknown = Object.create(null, fields)
	if (typeof original !== 'object' || original === null) throw new Error('it was just made')
	for (const name of Object.keys(fields)) {
		const get = function (this: PackedTable): unknown {
			looks++
			return Reflect.get(original, name, this)
		}
		Object.defineProperty(PackedTable.prototype, name, { configurable: true, get })
	}
	return () => {
		Object.defineProperties(PackedTable.prototype, fields)
		return looks
	}
}

function memoryInUse(): number {
	// Twice: buffers that the first finds unused are given back behind it.
	const gc = exposedGc()
	gc()
	gc()
	const { heapUsed, arrayBuffers } = process.memoryUsage()
	return heapUsed + arrayBuffers
}

function exposedGc(): () => void {
	setFlagsFromString('--expose-gc')
	const gc: unknown = runInNewContext('gc')
	if (typeof gc !== 'function') throw new Error('no gc')
	return () => void Reflect.apply(gc, undefined, [])
}
