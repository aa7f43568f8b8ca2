/** What the public API refuses, each with its error and nothing lost; and writers that do not wait, or are fenced. */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { type Database, isIsleError, open, openReader, openStore, openWriter } from '../../src/index.ts'
import { FaultyStore, refuse } from '../support/faulty-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const scratch = scratchDirectories()
const KEY_MAX_BYTES = 65_536

/** For what a caller without types may pass. */
function untyped<T>(value: unknown): T {
	return value as T
}

async function errorOf(call: () => unknown): Promise<unknown> {
	try {
		await call()
	} catch (error) {
		return error
	}
	return undefined
}

async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
	const collected: Row[] = []
	for await (const row of rows) collected.push(row)
	return collected
}

/** A name for the error: its code, or its class. */
function nameOf(error: unknown): string {
	return isIsleError(error) ? error.code : error instanceof Error ? error.constructor.name : String(error)
}

describe('a call that makes no sense', () => {
	const key = 'x'.repeat(KEY_MAX_BYTES)
	const calls: Record<string, readonly [wanted: string, call: (db: Database) => unknown]> = {
		'put of an empty key': ['RangeError', db => db.put('', 'value')],
		'put of a key one byte too long': ['RangeError', db => db.put(`${key}x`, 'value')],
		'put of a number': ['TypeError', db => db.put('key', untyped(7))],
		'put of nothing': ['TypeError', db => db.put('key', untyped(undefined))],
		'put of a value one byte too long': ['RangeError', db => db.put('key', new Uint8Array(256 * 2 ** 20 + 1))],
		'put with a negative time to live': ['RangeError', db => db.put('key', 'value', { ttlMs: -1 })],
		'put with a time to live of 0': ['RangeError', db => db.put('key', 'value', { ttlMs: 0 })],
		'put with a misspelt option': ['TypeError', db => db.put('key', 'value', untyped({ durabel: true }))],
		'delete of an empty key': ['RangeError', db => db.delete('')],
		'a batch with an empty key': ['RangeError', db => db.write(db.batch().put('key', 'value').put('', 'value'))],
		'a batch that is none': ['TypeError', db => db.write(untyped({ operations: [] }))],
		'a stream of strings': ['TypeError', db => db.putStream('key', untyped(streamOf(['text'])))],
		'get of an empty key': ['RangeError', db => db.get('')],
		'get of a number': ['TypeError', db => db.get(untyped(7))],
		'getMany of one key': ['TypeError', db => db.getMany(untyped('key'))],
		'entries with a negative limit': ['RangeError', db => collect(db.entries({ limit: -1 }))],
		'entries of half a row': ['RangeError', db => collect(db.entries({ limit: 0.5 }))],
		'entries with a bound that is a number': ['TypeError', db => collect(db.entries(untyped({ gte: 7 })))],
		'changes with a misspelt option': ['TypeError', db => db.changes(untyped({ form: 'start' }))],
		'changes from a word': ['RangeError', db => db.changes({ from: 'yesterday' })],
		'changes with a poll interval of 0': ['RangeError', db => db.changes({ pollIntervalMs: 0 })],
	}
	for (const [name, [wanted, call]] of Object.entries(calls)) {
		test(`${name} is a ${wanted}, and changes nothing`, async () => {
			const store = await openStore('memory:')
			await using db = await open(store, { flushIntervalMs: 0 })
			await db.put('kept', 'value')
			expect(nameOf(await errorOf(() => call(db)))).toBe(wanted)
			expect(db.stats()).toMatchObject({ lastSeq: 1, failure: undefined })
			await db.put(key, 'the longest key')
			await db.flush()
			await using reader = await openReader(store)
			expect(await collect(reader.entries())).toEqual([
				['kept', 'value'],
				[key, 'the longest key'],
			])
		})
	}
})

