/** Large values in the cache on disk: their frames, whole or in parts, within the bound, and never a reason for a wrong byte. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type DatabaseReader, openReader } from '../../src/database-reader.ts'
import { systemHost } from '../../src/host/host.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import type { OpenReaderOptions } from '../../src/reader/reader-parts.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { openWriter } from '../../src/writer/database-writer.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const freshPath = scratchDirectories()
const pool = createInlinePool(systemHost)
const FRAME_BYTES = 262_144
/** Four frames, the last one of 57 bytes. */
const VALUE_BYTES = 3 * FRAME_BYTES + 57
const MIB = 1_048_576

function patterned(salt: number, bytes: number = VALUE_BYTES): Uint8Array {
	const value = new Uint8Array(bytes)
	for (let i = 0; i < bytes; i++) value[i] = i * 31 + (i >> 8) + salt
	return value
}

async function storeWith(values: Readonly<Record<string, Uint8Array>>): Promise<MemoryStore> {
	const store = new MemoryStore()
	await using writer = await openWriter(store, { flushIntervalMs: 0, pool, valueEncoding: 'buffer' })
	for (const [key, value] of Object.entries(values)) await writer.put(key, value)
	await writer.flush()
	return store
}

type Reads = DatabaseReader<string, Uint8Array>

function reading(store: ObjectStore, cacheDir: string, options: OpenReaderOptions = {}): Promise<Reads> {
	return openReader(store, { refreshIntervalMs: 0, pool, ...options, cacheDir, valueEncoding: 'buffer' })
}

async function streamed(reader: Reads, key: string, offset = 0, bytes?: number): Promise<Buffer> {
	const pieces: Uint8Array[] = []
	for await (const piece of (await reader.getStream(key, { offset, bytes })) ?? []) {
		pieces.push(new Uint8Array(piece))
		// It is the consumer's: what is kept must not share it.
		piece.fill(0)
	}
	return Buffer.concat(pieces)
}

/** Requests for values, and their bytes. */
function asked(reader: Reads): { readonly requests: number; readonly bytes: number } {
	const { getRange, getStream } = reader.requests().byKind
	return {
		requests: getRange.requests + getStream.requests,
		bytes: getRange.receivedBytes + getStream.receivedBytes,
	}
}

function filesIn(directory: string): string[] {
	return readdirSync(directory, { recursive: true, withFileTypes: true })
		.filter(entry => entry.isFile() && entry.name !== 'isledb-cache')
		.map(entry => join(entry.parentPath, entry.name))
}

