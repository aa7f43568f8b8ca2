/**
 * At-least-once consumption: every change is handled, and only what was handled is remembered.
 *
 * Steps: load the cursor; read batches behind it; start handlers in order, several at a time; the cursor of the last
 * change of the finished prefix is saved every so often, and once more at the end.
 *
 * Invariants: what is saved never lies behind a change whose handler has not finished; a handler that keeps failing ends
 * the consumption, and nothing behind its change is saved; one save at a time; memory is one batch.
 */
import { describe, integerOption } from '../arguments.ts'
import { IsleError } from '../errors.ts'
import { pauseMs, type RetryBudget } from '../host/backoff.ts'
import { sleep, type Timer } from '../host/clock.ts'
import type { Host } from '../host/host.ts'
import type { Change } from './change.ts'

/** Where a consumer keeps its cursor. */
export interface CheckpointStore {
	/** The cursor that was saved last; undefined when none was. */
	load(): Promise<string | undefined>
	/** Durable when it resolves. Saving an older cursor again does no harm but work that is done twice. */
	save(cursor: string): Promise<void>
}

export interface ConsumeOptions<Key = unknown, Value = unknown> {
	/**
	 * Called for each change, in order; the next calls do not wait for it while `concurrency` allows. It may see a change
	 * again: after a failure, a crash or a stop. `signal` aborts when the consumption is aborted.
	 */
	readonly handler: (change: Change<Key, Value>, context: { readonly signal: AbortSignal }) => unknown
	readonly checkpoint: CheckpointStore
	/** Handlers at the same time. Default 1; 1 to 10,000. */
	readonly concurrency?: number | undefined
	/** Progress is saved after this long at the latest, in milliseconds. Default 1000. */
	readonly saveIntervalMs?: number | undefined
	/** And after this many changes. Default 1000. */
	readonly saveEveryCount?: number | undefined
	/** Calls for one change, and for one save, until its failure is final. Default 5; pauses grow from 100 ms to 10 s. */
	readonly maxAttempts?: number | undefined
	/** Aborts handlers; what is finished is saved; `finished` rejects with the signal's reason. `stop` is the gentle way. */
	readonly signal?: AbortSignal | undefined
}

/** Batches of changes behind `cursor`; undefined: nothing was saved yet. */
export type ChangeSource<Key, Value> = (cursor: string | undefined) => AsyncIterable<readonly Change<Key, Value>[]>

interface Handling {
	readonly cursor: string
	isDone: boolean
}

/** 2^31 − 1: what a timer takes. */
const INTERVAL_MAX_MS = 2_147_483_647

export class Consumption<Key = unknown, Value = unknown> implements AsyncDisposable {
	/** Resolves after `stop`; rejects with what ended the consumption, after the finished prefix was saved. */
	readonly finished: Promise<void>
	readonly #host: Host
	readonly #source: ChangeSource<Key, Value>
	readonly #options: ConsumeOptions<Key, Value>
	readonly #concurrency: number
	readonly #saveIntervalMs: number
	readonly #saveEveryCount: number
	readonly #budget: RetryBudget
	readonly #controller = new AbortController()
	/** Oldest first; finished ones leave from the front. */
	readonly #handlings: Handling[] = []
	#iterator: (AsyncIterator<readonly Change<Key, Value>[]> & { readonly cursor?: string | undefined }) | undefined
	#runningCount = 0
	#isBetweenBatches = false
	#isStopping = false
	#failure: IsleError | undefined
	#handledCount = 0
	#unsavedCount = 0
	#finishedCursor: string | undefined
	#savedCursor: string | undefined
	#saving: Promise<void> | undefined
	#timer: Timer | undefined
	/** Wakes the loop that waits for room. */
	#onRoom: (() => void) | undefined

	/** Starts at once. @throws TypeError, RangeError naming the option. @internal */
	constructor(host: Host, source: ChangeSource<Key, Value>, options: ConsumeOptions<Key, Value>) {
		const { handler, checkpoint } = options
		if (typeof handler !== 'function') {
			throw new TypeError(`Expected \`handler\` to be a function, got ${describe(handler)}`)
		}
		if (typeof checkpoint?.load !== 'function' || typeof checkpoint.save !== 'function') {
			throw new TypeError(`Expected \`checkpoint\` to have load and save, got ${describe(checkpoint)}`)
		}
		this.#host = host
		this.#source = source
		this.#options = options
		this.#concurrency = integerOption('concurrency', options.concurrency, 1, 1, 10_000)
		this.#saveIntervalMs = integerOption('saveIntervalMs', options.saveIntervalMs, 1000, 1, INTERVAL_MAX_MS)
		this.#saveEveryCount = integerOption('saveEveryCount', options.saveEveryCount, 1000, 1, 1_000_000_000)
		const maxAttempts = integerOption('maxAttempts', options.maxAttempts, 5, 1, 1_000_000)
		this.#budget = { maxAttempts, budgetMs: Number.POSITIVE_INFINITY, basePauseMs: 100, maxPauseMs: 10_000 }
		this.finished = this.#run()
	}

	/** The cursor that was saved last. */
	get savedCursor(): string | undefined {
		return this.#savedCursor
	}

	/** Changes whose handlers have finished, of the finished prefix. */
	get handledCount(): number {
		return this.#handledCount
	}

	/** Starts no more handlers and no more attempts, lets those that run finish, saves; then resolves or rejects as `finished` does. */
	stop(): Promise<void> {
		this.#isStopping = true
		this.#leave()
		return this.finished
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop()
	}

