/** Maintenance where it really runs: a thread beside the writer, processes beside it, a directory between them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import {
	type Database,
	type DatabaseStats,
	open,
	openCompactor,
	openReader,
	openStore,
	type WorkEvent,
} from '../../src/index.ts'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { auditStore } from '../support/store-audit.ts'

const scratch = scratchDirectories()
const COMPACTOR = join(import.meta.dirname, 'fixtures/compactor.ts')
const small = {
	flushIntervalMs: 0,
	inlineMaxBytes: 65_536,
	compaction: { targetTableBytes: 1_048_576, l0Tables: 4 },
} as const

afterEach(() => {
	vi.restoreAllMocks()
})

/** Commits tables that overwrite one another, and answers what must be there. */
async function ingest(db: Database, tables: number, model = new Map<string, string>(), seed = 1) {
	const random = seededRandom(seed + model.size)
	for (let table = 0; table < tables; table++) {
		for (let i = 0; i < 400; i++) {
			const key = `key ${Math.floor(random.next() * 4000)}`
			const value = Buffer.from(random.bytes(300)).toString('base64')
			await db.put(key, value)
			model.set(key, value)
		}
		await db.flush()
	}
	return model
}

async function rowsOf(db: { entries(): AsyncIterable<[string, string]> }): Promise<Map<string, string>> {
	const rows = new Map<string, string>()
	for await (const [key, value] of db.entries()) rows.set(key, value)
	return rows
}

/** Minutes of looking, which takes 20 µs and more each time: the thread that is waited for gives way to all others. */
const LOOKS_MAX = 20_000_000
/** What hangs is found, not what is slow. */
const TIMEOUT_MS = 600_000

const TRIES_MAX = 20

function isMerged({ l0Weight, compactionDebtBytes }: DatabaseStats): boolean {
	return l0Weight < 4 && compactionDebtBytes === 0
}

/** Turns of the event loop until `isSo`. */
async function until(db: Database, isSo: (stats: DatabaseStats) => boolean): Promise<DatabaseStats> {
	for (let looks = 0; looks < LOOKS_MAX; looks++) {
		const stats = db.stats()
		if (isSo(stats)) return stats
		await new Promise(resolve => setImmediate(resolve))
	}
	throw new Error(`it did not become so: ${JSON.stringify(db.stats())}`)
}

/** Threads that were called as actors are. */
function actorThreads(): Set<Worker> {
	const threads = new Set<Worker>()
	const post: unknown = Reflect.get(Worker.prototype, 'postMessage')
	vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, ...args) {
		const [message] = args
		if (typeof message === 'object' && message !== null && 'path' in message) threads.add(this)
		if (typeof post === 'function') Reflect.apply(post, this, args)
	})
	return threads
}

