import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDiskCache } from '../../src/cache/disk-cache.ts'
import { isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { collect } from '../reader/fixture.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { manualHost } from '../support/manual-clock.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import {
	type CachedDatabase,
	cacheFiles,
	filesBeneath,
	keyOf,
	makeDatabase,
	openReads,
	requestsOf,
} from './disk-rig.ts'

const freshPath = scratchDirectories()

async function fillCache(database: CachedDatabase, directory: string): Promise<void> {
	await using cached = await openReads(database, directory)
	const rows = await collect(cached.reads.entries())
	expect(rows.length).toBe(database.keys)
	await cached.disk.idle()
}

describe('a disk cache', () => {
	test('answers the next process without a request, point reads and scans alike', async () => {
		const database = await makeDatabase()
		const directory = freshPath()
		await fillCache(database, directory)
		await using cached = await openReads(database, directory)
		const requests = await requestsOf(database.store, async () => {
			expect(await cached.reads.get(keyOf(17))).toBe(database.valueOf(17))
			expect(await cached.reads.get(keyOf(99_999))).toBeUndefined()
			const values = await cached.reads.getMany([keyOf(1), keyOf(2999), keyOf(1)])
			expect(values).toEqual([database.valueOf(1), database.valueOf(2999), database.valueOf(1)])
			for (const reverse of [false, true]) {
				const rows = await collect(cached.reads.entries({ reverse }))
				const expected = Array.from({ length: database.keys }, (_, i) => [keyOf(i), database.valueOf(i)])
				expect(rows).toEqual(reverse ? expected.reverse() : expected)
			}
		})
		expect(requests).toBe(0)
		const { hits, misses, failures, filesDamaged } = cached.disk.stats()
		expect({ misses, failures, filesDamaged }).toEqual({ misses: 0, failures: 0, filesDamaged: 0 })
		expect(hits).toBeGreaterThan(10)
	})

	test('keeps the blocks that were read and no others, and reads a gap of them by one GET', async () => {
		const database = await makeDatabase(3000, 1)
		const directory = freshPath()
		await using cached = await openReads(database, directory)
		expect(await requestsOf(database.store, () => cached.reads.get(keyOf(1500)))).toBe(2)
		await cached.disk.idle()
		expect(await requestsOf(database.store, () => cached.reads.get(keyOf(1500)))).toBe(0)
		expect(await requestsOf(database.store, () => cached.reads.get(keyOf(0)))).toBe(1)
		await cached.disk.idle()
		const { store } = database
		const bytesBefore = store.snapshot().total.receivedBytes
		const requests = await requestsOf(store, () => collect(cached.reads.keys({ limit: 200 })))
		expect(requests).toBe(1)
		// The first block was there: what is fetched begins behind it.
		expect(store.snapshot().total.receivedBytes - bytesBefore).toBeLessThan(65_536)
	})

	test('never takes more than its bound, evicts what is oldest, and goes on being right', async () => {
		const database = await makeDatabase(60_000, 3)
		const directory = freshPath()
		const maxBytes = 1_048_576
		await using cached = await openReads(database, directory, { maxBytes })
		let largest = 0
		for (let from = 0; from < database.keys; from += 2000) {
			const rows = await collect(cached.reads.entries({ gte: keyOf(from), limit: 500 }))
			expect(rows).toEqual(Array.from({ length: 500 }, (_, i) => [keyOf(from + i), database.valueOf(from + i)]))
			await cached.disk.idle()
			const held = filesBeneath(directory).reduce((sum, { diskBytes }) => sum + diskBytes, 0)
			largest = Math.max(largest, held)
			// The marker is a page of its own.
			expect(held - 4096).toBeLessThanOrEqual(maxBytes)
			expect(cached.disk.stats().bytes).toBe(held - 4096)
		}
		expect(largest).toBeGreaterThan(maxBytes / 2)
		expect(cached.disk.stats().filesEvicted).toBeGreaterThan(10)
	})

	test('does not keep a file larger than an eighth of its bound', async () => {
		const disk = await openDiskCache({
			directory: freshPath(),
			maxBytes: 1_048_576,
			pool: createInlinePool(systemHost),
			host: systemHost,
		})
		expect(disk.admits(131_072)).toBe(true)
		expect(disk.admits(131_073)).toBe(false)
		const name = { digest: new Uint8Array(16), section: 0, label: '' }
		disk.fill(name, [{ index: 0, offset: 0, bytes: new Uint8Array(131_073) }])
		await disk.idle()
		expect(disk.stats()).toMatchObject({ fillsDropped: 1, filesWritten: 0 })
		disk.fill(name, [{ index: 0, offset: 0, bytes: new Uint8Array(131_072) }])
		await disk.close()
		expect(disk.stats()).toMatchObject({ fillsDropped: 1, filesWritten: 1 })
	})

	test.each([
		['another URL', 'b', 1],
		['a prefix that was wiped and used again', 'a', 2],
	])('does not mix databases whose tables look alike: %s', async (_, name, nonce) => {
		const directory = freshPath()
		const database = await makeDatabase(500, 1, 'x', 1)
		const other = await makeDatabase(500, 1, 'y', nonce)
		const url = (store: typeof database.store, suffix: string) =>
			new Proxy(store, {
				get: (target, property) => {
					const value: unknown = property === 'url' ? `test:${suffix}` : Reflect.get(target, property)
					return typeof value === 'function' ? value.bind(target) : value
				},
			})
		const first = { ...database, store: url(database.store, 'a') }
		const second = { ...other, store: url(other.store, name) }
		expect(second.manifest.l0[0]).toEqual(first.manifest.l0[0])
		await fillCache(first, directory)
		await using cached = await openReads(second, directory)
		expect(await cached.reads.get(keyOf(7))).toBe(other.valueOf(7))
		// The control: the same name for both would have given the wrong value.
		const impostor = { ...other, store: url((await makeDatabase(500, 1, 'y', 1)).store, 'a') }
		await using fooled = await openReads(impostor, directory)
		expect(await fooled.reads.get(keyOf(7))).toBe(database.valueOf(7))
	})

	test('keeps nothing of a database that it cannot tell from others yet, and finds out later', async () => {
		const database = await makeDatabase(500, 1)
		const seal = `log/${'0'.repeat(16)}/${'0'.repeat(16)}`
		const bytes = await database.store.get(seal)
		await database.store.delete(seal)
		const host = manualHost()
		await using cached = await openReads(database, freshPath(), { host })
		await cached.reads.get(keyOf(1))
		await cached.disk.idle()
		expect(cached.disk.stats()).toMatchObject({ filesWritten: 0, misses: 0 })
		await database.store.put(seal, bytes ?? new Uint8Array(0))
		await host.clock.advance(1_000)
		// The read that asks which database it is does not wait for the answer.
		await cached.reads.get(keyOf(1))
		await cached.reads.get(keyOf(1))
		await cached.disk.idle()
		expect(cached.disk.stats().filesWritten).toBe(2)
		expect(await requestsOf(database.store, () => cached.reads.get(keyOf(1)))).toBe(0)
	})
})

describe('the directory of a disk cache', () => {
	const options = (directory: string) => ({ directory, pool: createInlinePool(systemHost), host: systemHost })

	test.each([
		['with a file in it', (directory: string) => writeFileSync(join(directory, 'thesis.txt'), 'precious')],
		['with a directory in it', (directory: string) => mkdirSync(join(directory, 'photos'))],
		['with another marker', (directory: string) => writeFileSync(join(directory, 'isledb-cache'), 'another program')],
		[
			'whose files are somebody else’s',
			(directory: string) => void mkdirSync(join(directory, 'isledb-v1', 'letters'), { recursive: true }),
		],
		['whose files are elsewhere', (directory: string) => symlinkSync('/', join(directory, 'isledb-v1'))],
	])('that is somebody else’s is refused and left as it is: %s', async (_, plant) => {
		const directory = freshPath()
		mkdirSync(directory)
		plant(directory)
		const before = readdirSync(directory, { recursive: false })
		const refusal = await openDiskCache(options(directory)).catch((error: unknown) => error)
		expect(isIsleError(refusal, 'ISLE_FOREIGN_PREFIX')).toBe(true)
		expect(String(refusal)).toContain(directory)
		expect(readdirSync(directory)).toEqual(before)
	})

	test('that is a file is refused', async () => {
		const directory = freshPath()
		writeFileSync(directory, 'precious')
		await expect(openDiskCache(options(directory))).rejects.toThrow('no directory')
		await expect(openDiskCache(options(join(directory, 'deeper')))).rejects.toThrow('no directory')
		expect(readFileSync(directory, 'utf8')).toBe('precious')
	})

	test('is taken when it is missing, empty, half made, or has lost its marker', async () => {
		const directory = join(freshPath(), 'deep', 'down')
		await openDiskCache(options(directory))
		await openDiskCache(options(directory))
		rmSync(join(directory, 'isledb-cache'))
		await openDiskCache(options(directory))
		writeFileSync(join(directory, 'isledb-cache'), '')
		await openDiskCache(options(directory))
		rmSync(join(directory, 'isledb-v1'), { recursive: true })
		await openDiskCache(options(directory))
		const several = freshPath()
		await Promise.all(Array.from({ length: 8 }, () => openDiskCache(options(several))))
		expect(readdirSync(several).sort()).toEqual(['isledb-cache', 'isledb-v1'])
	})

	test('keeps foreign files that come into it later', async () => {
		const database = await makeDatabase(20_000, 2)
		const directory = freshPath()
		await fillCache(database, directory)
		const [some = ''] = cacheFiles(directory)
		const foreign = [join(directory, 'note'), join(directory, 'isledb-v1', 'note'), join(dirname(some), 'note')]
		for (const path of foreign) writeFileSync(path, 'precious')
		await using cached = await openReads(database, directory, { maxBytes: 1_048_576 })
		for (const { path } of filesBeneath(directory)) if (cacheFiles(directory).includes(path)) rmSync(path)
		await collect(cached.reads.keys())
		await cached.disk.idle()
		for (const path of foreign) expect(readFileSync(path, 'utf8')).toBe('precious')
	})
})

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
