import { describe, expect, test } from 'vitest'
import { ByteBudget } from '../../src/maintenance/byte-budget.ts'
import { Executor } from '../../src/maintenance/executor.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { Job, JobPool } from '../../src/runtime/job-pool.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { settle } from '../support/manual-clock.ts'
import { everything, executing, Rig, settleStore } from './rig.ts'

describe('a budget of bytes', () => {
	test('makes whoever wants more than is left wait, in order, and lets one larger than all of it pass alone', async () => {
		const budget = new ByteBudget(100)
		const order: string[] = []
		const take = (name: string, bytes: number): Promise<() => void> =>
			budget.acquire(bytes).then(release => {
				order.push(name)
				return release
			})
		const a = await take('a', 60)
		const b = take('b', 60)
		const c = take('c', 10)
		await settle()
		// Small ones do not overtake: the large one would never have its turn.
		expect(order).toEqual(['a'])
		a()
		a()
		const [releaseB, releaseC] = await Promise.all([b, c])
		expect(budget.usedBytes).toBe(70)
		const huge = take('huge', 1000)
		releaseB()
		releaseC()
		;(await huge)()
		expect(order).toEqual(['a', 'b', 'c', 'huge'])
		expect(budget.usedBytes).toBe(0)
	})

	test('lets whoever aborts leave the line', async () => {
		const budget = new ByteBudget(10)
		const release = await budget.acquire(10)
		const abort = new AbortController()
		const waiting = budget.acquire(10, abort.signal)
		const behind = budget.acquire(1)
		abort.abort(new Error('no more'))
		await expect(waiting).rejects.toThrow('no more')
		release()
		;(await behind)()
		expect(budget.usedBytes).toBe(0)
	})
})

/** A pool whose first job loses its worker, and the buffers with it, before the pool makes the job again. */
function dyingOnce(pool: JobPool): JobPool {
	let deaths = 0
	return {
		run: (name, make, options) => {
			if (deaths++ > 0) return pool.run(name, make, options)
			return pool.run(
				name,
				() => {
					const lost: Job<typeof name> = make()
					structuredClone(null, { transfer: [...lost.transfer] })
					return make()
				},
				options,
			)
		},
		stats: () => pool.stats(),
		close: () => pool.close(),
	}
}

test('the input of a worker that died is read again', async () => {
	const rig = new Rig()
	for (let i = 0; i < 3; i++) {
		const rows = Array.from({ length: 30 }, (_, n) => ({ key: `key-${n}`, value: `v${i}-${n}` }))
		await rig.commit(rows, 'object')
	}
	const crew = await rig.hire()
	const pool = dyingOnce(createInlinePool(rig.host))
	const output = { codec: 'none' as const, targetBytes: 100_000 }
	const options = {
		store: rig.store,
		pool,
		state: crew.owner,
		uploads: crew.uploads,
		mergeMemoryBytes: 1_000_000,
		output,
	}
	expect((await new Executor(options).execute(everything(crew), executing())).kind).toBe('done')
	expect(await rig.rows()).toEqual(rig.expected())
})

test('what was just made, and what is in memory anyway, goes through the callbacks and not through the store', async () => {
	const rig = new Rig()
	await rig.commit([{ key: 'a', value: '1' }])
	await rig.commit([{ key: 'a', value: '2' }])
	const faulty = new FaultyStore(rig.store)
	const crew = await rig.hire(faulty)
	const offered = new Map<string, Uint8Array>()
	for (const { id, objectKey, offset, meta } of crew.owner.manifest.l0) {
		const bytes = await rig.store.getRange(objectKey, { offset, bytes: meta.storedBytes })
		if (bytes !== undefined) offered.set(id, bytes)
	}
	const made = new Map<string, number>()
	const executor = new Executor({
		store: faulty,
		pool: createInlinePool(rig.host),
		state: crew.owner,
		uploads: crew.uploads,
		mergeMemoryBytes: 1_000_000,
		output: { codec: 'none', targetBytes: 1024 },
		offered: ref => offered.get(ref.id),
		onTable: (ref, bytes) => void made.set(ref.id, bytes.length),
	})
	faulty.calls.length = 0
	await executor.execute(everything(crew), executing())
	expect(faulty.calls.map(call => call.operation)).toEqual(['put', 'createIfAbsent'])
	const [table] = (await rig.manifest()).runs[0]?.tables ?? []
	expect([...made]).toEqual([[table?.id, table?.meta.storedBytes]])
})

test('opening behind 100,000 commits costs what the protocol allows, once they are merged', async () => {
	const rig = new Rig()
	const commits = 100_000
	// Empty commits but for a few: what counts is how many there are.
	await rig.commitMany(commits, 1000)
	const crew = await rig.hire()
	expect(crew.owner.manifest.writerPosition.slot).toBe(commits)
	await crew.executor.execute(everything(crew), executing())
	await settleStore(crew)
	const faulty = new FaultyStore(rig.store)
	const manifest = await loadManifest(new DatabaseLogs(faulty))
	expect(manifest.lastSeq).toBe(commits / 1000)
	// Two looks at the checkpoints, the newest one; a record of maintenance, the first free slot of each log and 17 behind it.
	expect(faulty.count('list')).toBe(2)
	expect(faulty.count('get', 'checkpoints/')).toBe(1)
	expect(faulty.count('get', /^(log|maintenance)/)).toBeLessThanOrEqual(1 + 2 * (1 + 17))
	expect(await rig.rows()).toEqual(rig.expected())
	expect(await rig.keys('log/')).toHaveLength(1)
}, 60_000)
