/**
 * The writers of a history, one after another: each is closed, taken over, or killed at any of its requests, and the next one
 * opens. What was acknowledged as durable is there then, and of the rest some prefix.
 */
import type { Host } from '../../src/host/host.ts'
import type { Random } from '../../src/host/random.ts'
import { createInlinePool, type Database, isIsleError, type JobPool, type ObjectStore, open } from '../../src/index.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { VirtualProcess } from '../support/virtual-process.ts'
import type { HistoryModel } from './history-model.ts'
import type { HistorySettings } from './history-settings.ts'

export interface WritersContext {
	readonly store: ObjectStore
	readonly clock: ManualClock
	readonly random: Random
	readonly settings: HistorySettings
	readonly model: HistoryModel
	readonly newPool: ((host: Host) => JobPool) | undefined
	readonly fault: (what: string) => void
	/** Waits; a call that never answers is a fault. */
	readonly settle: <Value>(work: Promise<Value>) => Promise<Value>
	/** What was read from it is not read on. */
	readonly onGone: (db: Database) => void
}

interface FlushOutcome {
	/** Of the last mutation that it makes durable. */
	readonly seq: number
	readonly error: Error | undefined
}

const BLOB_BYTES = 1024
const COMMIT_MS = 50
const MINUTE_MS = 60_000
const TTLS_MS = [1, MINUTE_MS, 20 * MINUTE_MS, 600 * MINUTE_MS] as const
/** Requests until one stands still, of opening and of a few commits. */
const OPEN_REQUESTS_MAX = 60
const COMMIT_REQUESTS_MAX = 10

export class Writers {
	readonly #context: WritersContext
	#process: VirtualProcess | undefined
	#db: Database | undefined
	#started = 1000
	/** Fenced writers that stand still or are left alone, until the end. */
	readonly #left: VirtualProcess[] = []

	constructor(context: WritersContext) {
		this.#context = context
	}

