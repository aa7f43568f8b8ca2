/** A tail that goes on from a row of the state it began with: what happened to the rest of that state meanwhile. */

import { expect, test } from 'vitest'
import type { Change } from '../../src/index.ts'
import { Maintained } from './maintained.ts'

/** `key=value`, and `-key` for a deletion, until that of `b`. */
async function seenFrom(maintained: Maintained, from: string): Promise<string[]> {
	await using reader = await maintained.openReader()
	const seen: string[] = []
	for await (const changes of reader.changes({ from })) {
		for (const { key, value } of changes) seen.push(value === undefined ? `-${key}` : `${key}=${value}`)
		if (seen.includes('-b')) break
	}
	return seen
}

async function firstRow(maintained: Maintained): Promise<Change<string, string>> {
	await using reader = await maintained.openReader()
	for await (const [row] of reader.changes({ from: 'start' })) if (row !== undefined) return row
	throw new Error('there is no row')
}

test('a row that was deleted, and merged away with its tombstone, is shown all the same, before its deletion', async () => {
	const maintained = new Maintained({ changeRetentionMs: 3_600_000 })
	await using db = await maintained.open()
	await db.put('a', '1')
	await db.put('b', '2')
	await db.put('c', '3')
	await db.flush()
	const { cursor } = await firstRow(maintained)
	await db.delete('b')
	await db.flush()
	expect(await seenFrom(maintained, cursor)).toEqual(['b=2', 'c=3', '-b'])
	await maintained.mergeAndCollect()
	expect(await seenFrom(maintained, cursor)).toEqual(['b=2', 'c=3', '-b'])
})
