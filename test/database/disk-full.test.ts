/** A file system that is full: a small one of its own, that really is. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { open, openCompactor, openReader, openStore } from '../../src/index.ts'
import { SmallDisk, whyNoSmallDisk } from '../support/small-disk.ts'
import { auditStore } from '../support/store-audit.ts'

const MIB = 1_048_576
const DISK_BYTES = 6 * MIB
/** What is removed to make room. */
const BALLAST_BYTES = 2 * MIB
const random = seededRandom(11)
/** Does not compress. */
const freshValue = (i: number): string => `${i} ${Buffer.from(random.bytes(6000)).toString('base64')}`

describe.skipIf(whyNoSmallDisk() !== undefined)('a store on a disk that is full', () => {
	function fullDisk(): { readonly disk: SmallDisk; readonly url: string; readonly makeRoom: () => void } {
		const disk = new SmallDisk(DISK_BYTES)
		const ballast = join(disk.path, 'ballast')
		writeFileSync(ballast, new Uint8Array(BALLAST_BYTES))
		return { disk, url: pathToFileURL(join(disk.path, 'db')).href, makeRoom: () => rmSync(ballast) }
	}

	/** Durable puts, of the same few keys, until one is refused. */
	async function fill(url: string): Promise<Map<string, string>> {
		const durable = new Map<string, string>()
		const db = await open(url, { maintenance: false, flushIntervalMs: 0, inlineMaxBytes: 4096 })
		let refusal: unknown
		for (let i = 0; refusal === undefined; i++) {
			const [key, value] = [`key ${i % 40}`, freshValue(i)]
			try {
				await db.put(key, value, { durable: true })
				durable.set(key, value)
			} catch (error) {
				refusal = error
			}
		}
		expect(refusal).toMatchObject({ code: 'ISLE_FULL' })
		await expect(db.put('late', 'x', { durable: true })).rejects.toMatchObject({ code: 'ISLE_FULL' })
		await expect(db.close()).rejects.toMatchObject({ code: 'ISLE_FULL' })
		return durable
	}

	async function expectRows(url: string, durable: ReadonlyMap<string, string>): Promise<void> {
		await using reader = await openReader(url)
		const rows = new Map<string, string>()
		for await (const [key, value] of reader.entries()) rows.set(key, value)
		expect(new Map([...rows].filter(([key]) => durable.get(key) !== rows.get(key)))).toEqual(new Map())
		expect(rows.size).toBe(durable.size)
	}

	test('refuses with ISLE_FULL, has all that it acknowledged, is read, and goes on once there is room', async () => {
		const { disk, url, makeRoom } = fullDisk()
		using _ = disk
		const durable = await fill(url)
		expect(durable.size).toBe(40)
		await expectRows(url, durable)
		expect(readdirSync(join(disk.path, 'db', '.isledb-tmp'))).toEqual([])
		makeRoom()
		await using db = await open(url, { maintenance: false })
		expect(await db.get('key 7')).toBe(durable.get('key 7'))
		await db.put('key 7', 'after', { durable: true })
		await expectRows(url, durable.set('key 7', 'after'))
	})

	test('is not maintained, loses nothing by that, and is once there is room', async () => {
		const { disk, url, makeRoom } = fullDisk()
		using _ = disk
		const durable = await fill(url)
		const maintenance = { background: false, gracePeriodMs: 0, changeRetentionMs: 0 }
		const failure = await openCompactor(url, maintenance)
			.then(async compactor => {
				await using it = compactor
				return (await it.runOnce()).outcome
			})
			.catch((error: unknown) => error)
		expect(isIsleError(failure, 'ISLE_FULL') || typeof failure === 'string', String(failure)).toBe(true)
		await expectRows(url, durable)
		makeRoom()
		await using compactor = await openCompactor(url, maintenance)
		for (let round = 0; round < 4; round++) await compactor.runOnce()
		await expectRows(url, durable)
		const store = await openStore(url)
		const { missing, orphans, waiting } = await auditStore(store)
		expect([missing, orphans, waiting]).toEqual([[], [], []])
		// Only the newest of each key is left.
		const { objects } = await store.list({ prefix: 'sst/' })
		expect(objects.reduce((sum, object) => sum + object.bytes, 0)).toBeLessThan(40 * 10_000)
		await store.close()
	})
})
