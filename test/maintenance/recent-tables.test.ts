import { expect, test } from 'vitest'
import { RecentTables } from '../../src/maintenance/recent-tables.ts'
import type { LoadedCommit } from '../../src/manifest/commit.ts'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { table } from './policy-tables.ts'

const MIB = 1_048_576

function refOf(id: string, storedBytes: number): TableRef {
	const made = table(1)
	return { ...made, id, meta: { ...made.meta, storedBytes } }
}

function commitOf(tables: readonly (readonly [string, Uint8Array])[]): LoadedCommit {
	const commit = {
		position: { epoch: 1, slot: 1 },
		firstSeq: 1,
		lastSeq: 1,
		committedAtMs: 0,
		tables: [],
		blobPacks: [],
	}
	return { commit, inlineTables: new Map(tables) }
}

test('what came in records and what was made is there, until it is forgotten or there is no room', () => {
	const recent = new RecentTables(3 * MIB)
	const bytes = new Uint8Array(MIB)
	recent.addCommit(commitOf([['a', bytes]]))
	expect(recent.get(refOf('a', MIB))).toBe(bytes)
	expect(recent.get(refOf('b', MIB))).toBeUndefined()
	// Never taken for a table of another size.
	expect(recent.get(refOf('a', MIB - 1))).toBeUndefined()
	recent.addCommit(commitOf([['a', new Uint8Array(MIB)]]))
	expect(recent.get(refOf('a', MIB))).toBe(bytes)
	for (const id of ['b', 'c']) recent.addMade(refOf(id, MIB), new Uint8Array(MIB))
	expect(recent.bytes).toBe(3 * MIB)
	recent.addMade(refOf('d', 1), new Uint8Array(1))
	expect(recent.get(refOf('a', MIB))).toBeUndefined()
	expect(recent.bytes).toBe(2 * MIB + 1)
	recent.forget(['b', 'c', 'd', 'nobody'])
	expect(recent.bytes).toBe(0)
})

test('a table of a megabyte is small, one byte more is not', () => {
	const recent = new RecentTables()
	expect(recent.addMade(refOf('a', MIB), new Uint8Array(MIB))?.length).toBe(MIB)
	expect(recent.addMade(refOf('b', MIB + 1), new Uint8Array(MIB + 1))).toBeUndefined()
	recent.addCommit(commitOf([['c', new Uint8Array(MIB + 1)]]))
	expect(recent.bytes).toBe(MIB)
})

test('what is kept keeps no larger buffer alive', () => {
	const recent = new RecentTables()
	const memory = new Uint8Array(10_000)
	memory[5] = 7
	const kept = recent.addMade(refOf('a', 10), memory.subarray(0, 10))
	expect(kept?.buffer.byteLength).toBe(10)
	expect(kept?.[5]).toBe(7)
})
