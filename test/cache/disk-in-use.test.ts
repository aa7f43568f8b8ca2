/** Cache directories that fill up, are damaged, deleted and made read-only while several processes read through them. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { collect } from '../reader/fixture.ts'
import { manualHost } from '../support/manual-clock.ts'
import { startProgram } from '../support/process.ts'
import { SmallDisk, whyNoSmallDisk } from '../support/small-disk.ts'
import { cacheFiles, keyOf, makeDatabase, openReads, requestsOf } from './disk-rig.ts'

const READER = join(import.meta.dirname, 'fixtures', 'cache-reader.ts')

describe.skipIf(whyNoSmallDisk() !== undefined)('a cache on a disk of its own', () => {
	test('that is full slows reads and nothing else, and goes on once there is room', async () => {
		using disk = new SmallDisk(1_048_576)
		const ballast = join(disk.path, 'ballast')
		const database = await makeDatabase()
		const host = manualHost()
		await using cached = await openReads(database, join(disk.path, 'cache'), { host })
		// To the last byte: a full disk writes less than it is asked to, or nothing.
		let bytes = 1_048_576
		while (!wrote(ballast, bytes)) bytes -= 4096
		const readAll = async (): Promise<void> => {
			expect(await collect(cached.reads.entries())).toHaveLength(database.keys)
			for (const i of [3, 999, 2999]) expect(await cached.reads.get(keyOf(i))).toBe(database.valueOf(i))
			await cached.disk.idle()
		}
		await readAll()
		expect(cached.disk.stats()).toMatchObject({ hits: 0, filesWritten: 0, lastError: { code: 'ENOSPC' } })
		rmSync(ballast)
		await host.clock.advance(60_000)
		await readAll()
		expect(cached.disk.stats().filesWritten).toBeGreaterThan(0)
		expect(await requestsOf(database.store, readAll)).toBe(0)
	})

	test('that is damaged, read-only, writable again and deleted while three processes read never gives a wrong row', async () => {
		using disk = new SmallDisk(8_388_608)
		const directory = join(disk.path, 'cache')
		await using first = startProgram(READER, [directory, '21'])
		await using second = startProgram(READER, [directory, '22'])
		await using third = startProgram(READER, [directory, '23'])
		const readers = [first, second, third]
		const all = (round: number): Promise<unknown> => Promise.all(readers.map(reader => reader.line(`round ${round}`)))
		// Where this process is slow the others may have put other files in the place of those that it damaged: until it is noticed.
		const isNoticed = (): boolean => readers.some(({ lines }) => lines.includes('met damage'))
		let round = 20
		for (await all(round); !isNoticed(); await all(++round)) damageAll(directory)
		await disk.makeReadOnly()
		damageAll(directory)
		await all(round + 20)
		disk.makeWritable()
		damageAll(directory)
		await all(round + 40)
		rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
		for (const reader of readers) reader.tell('deleted')
		let damaged = 0
		for (const reader of readers) {
			expect(await reader.ended).toMatchObject({ code: 0, stderr: '' })
			expect(reader.lines.filter(line => line.startsWith('wrong'))).toEqual([])
			const counts: { filesDamaged: number; hits: number } = JSON.parse(
				(await reader.line('counts')).slice('counts '.length),
			)
			expect(counts.hits).toBeGreaterThan(0)
			damaged += counts.filesDamaged
		}
		expect(damaged).toBeGreaterThan(0)
	})
})

/** False when the disk has not so much room. */
function wrote(path: string, bytes: number): boolean {
	try {
		writeFileSync(path, new Uint8Array(bytes))
		return true
	} catch {
		return false
	}
}

/** One byte of each file becomes another, in its place; a disk that is read-only stays as it is. */
function damageAll(directory: string): void {
	for (const path of cacheFiles(directory)) {
		try {
			const bytes = readFileSync(path)
			const at = Math.floor(bytes.length / 2)
			bytes[at] = (bytes[at] ?? 0) ^ 0x20
			writeFileSync(path, bytes)
		} catch {
			// Somebody has evicted it meanwhile.
		}
	}
}
