import { readdirSync, rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { collect } from '../reader/fixture.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { manualHost } from '../support/manual-clock.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { type CachedDatabase, fillCache, keyOf, makeDatabase, openReads, requestsOf } from './disk-rig.ts'

const freshPath = scratchDirectories()

describe('a disk that fails', () => {
	const KEYS = [3, 500, 999, 1500, 2999]

	async function readAll(database: CachedDatabase, cached: Awaited<ReturnType<typeof openReads>>): Promise<void> {
		for (const i of KEYS) expect(await cached.reads.get(keyOf(i))).toBe(database.valueOf(i))
		expect((await collect(cached.reads.keys())).length).toBe(database.keys)
		await cached.disk.idle()
	}

	/** Jobs that write fail with `errno` while there is one. */
	function failingPool(): { readonly pool: JobPool; errno: string | undefined; jobs: number } {
		const inner = createInlinePool(systemHost)
		const rig: { readonly pool: JobPool; errno: string | undefined; jobs: number } = {
			errno: undefined,
			jobs: 0,
			pool: {
				stats: () => inner.stats(),
				close: () => inner.close(),
				run: async (name, make, options) => {
					if (name !== 'fill-cache' && name !== 'sweep-cache') return inner.run(name, make, options)
					rig.jobs++
					if (rig.errno !== undefined) throw Object.assign(new Error('injected'), { code: rig.errno })
					return inner.run(name, make, options)
				},
			},
		}
		return rig
	}

	test.each(['ENOSPC', 'EROFS', 'EACCES', 'EIO'])(
		'to write (%s) slows reads, and is tried again later',
		async errno => {
			const database = await makeDatabase()
			const host = manualHost()
			const rig = failingPool()
			await using cached = await openReads(database, freshPath(), { host, pool: rig.pool })
			rig.errno = errno
			await readAll(database, cached)
			const { failures, filesWritten, fillsDropped, lastError } = cached.disk.stats()
			expect(failures).toBe(1)
			expect(filesWritten).toBe(0)
			expect(fillsDropped).toBeGreaterThan(0)
			expect(lastError).toMatchObject({ code: errno })
			const { jobs } = rig
			await readAll(database, cached)
			expect(rig.jobs).toBe(jobs)
			await host.clock.advance(500)
			await readAll(database, cached)
			expect(cached.disk.stats().failures).toBe(2)
			rig.errno = undefined
			await host.clock.advance(1_000)
			await readAll(database, cached)
			expect(cached.disk.stats().failures).toBe(2)
			expect(cached.disk.stats().filesWritten).toBeGreaterThan(0)
			await readAll(database, cached)
			expect(await requestsOf(database.store, () => readAll(database, cached))).toBe(0)
		},
	)

	test('to read slows reads, is left alone for a while, and is tried again', async () => {
		const database = await makeDatabase()
		const host = manualHost()
		const faulty = new FaultyFileCalls()
		const directory = freshPath()
		await fillCache(database, directory)
		await using cached = await openReads(database, directory, { host, calls: faulty.calls })
		faulty.fail('openRead', 'EACCES', { times: 2 })
		await readAll(database, cached)
		expect(cached.disk.stats()).toMatchObject({ hits: 0, failures: 2 })
		await host.clock.advance(500)
		expect(await requestsOf(database.store, () => readAll(database, cached))).toBe(0)
		expect(cached.disk.stats().failures).toBe(2)
	})

	test('to answer at all is given up after two seconds', async () => {
		const database = await makeDatabase()
		const host = manualHost()
		const faulty = new FaultyFileCalls()
		const directory = freshPath()
		await fillCache(database, directory)
		await using cached = await openReads(database, directory, { host, calls: faulty.calls })
		faulty.before = name => (name === 'openRead' ? new Promise(() => undefined) : undefined)
		const reading = cached.reads.get(keyOf(5))
		await host.clock.untilTimers()
		await host.clock.advance(2_000)
		expect(await reading).toBe(database.valueOf(5))
		// It is not asked again at once.
		expect(await cached.reads.get(keyOf(6))).toBe(database.valueOf(6))
		expect(cached.disk.stats().failures).toBeGreaterThan(0)
	})

	test('because somebody deleted it is filled again', async () => {
		const database = await makeDatabase()
		const host = manualHost()
		const directory = freshPath()
		await using cached = await openReads(database, directory, { host })
		await readAll(database, cached)
		rmSync(directory, { recursive: true })
		await readAll(database, cached)
		expect(cached.disk.stats().failures).toBe(1)
		expect(readdirSync(directory).sort()).toEqual(['isledb-cache', 'isledb-v1'])
		await host.clock.advance(500)
		await readAll(database, cached)
		await readAll(database, cached)
		expect(await requestsOf(database.store, () => readAll(database, cached))).toBe(0)
	})

	test('from the start does not keep a reader from opening', async () => {
		const database = await makeDatabase()
		const path = '/proc/isledb-cache'
		await using cached = await openReads(database, path)
		await readAll(database, cached)
		expect(cached.disk.stats().failures).toBeGreaterThan(0)
		expect(cached.disk.stats().hits).toBe(0)
	})
})