describe('a database that cannot be opened so', () => {
	const openers = { open, openReader, openWriter }
	const everywhere: Record<string, readonly [wanted: string, location: unknown, options: object]> = {
		'of an unknown scheme': ['ISLE_UNSUPPORTED', 'ftp://host/path', {}],
		'of no scheme': ['TypeError', './data', {}],
		'of no location': ['TypeError', undefined, {}],
		'of an object that is no store': ['TypeError', {}, {}],
		'with a prefix that leaves the store': ['RangeError', 'memory:', { prefix: '../other' }],
		'with a misspelt option': ['TypeError', 'memory:', { valueEncodnig: 'json' }],
		'with an unknown encoding': ['TypeError', 'memory:', { valueEncoding: 'xml' }],
	}
	const ofWriters: Record<string, readonly [wanted: string, options: object]> = {
		'with an unknown codec': ['ISLE_UNSUPPORTED', { codec: 'brotli' }],
		'with an unknown durability': ['RangeError', { durability: 'perhaps' }],
		'with a negative interval': ['RangeError', { flushIntervalMs: -1 }],
		'with memory for half a memtable': ['RangeError', { memtableMaxBytes: 1_048_576, writeBufferMaxBytes: 524_288 }],
		'with no commit in flight': ['RangeError', { maxCommitsInFlight: 0 }],
		'with so many in flight that a lost one would not be missed': ['RangeError', { maxCommitsInFlight: 17 }],
	}
	for (const [name, opener] of Object.entries(openers)) {
		for (const [what, [wanted, location, options]] of Object.entries(everywhere)) {
			test(`${what} is refused by ${name}: ${wanted}`, async () => {
				expect(nameOf(await errorOf(() => opener(untyped<string>(location), options)))).toBe(wanted)
			})
		}
		if (name === 'openReader') continue
		for (const [what, [wanted, options]] of Object.entries(ofWriters)) {
			test(`${what} is refused by ${name}: ${wanted}, before anything is written`, async () => {
				const store = await openStore('memory:')
				expect(nameOf(await errorOf(() => openers[untyped<'open'>(name)](store, options)))).toBe(wanted)
				expect((await store.list()).objects).toEqual([])
			})
		}
	}
	test('with negative caches is refused by open and openReader', async () => {
		for (const opener of [open, openReader]) {
			expect(nameOf(await errorOf(() => opener('memory:', { blockCacheBytes: -1 })))).toBe('RangeError')
			expect(nameOf(await errorOf(() => opener('memory:', { tableCacheBytes: -1 })))).toBe('RangeError')
		}
		expect(nameOf(await errorOf(() => openReader('memory:', { refreshIntervalMs: -1 })))).toBe('RangeError')
	})

	test('because the prefix holds something else is ISLE_FOREIGN_PREFIX, and leaves that alone', async () => {
		const store = await openStore('memory:')
		await store.put('photos/cat.jpg', new Uint8Array([1, 2, 3]))
		for (const opener of Object.values(openers)) {
			const error = await errorOf(() => opener(store))
			expect(nameOf(error)).toBe('ISLE_FOREIGN_PREFIX')
			expect(error).toHaveProperty('message', expect.stringContaining('photos/cat.jpg'))
		}
		expect((await store.list()).objects.map(object => object.key)).toEqual(['photos/cat.jpg'])
		await using db = await open(store, { prefix: 'db1' })
		await db.put('key', 'value', { durable: true })
	})
})

