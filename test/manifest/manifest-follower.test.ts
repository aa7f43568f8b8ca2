import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import { encodeRecord } from '../../src/log/record.ts'
import { checkpointKey } from '../../src/manifest/checkpoint.ts'
import { openWriterLog } from '../../src/manifest/database-logs.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { CommitWriter, writeCheckpoint } from '../support/commit-writer.ts'
import { collect, follow, GRACE_MS, replayed, sharedStore } from '../support/followed-prefix.ts'
import { manualHost } from '../support/manual-clock.ts'
import { lostReply, ScriptedStore } from '../support/scripted-store.ts'

describe('opening', () => {
	test('a prefix without a database gives an empty manifest and writes nothing', async () => {
		const shared = new ScriptedStore()
		const { follower } = await follow(shared)
		expect(follower.manifest).toEqual(EMPTY_MANIFEST)
		expect(await shared.keys()).toEqual([])
	})

	test('a prefix that holds something else is refused, and nothing is written', async () => {
		const shared = new ScriptedStore()
		await shared.inner.put('photos/cat.jpg', Uint8Array.of(1))
		await expect(follow(shared)).rejects.toMatchObject({ code: 'ISLE_FOREIGN_PREFIX' })
		expect(await shared.keys()).toEqual(['photos/cat.jpg'])
		expect(shared.calls.filter(call => !/^(get|list) /.test(call))).toEqual([])
	})

	test('reads the newest checkpoint and the logs behind it: two LISTs and one GET, and the logs', async () => {
		const { shared, writer } = await sharedStore(5)
		await collect(shared)
		for (let index = 0; index < 3; index++) await writer.commit(2)
		const store = new ScriptedStore(shared)
		const follower = await ManifestFollower.open({ store, host: manualHost() })
		expect(follower.manifest.lastSeq).toBe(11)
		expect(follower.manifest.l0).toHaveLength(8)
		expect(store.count('list')).toBe(2)
		expect(store.count('get', 'checkpoints/')).toBe(1)
		// A window of 8 slots, and what it leaves of the 17 behind the first free one: of the writer log after 3 commits, of the other none.
		expect(store.count('get', 'log/')).toBe(8 + 17 - 4)
		expect(store.count('get', 'maintenance/')).toBe(8 + 17 - 7)
		expect(store.calls).toHaveLength(3 + 2 * (8 + 17) - 11)
	})

	test('goes on with the next newest when a checkpoint was deleted after it was listed', async () => {
		const { shared, writer } = await sharedStore(2)
		const first = await collect(shared, 1)
		await writer.commit()
		const store = new ScriptedStore(shared)
		store.onGet = async (key, run) => {
			if (key === checkpointKey(first)) {
				await collect(shared, 2)
				await shared.delete(key)
			}
			return run()
		}
		expect((await ManifestFollower.open({ store, host: manualHost() })).manifest.lastSeq).toBe(3)
	})

	test.each([
		['is listed but never there', undefined, 'ISLE_UNAVAILABLE'],
		['is empty', new Uint8Array(0), 'ISLE_CORRUPT'],
		['was cut short', 20, 'ISLE_CORRUPT'],
	] as const)('a database whose checkpoint %s fails, and is never an empty one', async (_what, left, code) => {
		const { shared } = await sharedStore(3)
		const key = checkpointKey(await collect(shared))
		const store = new ScriptedStore(shared)
		store.onGet = async (asked, run) => {
			if (asked !== key) return run()
			return typeof left === 'number' ? (await run())?.subarray(0, left) : left
		}
		await expect(ManifestFollower.open({ store, host: manualHost() })).rejects.toMatchObject({ code })
	})

	test('a database whose log lost its beginning fails, and is never an empty one', async () => {
		const { shared } = await sharedStore(3)
		await shared.inner.delete(openWriterLog(shared).key(LOG_START))
		await expect(follow(shared)).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
	})
})

