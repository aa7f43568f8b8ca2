/**
 * A writer with everything around it in the hands of a test: a manual clock, a store in memory that fails as it is told,
 * counted requests, jobs on this thread.
 *
 * Layers, from the writer down: retries, counts, faults, memory. Each opening is a process of its own: its faults do not
 * touch other processes on the same memory.
 */
import { afterEach, expect } from 'vitest'
import { type CountingStore, countingStore } from '../../src/object-store/counting-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { type WriterOptions, writerSettings } from '../../src/writer/options.ts'
import { Writer } from '../../src/writer/writer.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { type ManualClock, type ManualHost, manualHost, settle } from '../support/manual-clock.ts'
import { committedHistory } from './committed-history.ts'

export interface WriterProcess {
	readonly writer: Writer
	readonly faults: FaultyStore
	readonly counts: CountingStore
}

/** Turns of the event loop in which a promise that waits for no timer has settled. */
const QUIET_TURNS = 8

export class WriterRig {
	readonly memory: MemoryStore = new MemoryStore()
	readonly host: ManualHost
	readonly pool: JobPool

	constructor(seed = 1) {
		this.host = manualHost(seed)
		this.pool = createInlinePool(this.host)
	}

	get clock(): ManualClock {
		return this.host.clock
	}

	/** The layers of a new process. */
	layers(memory: ObjectStore = this.memory): { faults: FaultyStore; counts: CountingStore; store: ObjectStore } {
		const faults = new FaultyStore(memory, { host: this.host })
		const counts = countingStore(faults)
		return { faults, counts, store: retryingStore(counts, { host: this.host }) }
	}

	/** Opens a writer with `flushIntervalMs` 0 unless told otherwise, and forgets what opening cost. */
	async open(options: WriterOptions = {}, components: { readonly pool?: JobPool } = {}): Promise<WriterProcess> {
		const { faults, counts, store } = this.layers()
		const settings = writerSettings({ flushIntervalMs: 0, ...options })
		const pool = components.pool ?? this.pool
		const writer = await this.drive(Writer.open({ store, pool, host: this.host }, settings))
		counts.reset()
		return { writer, faults, counts }
	}

	/** Waits for `promise`, moving the clock to the next timer whenever nothing else happens. */
	async drive<T>(promise: Promise<T>): Promise<T> {
		let isSettled = false
		const mark = (): void => {
			isSettled = true
		}
		promise.then(mark, mark)
		for (;;) {
			for (let turn = 0; turn < QUIET_TURNS && !isSettled; turn++) await settle()
			if (isSettled) return await promise
			const nextMs = this.clock.nextTimerMs
			if (nextMs === undefined) throw new Error('nothing happens any more, and the promise is pending')
			await this.clock.advance(nextMs)
		}
	}

	/** Gives the promise every chance to settle without moving the clock. */
	async stateOf(promise: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> {
		let state: 'pending' | 'resolved' | 'rejected' = 'pending'
		promise.then(
			() => {
				state = 'resolved'
			},
			() => {
				state = 'rejected'
			},
		)
		for (let turn = 0; turn < QUIET_TURNS; turn++) await settle()
		return state
	}

	/** What `promise` rejects with; fails when it resolves. */
	async rejection(promise: Promise<unknown>): Promise<unknown> {
		let outcome: { readonly error: unknown } | undefined
		await this.drive(
			promise.then(
				() => undefined,
				(error: unknown) => {
					outcome = { error }
				},
			),
		)
		expect(outcome, 'the promise was expected to reject').toBeDefined()
		return outcome?.error
	}
}

/** Fails the test that leaves a rejection unhandled. Call once at the top of a test file. */
export function refuseUnhandledRejections(): { readonly seen: unknown[] } {
	const seen: unknown[] = []
	process.on('unhandledRejection', reason => seen.push(reason))
	afterEach(async () => {
		await settle()
		expect(seen.splice(0), 'unhandled rejections').toEqual([])
	})
	return { seen }
}

/** Repeatable bytes that do not compress away. */
export function noise(bytes: number, seed = 1): Uint8Array {
	const out = new Uint8Array(bytes)
	let state = seed | 1
	for (let i = 0; i < bytes; i++) {
		state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
		out[i] = state >>> 16
	}
	return out
}

export async function* streamOf(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
	yield* pieces
}

/** For what a caller without types may pass. */
export function untyped<T>(value: unknown): T {
	return value as T
}

/** Nothing of what was refused so far has left a trace: the next write is the first. */
export async function expectUntouched(rig: WriterRig, writer: Writer): Promise<void> {
	expect(writer.stats()).toMatchObject({ lastSeq: 0, pendingBlobBytes: 0, failure: undefined })
	await writer.put('next', 'value')
	await rig.drive(writer.flush())
	const history = await committedHistory(rig.memory)
	expect(history).toMatchObject([{ seq: 1, key: 'next', isBlob: false }])
	expect((await rig.memory.list({ prefix: 'blobs/' })).objects).toEqual([])
	await writer.close()
}
