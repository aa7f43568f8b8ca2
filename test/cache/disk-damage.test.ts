import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { collect } from '../reader/fixture.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import {
	type CachedDatabase,
	type CachedReads,
	cacheFiles,
	filesBeneath,
	keyOf,
	makeDatabase,
	openReads,
	requestsOf,
} from './disk-rig.ts'

const freshPath = scratchDirectories()

const DAMAGES = [
	'flip a bit',
	'cut short',
	'empty',
	'lengthen',
	'delete',
	'exchange',
	'make a directory of',
	'make a link of',
	'forbid',
] as const
type Damage = (typeof DAMAGES)[number]

/** Does `damage` to the file number `which` of the cache. */
function inflict(directory: string, damage: Damage, which: number, at: number): void {
	const files = existsSync(directory) ? cacheFiles(directory) : []
	const path = files[which % Math.max(1, files.length)]
	const other = files[(which + 1) % Math.max(1, files.length)]
	if (path === undefined || other === undefined) return
	const bytes = readFileSync(path)
	const place = at % Math.max(1, bytes.length)
	if (damage === 'flip a bit' && bytes.length > 0) {
		bytes[place] = (bytes[place] as number) ^ (1 << (at & 7))
		writeFileSync(path, bytes)
	} else if (damage === 'cut short') truncateSync(path, place)
	else if (damage === 'empty') writeFileSync(path, '')
	else if (damage === 'lengthen') writeFileSync(path, Buffer.concat([bytes, bytes]))
	else if (damage === 'exchange') copyFileSync(other, path)
	else if (damage === 'forbid') chmodSync(path, 0)
	else {
		rmSync(path)
		if (damage === 'make a directory of') mkdirSync(path)
		if (damage === 'make a link of') symlinkSync(other, path)
	}
}

describe('a damaged disk cache', () => {
	let database: CachedDatabase
	beforeAll(async () => {
		database = await makeDatabase(4000, 2)
	})

	test.each(DAMAGES)('whose every file is damaged (%s) is read past, and mended', async damage => {
		const directory = freshPath()
		const readAll = async (cached: CachedReads): Promise<void> => {
			const rows = await collect(cached.reads.entries())
			expect(rows).toEqual(Array.from({ length: database.keys }, (_, i) => [keyOf(i), database.valueOf(i)]))
			expect(await cached.reads.get(keyOf(77))).toBe(database.valueOf(77))
			await cached.disk.idle()
		}
		await using cached = await openReads(database, directory)
		await readAll(cached)
		const count = cacheFiles(directory).length
		expect(count).toBeGreaterThan(4)
		for (let i = 0; i < count; i++) inflict(directory, damage, i, 50_000 + i * 97)
		await readAll(cached)
		await readAll(cached)
		const isMendable = damage !== 'make a directory of'
		const requests = await requestsOf(database.store, () => readAll(cached))
		if (isMendable) expect(requests).toBe(0)
		else expect(requests).toBeGreaterThan(0)
		expect(cached.disk.stats().failures).toBe(0)
	})

	test('never changes an answer, whatever is read and damaged in whatever order', async () => {
		let hits = 0
		let damaged = 0
		const step = fc.oneof(
			{ weight: 4, arbitrary: fc.record({ kind: fc.constant('get' as const), key: fc.nat(4100) }) },
			{
				weight: 3,
				arbitrary: fc.record({
					kind: fc.constant('scan' as const),
					key: fc.nat(4100),
					limit: fc.integer({ min: 1, max: 700 }),
					reverse: fc.boolean(),
				}),
			},
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('many' as const), keys: fc.array(fc.nat(4100)) }) },
			{ weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('open again' as const) }) },
			{ weight: 1, arbitrary: fc.record({ kind: fc.constant('delete all' as const) }) },
			{
				weight: 4,
				arbitrary: fc.record({
					kind: fc.constant('damage' as const),
					damage: fc.constantFrom(...DAMAGES),
					which: fc.nat(),
					at: fc.nat(),
				}),
			},
		)
		const expected = (i: number): string | undefined => (i < database.keys ? database.valueOf(i) : undefined)
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
				const directory = freshPath()
				let cached = await openReads(database, directory, { maxBytes: 1_048_576 })
				for (const at of steps) {
					if (at.kind === 'get') expect(await cached.reads.get(keyOf(at.key))).toBe(expected(at.key))
					else if (at.kind === 'many') {
						expect(await cached.reads.getMany(at.keys.map(keyOf))).toEqual(at.keys.map(expected))
					} else if (at.kind === 'scan') {
						const { key, limit, reverse } = at
						const range = reverse ? { lte: keyOf(key) } : { gte: keyOf(key) }
						const rows = await collect(cached.reads.entries({ ...range, reverse, limit }))
						const from = reverse ? Math.min(key, database.keys - 1) : key
						const length = Math.max(0, Math.min(limit, reverse ? from + 1 : database.keys - from))
						const indexes = Array.from({ length }, (_, i) => (reverse ? from - i : from + i))
						expect(rows).toEqual(indexes.map(i => [keyOf(i), database.valueOf(i)]))
					} else if (at.kind === 'wait') await cached.disk.idle()
					else if (at.kind === 'damage') {
						await cached.disk.idle()
						inflict(directory, at.damage, at.which, at.at)
					} else if (at.kind === 'delete all') rmSync(directory, { recursive: true, force: true })
					else {
						await cached.disk.close()
						hits += cached.disk.stats().hits
						damaged += cached.disk.stats().filesDamaged
						cached = await openReads(database, directory, { maxBytes: 1_048_576 })
					}
				}
				await cached.disk.close()
				hits += cached.disk.stats().hits
				damaged += cached.disk.stats().filesDamaged
				const held = filesBeneath(directory)
				expect(held.reduce((sum, { diskBytes }) => sum + diskBytes, 0)).toBeLessThanOrEqual(1_048_576 + 4_096)
			}),
			{ numRuns: 60 },
		)
		// The control: the cache was used, and the damage was seen.
		expect(hits).toBeGreaterThan(100)
		expect(damaged).toBeGreaterThan(5)
	})

	test('of one file that is sound but of another table is not taken for that of this one', async () => {
		const directory = freshPath()
		await using cached = await openReads(database, directory)
		await collect(cached.reads.keys())
		await cached.disk.idle()
		const [first = '', second = ''] = cacheFiles(directory)
		copyFileSync(first, second)
		mkdirSync(join(dirname(first), 'x'), { recursive: true })
		const before = cached.disk.stats().filesDamaged
		expect((await collect(cached.reads.keys())).length).toBe(database.keys)
		// Two reads of neighbours may find it at the same time.
		expect(cached.disk.stats().filesDamaged - before).toBeGreaterThan(0)
		expect(cached.disk.stats().filesDamaged - before).toBeLessThanOrEqual(2)
	})
})