describe('a directory', () => {
	test('where a file stands is ISLE_DENIED', async () => {
		const path = scratch()
		writeFileSync(path, 'a file')
		const error = await errorOf(() => open(pathToFileURL(path).href))
		expect(nameOf(error)).toBe('ISLE_DENIED')
	})

	test.each(['ISLE_FULL', 'ISLE_DENIED'] as const)(
		'that is %s in the middle ends the writer so, and loses nothing durable',
		async code => {
			const url = pathToFileURL(scratch()).href
			const store = new FaultyStore(await openStore(url))
			const db = await open(store, { flushIntervalMs: 0, inlineMaxBytes: 0 })
			await db.put('durable', 'value', { durable: true })
			store.fail({ operation: 'put', times: 1000 }, refuse(new IsleError(code, 'no')))
			await db.put('accepted', 'value')
			for (const call of [() => db.flush(), () => db.put('later', 'value'), () => db.write(db.batch().put('a', 'b'))]) {
				expect(nameOf(await errorOf(call))).toBe(code)
			}
			// What it knew it still answers, what was accepted included.
			expect(await db.get('accepted')).toBe('value')
			expect(nameOf(await errorOf(() => db.close()))).toBe(code)
			await using again = await open(url)
			expect(await collect(again.entries())).toEqual([['durable', 'value']])
		},
	)
})

describe('a writer that does not wait', () => {
	test('is refused at the hard limit, and exactly what was accepted is there', async () => {
		const store = await openStore('memory:')
		const db = await open(store, { flushIntervalMs: 0, memtableMaxBytes: 65_536, writeBufferMaxBytes: 524_288 })
		const accepted: string[] = []
		const refusals = new Set<string>()
		const calls: Promise<void>[] = []
		for (let i = 0; i < 20_000; i++) {
			const key = `key ${String(i).padStart(6, '0')}`
			const note = (error: unknown): void => void refusals.add(nameOf(error))
			calls.push(db.put(key, 'v'.repeat(100)).then(() => void accepted.push(key), note))
		}
		await Promise.all(calls)
		expect([...refusals]).toEqual(['ISLE_BACKPRESSURE'])
		expect(accepted.length).toBeGreaterThan(1000)
		expect(accepted.length).toBeLessThan(20_000)
		await db.flush()
		// There is room again.
		await db.put('afterwards', 'value')
		await db.close()
		await using reader = await openReader(store)
		expect(await collect(reader.keys())).toEqual(['afterwards', ...accepted.sort()])
	})
})

describe('a writer that was fenced', () => {
	test('says so to every call that writes, ends its tails so, and still answers reads', async () => {
		const store = await openStore('memory:')
		const first = await open(store, { flushIntervalMs: 0 })
		await first.put('a', '1', { durable: true })
		await first.put('b', '2')
		const changes = first.changes({ from: 'start' })[Symbol.asyncIterator]()
		const seen = await changes.next()
		const waiting = errorOf(() => changes.next())
		await using second = await open(store, { flushIntervalMs: 0 })
		await second.put('a', 'of the second', { durable: true })
		const calls: Record<string, () => unknown> = {
			flush: () => first.flush(),
			put: () => first.put('key', 'value'),
			'durable put': () => first.put('key', 'value', { durable: true }),
			delete: () => first.delete('key'),
			write: () => first.write(first.batch().put('key', 'value')),
			putStream: () => first.putStream('key', streamOf([new Uint8Array(3)])),
		}
		for (const [name, call] of Object.entries(calls))
			expect([name, nameOf(await errorOf(call))]).toEqual([name, 'ISLE_FENCED'])
		const end = await waiting
		expect(nameOf(end)).toBe('ISLE_FENCED')
		expect(isIsleError(end) && end.details['cursor']).toBe(seen.value?.at(-1)?.cursor)
		expect(await collect(first.entries())).toEqual([
			['a', '1'],
			['b', '2'],
		])
		expect(await first.get('a')).toBe('1')
		expect(nameOf(await errorOf(() => first.close()))).toBe('ISLE_FENCED')
		// Closing twice tells the same, and nothing of it has reached the database.
		expect(nameOf(await errorOf(() => first.close()))).toBe('ISLE_FENCED')
		expect(await collect(second.entries())).toEqual([['a', 'of the second']])
	})
})

async function* streamOf<Piece>(pieces: readonly Piece[]): AsyncGenerator<Piece> {
	yield* pieces
}