describe('following', () => {
	test('gives at each step what a full replay gives, whatever happens in between', async () => {
		const steps = fc.array(
			fc.constantFrom('commit', 'empty commit', 'takeover', 'checkpoint', 'collect', 'poll', 'refresh', 'wait'),
			{ minLength: 1, maxLength: 25 },
		)
		await fc.assert(
			fc.asyncProperty(steps, fc.constantFrom(0, GRACE_MS), async (drawn, gracePeriodMs) => {
				const { shared, writer: first } = await sharedStore(1)
				let writer = first
				const { follower, host } = await follow(shared, gracePeriodMs)
				for (const [index, step] of drawn.entries()) {
					if (step === 'commit') await writer.commit(1 + (index % 3))
					else if (step === 'empty commit') await writer.commit(0)
					else if (step === 'takeover') writer = await CommitWriter.claim(shared)
					else if (step === 'checkpoint') await writeCheckpoint(shared, await replayed(shared), index + 1)
					else if (step === 'collect' && gracePeriodMs === 0) await collect(shared, index + 1)
					else if (step === 'wait') await host.clock.advance(400)
					else {
						if (step === 'poll') await follower.poll()
						else await follower.refresh()
						const { maintenancePosition: _mine, ...seen } = follower.manifest
						const { maintenancePosition: _theirs, ...full } = await replayed(shared)
						expect(seen).toEqual(full)
					}
				}
			}),
			{ numRuns: 60 },
		)
	})

	test('costs one GET a poll when nothing is new, and one more for each commit', async () => {
		const { shared, writer } = await sharedStore(2)
		const { store, follower } = await follow(shared)
		await follower.poll()
		expect(store.calls).toEqual(['get log/0000000000000001/0000000000000002'])
		store.calls.length = 0
		await writer.commit()
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(3)
		expect(store.count('list')).toBe(0)
		// The window doubles once a commit was found: slot 2, then slots 3 and 4.
		expect(store.calls).toHaveLength(3)
	})

	test('costs one GET of each log and one LIST a refresh when nothing is new', async () => {
		const { shared } = await sharedStore(2)
		const { store, follower } = await follow(shared)
		await follower.refresh()
		expect(store.calls).toEqual([
			'get log/0000000000000001/0000000000000002',
			'get maintenance/0000000000000000/0000000000000000',
			'list checkpoints/',
		])
	})

	test('shows each commit once, with the tables that came in it', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, loaded } = await follow(shared)
		await writer.commit()
		await writer.commit(0)
		await follower.poll()
		await follower.poll()
		expect(loaded).toEqual(['1/0', '1/1', '1/2'])
	})

	test('a takeover looks behind the seal before it trusts what follows', async () => {
		const { shared } = await sharedStore(1)
		const { store, follower } = await follow(shared)
		const next = await CommitWriter.claim(shared)
		await next.commit()
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(2)
		expect(follower.manifest.writerPosition).toEqual({ epoch: 2, slot: 1 })
		expect(store.count('list')).toBe(1)
	})

	test('does not follow a void seal, although it asked for no look', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower } = await follow(shared)
		const at: LogPosition = { epoch: 1, slot: 1 }
		await writer.commit()
		await collect(shared)
		const rest = { owner: new Uint8Array(16), nonce: new Uint8Array(8), body: new Uint8Array(0), sections: [] }
		const seal = encodeRecord({ kind: 'seal', position: at, ...rest }).pieces
		await shared.inner.createIfAbsent(openWriterLog(shared).key(at), seal)
		await writer.commit()
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(3)
		expect(follower.manifest.writerPosition).toEqual({ epoch: 1, slot: 3 })
	})

	test('a gap in sequence numbers is damage; the manifest stays, and so do the next answers', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower } = await follow(shared)
		const before = follower.manifest
		await writer.commit(0, { firstSeq: 5, lastSeq: 4 })
		await expect(follower.poll()).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await expect(follower.refresh()).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		expect(follower.manifest).toBe(before)
	})

	test('a failure keeps the good manifest, and the next call goes on from it', async () => {
		const { shared, writer } = await sharedStore(1)
		const { store, follower } = await follow(shared)
		const before = follower.manifest
		await writer.commit()
		store.onGet = async () => {
			throw lostReply()
		}
		await expect(follower.poll()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(follower.refresh()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(follower.manifest).toBe(before)
		store.onGet = (_key, run) => run()
		store.onList = async () => {
			throw lostReply()
		}
		await expect(follower.refresh()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(follower.manifest).toBe(before)
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(2)
	})
})

describe('a log that was checkpointed and deleted under its follower', () => {
	test('is found again by the next poll at grace 0', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store } = await follow(shared, 0)
		for (let index = 0; index < 3; index++) await writer.commit()
		await collect(shared)
		await follower.poll()
		expect(follower.manifest.lastSeq).toBe(4)
		expect(store.count('get', 'checkpoints/')).toBe(1)
	})

	test('is found by a strong refresh at once, whatever the grace period', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower } = await follow(shared)
		await writer.commit()
		await collect(shared)
		await follower.refresh()
		expect(follower.manifest.lastSeq).toBe(2)
	})

	test('is found by a poll once half the grace period has passed since the last look, not a millisecond later', async () => {
		const { shared, writer } = await sharedStore(1)
		const { follower, store, host } = await follow(shared)
		await host.clock.advance(GRACE_MS / 2 - 1)
		await follower.poll()
		expect(store.count('list')).toBe(0)
		await writer.commit()
		await collect(shared)
		await host.clock.advance(1)
		await follower.poll()
		expect(store.count('list', 'checkpoints/')).toBeGreaterThan(0)
		expect(follower.manifest.lastSeq).toBe(2)
	})

	test.each(['open', 'refresh', 'reopen'] as const)(
		'is found although the look of the last %s took longer than the grace period to come back',
		async slow => {
			// The look happened when it was asked for, not when its answer came: the log may be collected in between.
			const { shared, writer } = await sharedStore(1)
			const host = manualHost()
			const store = new ScriptedStore(shared)
			let delayedLook = slow === 'open' ? 2 : -1
			let lists = 0
			store.onList = async (_prefix, run) => {
				const page = await run()
				if (++lists === delayedLook) await host.clock.advance(GRACE_MS * 2)
				return page
			}
			const follower = await ManifestFollower.open({ store, host, gracePeriodMs: GRACE_MS })
			lists = 0
			if (slow === 'refresh') delayedLook = 1
			if (slow === 'reopen') {
				await writer.commit()
				await collect(shared, 1)
				delayedLook = 3
			}
			if (slow !== 'open') await follower.refresh()
			expect(host.clock.monotonicMs()).toBe(GRACE_MS * 2)
			const { lastSeq } = follower.manifest
			await writer.commit()
			await collect(shared, 2)
			await follower.poll()
			expect(follower.manifest.lastSeq).toBe(lastSeq + 1)
		},
	)
})