describe('a large value', () => {
	test('that was read once is read from disk by the next process, whole, as a stream and in parts', async () => {
		const value = patterned(1)
		const store = await storeWith({ v: value })
		for (const read of [
			(reader: Reads) => reader.get('v'),
			(reader: Reads) => streamed(reader, 'v'),
			async (reader: Reads) => (await reader.getMany(['v']))[0],
		]) {
			const cacheDir = freshPath()
			{
				await using reader = await reading(store, cacheDir)
				expect(Buffer.compare((await read(reader)) ?? Buffer.of(), value)).toBe(0)
				expect(asked(reader).requests).toBe(1)
			}
			await using reader = await reading(store, cacheDir)
			expect(Buffer.compare((await reader.get('v')) ?? Buffer.of(), value)).toBe(0)
			expect(Buffer.compare(await streamed(reader, 'v'), value)).toBe(0)
			expect(Buffer.compare(await streamed(reader, 'v', 300_000, 10), value.subarray(300_000, 300_010))).toBe(0)
			expect(asked(reader).requests).toBe(0)
			expect(reader.stats().diskCache).toMatchObject({ failures: 0, filesDamaged: 0 })
		}
	})

	test('of which a part was read is asked for from the first frame on that is missing', async () => {
		const value = patterned(2)
		const store = await storeWith({ v: value })
		const cacheDir = freshPath()
		{
			await using reader = await reading(store, cacheDir)
			expect((await streamed(reader, 'v', 5, 10)).length).toBe(10)
			expect((await streamed(reader, 'v', 2 * FRAME_BYTES + 1, 1)).length).toBe(1)
			expect(asked(reader)).toEqual({ requests: 2, bytes: 2 * (FRAME_BYTES + 4) })
		}
		{
			await using reader = await reading(store, cacheDir)
			// Frames 0 and 2 are there: of 1 to 3 all is fetched, by one request.
			expect(Buffer.compare(await streamed(reader, 'v'), value)).toBe(0)
			expect(asked(reader)).toEqual({ requests: 1, bytes: 2 * (FRAME_BYTES + 4) + 57 + 4 })
		}
		await using reader = await reading(store, cacheDir)
		expect(Buffer.compare((await reader.get('v')) ?? Buffer.of(), value)).toBe(0)
		expect(asked(reader).requests).toBe(0)
	})

	test('whose files are damaged, cut short or exchanged comes from the store, and is kept anew', async () => {
		const value = patterned(3)
		const store = await storeWith({ v: value })
		const cacheDir = freshPath()
		const damages: ((path: string, bytes: Buffer) => void)[] = [
			(path, bytes) => writeFileSync(path, bytes.fill(bytes.at(-9) === 7 ? 8 : 7, bytes.length - 9, bytes.length - 8)),
			(path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length - 1)),
			path => writeFileSync(path, readFileSync(filesIn(cacheDir)[0] ?? path)),
		]
		for (const damage of damages) {
			{
				await using reader = await reading(store, cacheDir)
				await reader.get('v')
			}
			const files = filesIn(cacheDir)
			expect(files.length).toBe(4)
			for (const path of files) damage(path, readFileSync(path))
			await using reader = await reading(store, cacheDir)
			expect(Buffer.compare(await streamed(reader, 'v'), value)).toBe(0)
			expect(Buffer.compare((await reader.get('v')) ?? Buffer.of(), value)).toBe(0)
			expect(asked(reader).requests).toBeGreaterThan(0)
			expect(reader.stats().diskCache?.filesDamaged).toBeGreaterThan(0)
		}
	})

	test('of one database is never taken for one of another, at the same place of a pack of the same name', async () => {
		const cacheDir = freshPath()
		for (const salt of [1, 2, 1, 2]) {
			await using reader = await reading(await storeWith({ v: patterned(salt) }), cacheDir)
			expect(Buffer.compare(await streamed(reader, 'v'), patterned(salt))).toBe(0)
		}
	})

	test('stays within the bound with others, and one read that is larger than an eighth of it is not kept', async () => {
		const names = Array.from({ length: 12 }, (_, i) => `v${i}`)
		const values = Object.fromEntries(names.map((name, i) => [name, patterned(i)]))
		const huge = patterned(99, MIB + 1)
		const store = await storeWith({ ...values, huge })
		const cacheDir = freshPath()
		const cacheDirMaxBytes = 8 * MIB
		for (let round = 0; round < 2; round++) {
			await using reader = await reading(store, cacheDir, { cacheDirMaxBytes })
			let bytes = 0
			// Frames that come faster than the disk takes them are not kept: they are read again.
			for (let pass = 0; pass < 100 && bytes <= cacheDirMaxBytes / 2; pass++) {
				for (const name of names) {
					expect(Buffer.compare((await reader.get(name)) ?? Buffer.of(), values[name] ?? Buffer.of())).toBe(0)
				}
				const sizes = filesIn(cacheDir).map(path => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
				bytes = sizes.reduce((sum, size) => sum + size, 0)
				expect(bytes).toBeLessThanOrEqual(cacheDirMaxBytes)
			}
			expect(bytes).toBeGreaterThan(cacheDirMaxBytes / 2)
		}
		await using reader = await reading(store, cacheDir, { cacheDirMaxBytes })
		const before = asked(reader).requests
		for (let i = 0; i < 2; i++) {
			expect(Buffer.compare((await reader.get('huge')) ?? Buffer.of(), huge)).toBe(0)
			expect(Buffer.compare(await streamed(reader, 'huge'), huge)).toBe(0)
		}
		expect(asked(reader).requests - before).toBe(4)
	})

	test('is kept in files as the disk takes them: what it does not take is dropped, and nothing waits for it', async () => {
		const value = patterned(5, 48 * FRAME_BYTES)
		const store = await storeWith({ v: value })
		// Files are never written, and never fail.
		const stuck: JobPool = {
			...pool,
			run: (name, make, options) =>
				name === 'fill-cache' || name === 'sweep-cache' ? new Promise(() => undefined) : pool.run(name, make, options),
			close: () => Promise.resolve(),
		}
		const reader = await reading(store, freshPath(), { pool: stuck })
		expect(Buffer.compare(await streamed(reader, 'v'), value)).toBe(0)
		expect(Buffer.compare((await reader.get('v')) ?? Buffer.of(), value)).toBe(0)
		// 16 frames are with the disk, and 31 wait: 8 MiB.
		expect(reader.stats().diskCache?.fillsDropped).toBeGreaterThanOrEqual(48 - 16 - 32)
	})

	test('that is no longer wanted ends its request, though a frame came from disk before', async () => {
		const value = patterned(6)
		const store = await storeWith({ v: value })
		const cacheDir = freshPath()
		{
			await using reader = await reading(store, cacheDir)
			await streamed(reader, 'v', 0, 1)
		}
		let returned = 0
		let pulled = 0
		class EndlessStore extends PassThroughStore {
			override getStream(): Promise<AsyncIterable<Uint8Array>> {
				const pieces: AsyncIterator<Uint8Array> = {
					next: () => {
						pulled++
						return new Promise<never>(() => undefined)
					},
					return: () => {
						returned++
						return Promise.resolve({ done: true, value: undefined })
					},
				}
				return Promise.resolve({ [Symbol.asyncIterator]: () => pieces })
			}
		}
		await using reader = await reading(new EndlessStore(store), cacheDir)
		const pieces = (await reader.getStream('v'))?.[Symbol.asyncIterator]()
		if (pieces === undefined) throw new Error('it is there')
		expect((await pieces.next()).value?.length).toBe(FRAME_BYTES)
		const pending = pieces.next()
		while (pulled === 0) await new Promise(resolve => setImmediate(resolve))
		await pieces.return?.()
		expect(returned).toBe(1)
		void pending
	})
})