	async #run(): Promise<void> {
		const { signal } = this.#options
		const onAbort = (): void => {
			// The caller knows: nobody need listen to `finished`.
			this.finished.catch(() => undefined)
			this.#controller.abort(signal?.reason)
			this.#leave()
		}
		signal?.addEventListener('abort', onAbort, { once: true })
		let error: unknown
		try {
			signal?.throwIfAborted()
			this.#savedCursor = await this.#options.checkpoint.load()
			this.#finishedCursor = this.#savedCursor
			signal?.throwIfAborted()
			await this.#consume()
		} catch (thrown) {
			error = thrown
		} finally {
			signal?.removeEventListener('abort', onAbort)
			this.#timer?.cancel()
			this.#leave()
		}
		await this.#settle()
		signal?.throwIfAborted()
		if (this.#failure !== undefined) throw this.#failure
		if (error !== undefined) throw error
	}

	async #consume(): Promise<void> {
		const iterator = this.#source(this.#savedCursor)[Symbol.asyncIterator]()
		this.#iterator = iterator
		this.#armTimer()
		while (!this.#isOver()) {
			this.#isBetweenBatches = true
			const result = await iterator.next()
			this.#isBetweenBatches = false
			if (result.done) return
			for (const change of result.value) {
				while (this.#handlings.length >= this.#concurrency && !this.#isOver()) await this.#room()
				if (this.#isOver()) return
				this.#start(change)
			}
		}
	}

	#isOver(): boolean {
		return this.#isStopping || this.#failure !== undefined || this.#controller.signal.aborted
	}

	#room(): Promise<void> {
		return new Promise(resolve => {
			this.#onRoom = resolve
		})
	}

	/** Frees the tail and wakes the loop. */
	#leave(): void {
		this.#iterator?.return?.().catch(() => undefined)
		this.#onRoom?.()
	}

	#start(change: Change<Key, Value>): void {
		const handling: Handling = { cursor: change.cursor, isDone: false }
		this.#handlings.push(handling)
		this.#runningCount++
		// It never rejects: a failure is kept.
		void this.#handle(change).then(isDone => {
			this.#runningCount--
			handling.isDone = isDone
			this.#shiftFinished()
			this.#onRoom?.()
		})
	}

	/** True when the handler has finished. */
	async #handle(change: Change<Key, Value>): Promise<boolean> {
		const { signal } = this.#controller
		const { handler } = this.#options
		try {
			await this.#attempt(
				async () => await handler(change, { signal }),
				() => !this.#isOver(),
			)
			return true
		} catch (error) {
			if (!this.#isOver()) this.#fail(`the handler failed: seq=\`${change.seq}\``, error, { seq: change.seq })
			return false
		}
	}

	#shiftFinished(): void {
		while (this.#handlings[0]?.isDone) {
			this.#finishedCursor = this.#handlings.shift()?.cursor
			this.#handledCount++
			this.#unsavedCount++
		}
		if (this.#unsavedCount >= this.#saveEveryCount) this.#requestSave()
	}

	#armTimer(): void {
		this.#timer = this.#host.clock.schedule(
			this.#saveIntervalMs,
			() => {
				this.#requestSave()
				if (!this.#isOver()) this.#armTimer()
			},
			// The tail that it belongs to decides whether the process lives.
			{ background: true },
		)
	}

	/** The furthest place with nothing unfinished before it. */
	#progress(): string | undefined {
		const isIdle = this.#isBetweenBatches && this.#handlings.length === 0
		// What a filter passes over is progress too: else a cursor would age behind rare changes.
		return (isIdle ? this.#iterator?.cursor : undefined) ?? this.#finishedCursor
	}

	#requestSave(): void {
		if (this.#saving !== undefined || this.#failure !== undefined) return
		this.#saving = this.#save().finally(() => {
			this.#saving = undefined
		})
	}

	/** Never rejects: a failure is kept. */
	async #save(): Promise<void> {
		const cursor = this.#progress()
		if (cursor === undefined || cursor === this.#savedCursor) return
		const count = this.#unsavedCount
		try {
			await this.#attempt(() => this.#options.checkpoint.save(cursor))
			this.#savedCursor = cursor
			this.#unsavedCount -= count
		} catch (error) {
			this.#fail('progress could not be saved', error, {})
		}
	}

	/** Waits for handlers that run and saves what is finished. */
	async #settle(): Promise<void> {
		while (this.#runningCount > 0) await this.#room()
		await this.#saving
		this.#isBetweenBatches = false
		const failure = this.#failure
		await this.#save()
		// The first failure is the one to tell, with what was saved in the end.
		if (failure !== undefined) this.#failure = failure
		if (this.#failure === undefined) return
		const { code, message, cause, details } = this.#failure
		const cursor = this.#savedCursor === undefined ? {} : { cursor: this.#savedCursor }
		this.#failure = new IsleError(code, message, { cause, details: { ...details, ...cursor } })
	}

	/** Calls `work` until it succeeds, its attempts are spent or it is not worth another one. */
	async #attempt(work: () => Promise<unknown>, isWorthwhile: () => boolean = () => true): Promise<void> {
		const { clock, random } = this.#host
		for (let attempt = 1; ; attempt++) {
			try {
				await work()
				return
			} catch (error) {
				if (attempt >= this.#budget.maxAttempts || this.#controller.signal.aborted || !isWorthwhile()) throw error
				await sleep(clock, pauseMs(attempt - 1, this.#budget, random.next()), this.#controller.signal)
			}
		}
	}

	#fail(what: string, cause: unknown, details: Readonly<Record<string, number>>): void {
		if (this.#failure !== undefined) return
		const why = cause instanceof Error ? cause.message : String(cause)
		this.#failure = new IsleError('ISLE_CLOSED', `the consumption ended because ${what}: ${why}`, { cause, details })
		this.#leave()
	}
}