	get db(): Database {
		if (this.#db === undefined) throw new Error('there is no writer')
		return this.#db
	}

	async open(): Promise<void> {
		const { settle, model, fault } = this.#context
		// One in four dies while it opens, and another one comes.
		if (this.#db !== undefined && this.#below(4) === 0) {
			const unlucky = this.#newProcess()
			unlucky.allow(this.#below(OPEN_REQUESTS_MAX))
			const opening = this.#openOn(unlucky)
			opening.catch(() => undefined)
			await unlucky.untilStill(opening)
			unlucky.kill(this.#context.random)
		}
		if (this.#db !== undefined) this.#context.onGone(this.#db)
		const process = this.#newProcess()
		this.#db = await settle(this.#openOn(process))
		this.#process = process
		const wrong = model.cutTo(this.#db.stats().lastSeq)
		if (wrong !== undefined) fault(wrong)
	}

	async write(): Promise<void> {
		for (let left = 1 + this.#below(8); left > 0; left--) await this.#context.settle(this.#writeOne())
	}

	async batch(): Promise<void> {
		const { model, settle } = this.#context
		const batch = this.db.batch()
		const isDurable = this.#below(2) === 0
		for (let left = 1 + this.#below(10); left > 0; left--) {
			const { key, value, ttlMs } = this.#mutation()
			if (value === undefined) batch.delete(key)
			else batch.put(key, value, { ttlMs })
		}
		const written = this.db.write(batch, { durable: isDurable })
		// Commits are spread over time.
		await this.#context.clock.advance(COMMIT_MS)
		await settle(written)
		if (isDurable) model.durable = model.lastSeq
	}

	async stream(): Promise<void> {
		const { settle } = this.#context
		const { key, value, ttlMs } = this.#mutation(3 * BLOB_BYTES)
		if (value === undefined) return await settle(this.db.delete(key))
		await settle(this.db.putStream(key, pieces(value), { ttlMs }))
	}

	async flush(): Promise<void> {
		const { model, settle } = this.#context
		await settle(this.db.flush())
		model.durable = model.lastSeq
	}

	async reopen(): Promise<void> {
		const { model, settle } = this.#context
		await settle(this.db.close())
		model.durable = model.lastSeq
		await this.open()
	}

	/** Another writer opens, and this one is told that it is fenced. */
	async takeOver(): Promise<void> {
		const old = this.db
		if (this.#process !== undefined) this.#left.push(this.#process)
		await this.open()
		const late = this.#expectFenced(old.put('key 1', 'by a fenced writer', { durable: true }))
		await this.#context.clock.advance(COMMIT_MS)
		await late
		await this.#expectFenced(old.close())
	}

	/** It dies at one of the requests of its commits. */
	async kill(): Promise<void> {
		const process = this.#process
		if (process === undefined) return
		await this.#commitAWhile(process)
		process.kill(this.#context.random)
		await this.open()
	}

	/** It stands still at one of the requests of its commits, is taken over, and goes on. */
	async stall(): Promise<void> {
		const process = this.#process
		if (process === undefined) return
		const { outcomes } = await this.#commitAWhile(process)
		await this.open()
		const { lastSeq } = this.db.stats()
		process.allow(Number.POSITIVE_INFINITY)
		for (const { seq, error } of await this.#context.settle(outcomes)) {
			if (error === undefined && seq > lastSeq) this.#context.fault(`${seq} is durable, ${lastSeq} was taken over`)
			if (error !== undefined && !isIsleError(error, 'ISLE_FENCED'))
				this.#context.fault(`a flush says ${error.message}`)
		}
		this.#left.push(process)
	}

	/** All processes of writers end. */
	end(): void {
		for (const process of [...this.#left, this.#process]) process?.kill(this.#context.random)
	}

	/** Begins a few commits, until a request stands still. */
	async #commitAWhile(process: VirtualProcess): Promise<{ readonly outcomes: Promise<FlushOutcome[]> }> {
		const { model } = this.#context
		process.allow(this.#below(COMMIT_REQUESTS_MAX))
		const flushes: Promise<FlushOutcome>[] = []
		for (let commits = 1 + this.#below(3); commits > 0; commits--) {
			for (let left = 1 + this.#below(3); left > 0; left--) this.#writeOne().catch(() => undefined)
			const seq = model.lastSeq
			const flush = this.db.flush().then(
				() => {
					// Acknowledged to a process that lives: whoever opens next finds it.
					if (this.#process === process) model.durable = Math.max(model.durable, seq)
					return { seq, error: undefined }
				},
				(error: unknown) => ({ seq, error: error instanceof Error ? error : new Error(JSON.stringify(error)) }),
			)
			flushes.push(flush)
		}
		const outcomes = Promise.all(flushes)
		await process.untilStill(outcomes)
		return { outcomes }
	}

	#newProcess(): VirtualProcess {
		const { store, clock } = this.#context
		return new VirtualProcess(store, clock, ++this.#started)
	}

	#openOn({ store, host }: VirtualProcess): Promise<Database> {
		const { settings, newPool } = this.#context
		const { inlineMaxBytes, codec, cacheBytes } = settings
		return open(store, {
			host,
			pool: newPool?.(host) ?? createInlinePool(host),
			maintenance: false,
			inlineMaxBytes,
			codec,
			blockCacheBytes: cacheBytes,
			tableCacheBytes: cacheBytes,
			blobThresholdBytes: BLOB_BYTES,
			flushIntervalMs: 0,
		})
	}

	#writeOne(): Promise<void> {
		const { key, value, ttlMs } = this.#mutation()
		return value === undefined ? this.db.delete(key) : this.db.put(key, value, { ttlMs })
	}

	/** The model has it already: to be written at once. One in ten is large enough for a blob pack. */
	#mutation(bytes = this.#below(10) === 0 ? BLOB_BYTES + this.#below(500) : this.#below(60)): {
		readonly key: string
		readonly value: string | undefined
		readonly ttlMs: number | undefined
	} {
		const { model, settings, clock } = this.#context
		const key = `key ${this.#below(settings.keys)}`
		const writtenAtMs = clock.nowMs()
		const kind = this.#below(8)
		const ttlMs = kind < 2 ? TTLS_MS[this.#below(TTLS_MS.length)] : undefined
		const value = kind === 7 ? undefined : `${model.lastSeq + 1}:`.padEnd(bytes, `${key} `)
		model.add({ key, value, expiresAtMs: ttlMs === undefined ? 0 : writtenAtMs + ttlMs, writtenAtMs })
		return { key, value, ttlMs: value === undefined ? undefined : ttlMs }
	}

	async #expectFenced(call: Promise<unknown>): Promise<void> {
		const { settle, fault } = this.#context
		const error = await settle(
			call.then(
				() => undefined,
				(failure: unknown) => failure,
			),
		)
		if (!isIsleError(error, 'ISLE_FENCED')) fault(`a writer that was taken over says ${String(error)}`)
	}

	#below(count: number): number {
		return Math.floor(this.#context.random.next() * count)
	}
}

async function* pieces(value: string): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < value.length; at += 700) yield Buffer.from(value.slice(at, at + 700))
}
