/** A commit that stands although its writer was not told so yet: others merge it, and delete what it replaces. */
import { expect, test } from 'vitest'
import { everything, executing } from '../maintenance/rig.ts'
import { gate, lostReply, ScriptedStore } from '../support/scripted-store.ts'
import { Maintained } from './maintained.ts'

test('an edit that names such a commit is folded in for a read that misses what the edit has removed', async () => {
	const place = new Maintained({ gracePeriodMs: 0 })
	const first = await place.open()
	await first.put('key', 'old')
	await first.close()
	// It dies when it has deleted what it merged away, and before the records of its log.
	const dying = new ScriptedStore(place.rig.store)
	dying.onList = async (prefix, run) => {
		if (prefix.startsWith('maintenance/')) throw lostReply()
		return await run()
	}
	const crew = await place.rig.hire(dying)
	const store = new ScriptedStore(place.rig.store)
	// What it flushes itself it would have in memory.
	await using db = await place.open({ blockCacheBytes: 0, tableCacheBytes: 0 }, store)
	const [stands, told] = [gate(), gate()]
	store.onCreate = async (key, run) => {
		const outcome = await run()
		if (!key.startsWith('log/')) return outcome
		stands.open()
		await told.opened
		return outcome
	}
	await db.put('key 2', 'new')
	const flushed = db.flush()
	await stands.opened
	await crew.owner.follow()
	await crew.executor.execute(everything(crew), executing())
	await crew.owner.checkpoint()
	await expect(crew.collector.collect()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	expect(await place.rig.keys('sst/')).toHaveLength(1)
	const read = await db.get('key').catch((error: unknown) => error)
	told.open()
	await flushed
	expect(read).toBe('old')
	expect(await db.get('key')).toBe('old')
	expect(await db.get('key 2')).toBe('new')
})
