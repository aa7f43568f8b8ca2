import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { collect } from '../reader/fixture.ts'
import { type Program, startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { type CachedDatabase, CHURN_MAX_BYTES, churnDatabase, filesBeneath, keyOf, openReads } from './disk-rig.ts'

const freshPath = scratchDirectories()
const READER = join(import.meta.dirname, 'fixtures', 'cache-reader.ts')

const startReader = (directory: string, seed: number): Program => startProgram(READER, [directory, String(seed)])

const heldBytes = (directory: string): number =>
	filesBeneath(directory).reduce((sum, { diskBytes }) => sum + diskBytes, 0)

async function expectAllRight(database: CachedDatabase, directory: string) {
	await using cached = await openReads(database, directory, { maxBytes: CHURN_MAX_BYTES })
	for (let from = 0; from < database.keys; from += 2_000) {
		const rows = await collect(cached.reads.entries({ gte: keyOf(from), limit: 300 }))
		expect(rows).toEqual(Array.from({ length: 300 }, (_, i) => [keyOf(from + i), database.valueOf(from + i)]))
		await cached.disk.idle()
	}
	return cached.disk.stats()
}

describe('processes that share a disk cache', () => {
	test('leave nothing behind that hurts when they are killed while they write', async () => {
		const database = await churnDatabase()
		const directory = freshPath()
		for (let seed = 1; seed <= 4; seed++) {
			await using reader = startReader(directory, seed)
			await reader.line(`round ${seed * 7}`)
			reader.kill('SIGKILL')
			expect((await reader.ended).signal).toBe('SIGKILL')
			expect(reader.lines.filter(line => line.startsWith('wrong'))).toEqual([])
			const stats = await expectAllRight(database, directory)
			expect(stats.hits).toBeGreaterThan(0)
			expect(stats).toMatchObject({ filesDamaged: 0, failures: 0 })
		}
		// Whatever was being written is gone, whether or not a kill came at such a moment.
		expect(readdirSync(join(directory, 'isledb-v1', 'tmp'))).toEqual([])
		expect(heldBytes(directory)).toBeLessThanOrEqual(CHURN_MAX_BYTES + 4_096)
	})

	test('read right side by side, while they evict what the others read and somebody deletes everything', async () => {
		const directory = freshPath()
		await using first = startReader(directory, 11)
		await using second = startReader(directory, 12)
		await using third = startReader(directory, 13)
		const readers = [first, second, third]
		await Promise.all(readers.map(reader => reader.line('round 30')))
		rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
		for (const reader of readers) reader.tell('enough')
		for (const reader of readers) {
			expect(await reader.ended).toMatchObject({ code: 0, stderr: '' })
			expect(reader.lines.filter(line => line.startsWith('wrong'))).toEqual([])
			const counts: unknown = JSON.parse((await reader.line('counts')).slice('counts '.length))
			expect(counts).toMatchObject({ filesDamaged: 0, hits: expect.any(Number) })
		}
		// Those that have met the deletion leave the disk alone for longer than their last rounds take: there may be nothing.
		// Three of them: each but two may have gone over by a 32nd.
		expect(heldBytes(directory) - 4_096).toBeLessThanOrEqual(CHURN_MAX_BYTES + CHURN_MAX_BYTES / 32)
		const stats = await expectAllRight(await churnDatabase(), directory)
		expect(stats.hits).toBeGreaterThan(0)
	})
})