describe('in a thread of its own', { timeout: TIMEOUT_MS }, () => {
	test('a database merges what it flushes, with a connection and a pool of that thread', async () => {
		const url = pathToFileURL(scratch()).href
		const threads = actorThreads()
		await using db = await open(url, small)
		const model = await ingest(db, 24)
		const stats = await until(db, isMerged)
		expect(threads.size).toBe(1)
		expect(stats.maintenance).toMatchObject({ state: 'active', deaths: 0, totals: { failures: 0 } })
		expect(stats.maintenance?.pool).toMatchObject({ kind: 'threads', deaths: 0 })
		expect(stats.maintenance?.requests?.total.requests).toBeGreaterThan(0)
		expect(await rowsOf(db)).toEqual(model)
		await using reader = await openReader(url)
		expect(await rowsOf(reader)).toEqual(model)
	})

	test('whose thread dies says so, and gets another one that claims again and goes on', async () => {
		const url = pathToFileURL(scratch()).href
		const threads = actorThreads()
		await using db = await open(url, small)
		const model = await ingest(db, 8)
		await until(db, ({ maintenance }) => maintenance?.state === 'active')
		for (const thread of threads) await thread.terminate()
		const dead = await until(db, ({ maintenance }) => maintenance?.deaths === 1)
		expect(dead.maintenance).toMatchObject({ state: 'resting', lastError: { code: 'ISLE_UNAVAILABLE' } })
		await ingest(db, 12, model)
		const healed = await until(db, ({ maintenance, l0Weight }) => maintenance?.state === 'active' && l0Weight < 4)
		expect(healed.maintenance?.epoch).toBeGreaterThanOrEqual(2)
		expect(threads.size).toBe(2)
		expect(await rowsOf(db)).toEqual(model)
	})

	test('whose thread dies in the middle of a merge loses nothing, and the next one leaves nothing of it behind', async () => {
		const url = pathToFileURL(scratch()).href
		const threads = actorThreads()
		const dying = new Map<Worker, Promise<unknown>>()
		const kill = (): void => {
			for (const thread of threads) if (dying.size < 2 && !dying.has(thread)) dying.set(thread, thread.terminate())
		}
		const onWork = (event: unknown): void => {
			const { kind, work } = event as WorkEvent
			if (work === 'merge' && kind === 'started') kill()
		}
		subscribe('isledb:compaction', onWork)
		const model = new Map<string, string>()
		try {
			await using db = await open(url, { ...small, gracePeriodMs: 0, changeRetentionMs: 0 })
			const haveDied = ({ maintenance }: DatabaseStats): boolean => (maintenance?.deaths ?? 0) >= 2
			// Where this thread is slow to hear of a merge it kills when that is over: then there has to be another one.
			for (let tries = 0; tries < TRIES_MAX && !haveDied(db.stats()); tries++) {
				await ingest(db, 8, model)
				await until(db, stats => haveDied(stats) || isMerged(stats))
			}
			await Promise.all(dying.values())
			await ingest(db, 12, model)
			const healed = await until(db, ({ maintenance, l0Weight }) => maintenance?.state === 'active' && l0Weight < 4)
			expect(healed.maintenance?.deaths).toBe(2)
			expect(await rowsOf(db)).toEqual(model)
		} finally {
			unsubscribe('isledb:compaction', onWork)
		}
		// Another owner, when the epochs of those that died have ended: what they had uploaded is an orphan.
		await using compactor = await openCompactor(url, { gracePeriodMs: 0, changeRetentionMs: 0, background: false })
		for (let runs = 0; runs < 3; runs++)
			expect(await compactor.runOnce()).toMatchObject({ outcome: 'done', failures: 0 })
		const store = await openStore(url)
		expect(await auditStore(store)).toMatchObject({ missing: [], orphans: [] })
		await store.close()
		await using reader = await openReader(url)
		expect(await rowsOf(reader)).toEqual(model)
	})

	test('closes at any time, and leaves nothing running', async () => {
		const url = pathToFileURL(scratch()).href
		const threads = actorThreads()
		const model = new Map<string, string>()
		for (let session = 0; session < 4; session++) {
			const db = await open(url, small)
			await ingest(db, 5 + session, model, session)
			await db.close()
			// A thread that has ended has no number.
			for (const thread of threads) expect(thread.threadId).toBe(-1)
		}
		await using db = await open(url, small)
		expect(await rowsOf(db)).toEqual(model)
	})
})

describe('in processes of their own', { timeout: TIMEOUT_MS }, () => {
	test('a compactor merges for a writer that is alive, which sees it', async () => {
		const url = pathToFileURL(scratch()).href
		await using db = await open(url, { flushIntervalMs: 0, inlineMaxBytes: 65_536, maintenance: false })
		await using compactor = startProgram(COMPACTOR, [url, 'stand'])
		const model = await ingest(db, 16)
		await compactor.line('merge finished')
		const before = db.stats().l0Tables
		await ingest(db, 4, model)
		expect(db.stats().l0Tables).toBeLessThanOrEqual(before + 4)
		expect(await rowsOf(db)).toEqual(model)
		compactor.tell('close')
		expect(await compactor.ended).toEqual({ code: 0, signal: undefined, stderr: '' })
		expect(compactor.lines.at(-1)).toBe('closed')
	})

	test('a second one stands by, and takes over when the first was killed with work undone', async () => {
		const url = pathToFileURL(scratch()).href
		await using db = await open(url, { flushIntervalMs: 0, inlineMaxBytes: 65_536, maintenance: false })
		await using first = startProgram(COMPACTOR, [url, 'stand'])
		const model = await ingest(db, 8)
		await first.line('state active')
		await first.line('merge finished')
		await using second = startProgram(COMPACTOR, [url, 'stand'])
		await ingest(db, 8, model)
		first.kill('SIGKILL')
		await first.ended
		await ingest(db, 8, model)
		await second.line('state active')
		await second.line('merge finished')
		second.tell('close')
		expect((await second.ended).code).toBe(0)
		expect(await rowsOf(db)).toEqual(model)
		await using reader = await openReader(url)
		expect(await rowsOf(reader)).toEqual(model)
	})

	test('runOnce with a deadline comes to its end in several runs, without a writer', async () => {
		const url = pathToFileURL(scratch()).href
		const db = await open(url, { flushIntervalMs: 0, inlineMaxBytes: 65_536, maintenance: false })
		const model = await ingest(db, 60)
		await db.close()
		await using program = startProgram(COMPACTOR, [url, 'once'])
		expect(await program.ended).toMatchObject({ code: 0, stderr: '' })
		const runs = program.lines.filter(line => line.startsWith('run '))
		expect(runs.at(-1)).toMatch(/ done works \d+ failures 0$/)
		await using reader = await openReader(url)
		expect(reader.stats().l0Tables).toBe(0)
		expect(await rowsOf(reader)).toEqual(model)
	})
})
