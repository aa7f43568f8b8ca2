import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDiskCache } from '../../src/cache/disk-cache.ts'
import { isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { collect } from '../reader/fixture.ts'
import { manualHost } from '../support/manual-clock.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { cacheFiles, filesBeneath, fillCache, keyOf, makeDatabase, openReads, requestsOf } from './disk-rig.ts'

const freshPath = scratchDirectories()

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
		const marker = readFileSync(join(directory, 'isledb-cache'))
		// What a power cut leaves of a file that nobody has synced: nothing, a part of it, or zeros.
		for (const left of [marker.subarray(0, 0), marker.subarray(0, 9), Buffer.alloc(marker.length), marker.fill(0, 9)]) {
			writeFileSync(join(directory, 'isledb-cache'), left)
			await openDiskCache(options(directory))
		}
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
