import { describe, expect, test } from 'vitest'
import { LOG_START } from '../../src/log/log-position.ts'
import { openWriterLog } from '../../src/manifest/database-logs.ts'
import { assertPrefixIsFree } from '../../src/manifest/prefix-check.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { CommitWriter } from '../support/commit-writer.ts'
import { ScriptedStore } from '../support/scripted-store.ts'

const FIRST_KEY = openWriterLog(new MemoryStore()).key(LOG_START)

async function storeWith(...keys: string[]): Promise<ScriptedStore> {
	const store = new ScriptedStore()
	for (const key of keys) await store.inner.put(key, Uint8Array.of(1))
	return store
}

describe('a prefix where a database is to be made', () => {
	test('may be empty, or hold what the probe of the store left; one LIST tells', async () => {
		for (const store of [await storeWith(), await storeWith('probe/abc')]) {
			await assertPrefixIsFree(store)
			expect(store.calls).toEqual(['list '])
		}
	})

	test.each(['readme.txt', 'log/notes.txt', 'log/1/2', 'blobs/x', 'sst/w1-1', 'aaa'])(
		'is refused when it holds %s',
		async key => {
			const store = await storeWith(key, 'probe/abc')
			await expect(assertPrefixIsFree(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX', details: { key } })
		},
	)

	test('is refused when what is foreign stands behind many objects that could be ours', async () => {
		const store = await storeWith(...Array.from({ length: 30 }, (_, index) => `probe/${index}`), 'zebra')
		await expect(assertPrefixIsFree(store)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
	})

	test('is not refused for a database that somebody made after the log was looked at', async () => {
		const store = await storeWith('blobs/1-0', 'sst/w1-1')
		await CommitWriter.claim(store.inner)
		await assertPrefixIsFree(store)
	})

	test('with a log of which the first record is missing is damaged, not empty', async () => {
		const store = await storeWith()
		const writer = await CommitWriter.claim(store.inner)
		await writer.commit()
		await assertPrefixIsFree(store)
		await store.inner.delete(FIRST_KEY)
		await expect(assertPrefixIsFree(store)).rejects.toMatchObject({
			code: 'ISLE_CORRUPT',
			message: expect.stringContaining(FIRST_KEY),
		})
	})
})
