import { expect, test } from 'vitest'
import { TableSource } from '../../src/cache/table-source.ts'
import { systemHost } from '../../src/host/host.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { GoneTables } from '../../src/reader/gone-tables.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { manifestOf, put, runOf, type TableFixture, tableOf } from './fixture.ts'

const tables = [1, 2, 3].map(seq => tableOf(`w1-${seq}`, [put('key', seq)]))
const merged = tableOf('m1-1', [put('key', 3)])
const nothing = (): Manifest[] => []

function loadedOf(fixtures: readonly TableFixture[]): Parameters<GoneTables['offer']>[0] {
	const commit = {
		position: { epoch: 1, slot: 0 },
		firstSeq: 1,
		lastSeq: 3,
		committedAtMs: 0,
		tables: fixtures.map(({ ref }) => ref),
		blobPacks: [],
	}
	return { commit, inlineTables: new Map(fixtures.map(({ ref, bytes }) => [ref.id, bytes])) }
}

function start(): {
	readonly source: TableSource
	readonly gone: GoneTables
	readonly before: Manifest
	readonly after: Manifest
} {
	const source = new TableSource({ store: new MemoryStore(), pool: createInlinePool(systemHost) })
	const gone = new GoneTables(source)
	const before = manifestOf({ l0: tables.map(({ ref }) => ref), maintenancePosition: { epoch: 1, slot: 1 } })
	const after = manifestOf({ runs: [runOf('r', [merged.ref])], maintenancePosition: { epoch: 1, slot: 2 } })
	gone.offer(loadedOf(tables))
	gone.follow(before, nothing)
	return { source, gone, before, after }
}

test('tables that were merged away leave memory at once, or when the last that reads them has let go', () => {
	const free = start()
	expect(free.source.stats().offeredBytes).toBeGreaterThan(0)
	expect(free.gone.follow(free.after, nothing)?.come.map(({ id }) => id)).toEqual(['m1-1'])
	expect(free.source.stats().offeredBytes).toBe(0)

	const { source, gone, before, after } = start()
	gone.follow(after, () => [after, before])
	expect(gone.waiting).toBe(3)
	expect(source.stats().offeredBytes).toBeGreaterThan(0)
	gone.release(() => [before])
	expect(gone.waiting).toBe(3)
	gone.release(() => [after])
	expect(gone.waiting).toBe(0)
	expect(source.stats().offeredBytes).toBe(0)
})

test('a table that was committed and merged away between two looks is kept by nothing', () => {
	const { source, gone, after } = start()
	gone.follow(after, nothing)
	const late = tableOf('w1-4', [put('key', 4)])
	gone.offer(loadedOf([late]))
	expect(source.stats().offeredBytes).toBeGreaterThan(0)
	gone.follow({ ...after, maintenancePosition: { epoch: 1, slot: 3 } }, nothing)
	expect(source.stats().offeredBytes).toBe(0)
})

test('what waits is bounded', () => {
	const { gone, before, after } = start()
	gone.follow(after, () => [before])
	const l0 = Array.from({ length: 5000 }, (_, i) => ({ ...merged.ref, id: `w1-${i + 10}` }))
	const many = { ...after, l0: l0.map((ref, i) => ({ ...ref, meta: { ...ref.meta, minSeq: i + 10, maxSeq: i + 10 } })) }
	gone.follow({ ...many, maintenancePosition: { epoch: 1, slot: 3 } }, () => [before])
	gone.follow({ ...after, maintenancePosition: { epoch: 1, slot: 4 } }, () => [before])
	expect(gone.waiting).toBe(4096)
})
