/**
 * One history of writers beside a naive one: what a store holds is a prefix of what each writer accepted, in the order of
 * calls, it contains everything that was acknowledged as durable, and batches are whole.
 */
import { expect } from 'vitest'
import type { BlobRef } from '../../src/blob/blob-ref.ts'
import { isIsleError, unreachable } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { blobPackKey } from '../../src/writer/blob-packer.ts'
import type { WriterOptions } from '../../src/writer/options.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { Writer } from '../../src/writer/writer.ts'
import { deliverLater, duplicateLater, type FaultyStore, failBefore, loseReply } from '../support/faulty-store.ts'
import { type CommittedEntry, committedHistory, latin1 } from './committed-history.ts'
import { expectReads } from './expected-reads.ts'
import { KEYS, type Step } from './history-steps.ts'
import { noise, streamOf, WriterRig } from './writer-rig.ts'

interface Expected {
	readonly key: string
	readonly value: string | undefined
	readonly expiresAtMs: number
	/** Entries of one batch have one number. */
	readonly call: number
}

/** One opening of the database. */
export interface Life {
	readonly writer: Writer
	readonly faults: FaultyStore
	/** Sequence number of the entry before its first. */
	readonly baseSeq: number
	readonly accepted: Expected[]
	/** How many of them were acknowledged as durable. */
	durable: number
	/** Acknowledgements that have not come yet. */
	readonly waiting: Set<Promise<unknown>>
}

const FAULTS = [failBefore(), loseReply(), deliverLater(), duplicateLater()]
const keyOf = (key: number): string => `key/${key}`
const KEY_NAMES = Array.from({ length: KEYS }, (_, key) => keyOf(key))

/** What a control puts in the way of the checks, to see that they find it. */
export interface Checks {
	readonly history: (entries: readonly CommittedEntry[]) => readonly CommittedEntry[]
}

export class WriterHistory {
	readonly rig: WriterRig
	readonly options: WriterOptions
	/** Oldest first; the last one is open. */
	readonly lives: Life[] = []
	/** Writers that were taken over and do not know it. */
	readonly zombies: Life[] = []
	#calls = 0
	#values = 0

	constructor(seed: number, options: WriterOptions) {
		this.rig = new WriterRig(seed)
		this.options = options
	}

	get life(): Life {
		const life = this.lives.at(-1)
		if (life === undefined) throw new Error('no writer is open')
		return life
	}

	async open(): Promise<void> {
		const { faults, store } = this.rig.layers()
		const { host, pool } = this.rig
		const writer = await this.rig.drive(Writer.open({ store, pool, host }, writerSettings(this.options)))
		const baseSeq = writer.stats().lastSeq
		this.lives.push({ writer, faults, baseSeq, accepted: [], durable: 0, waiting: new Set() })
	}

	async run(step: Step): Promise<void> {
		const { life, rig } = this
		switch (step.kind) {
			case 'put':
			case 'delete':
			case 'batch':
				this.#write(life, step)
				return
			case 'stream':
				await this.#stream(life, step.key, step.bytes, step.cut)
				return
			case 'flush':
				this.#await(life, life.accepted.length, life.writer.flush())
				return
			case 'drain':
				await this.rig.drive(Promise.allSettled(life.waiting))
				return
			case 'advance':
				await rig.clock.advance(step.ms)
				return
			case 'reopen':
				await this.#close(life)
				await this.open()
				return
			case 'crash':
				life.faults.crashAt(life.faults.calls.length, 'before-effect')
				await this.open()
				return
			case 'takeover':
				this.zombies.push(life)
				await this.open()
				return
			case 'late':
				for (const each of this.lives) await each.faults.deliverLate()
				return
			case 'heal':
				life.faults.heal()
				return
			case 'faults':
				life.faults.failAtRandom(seededRandom(step.seed), step.rate, FAULTS)
				return
			case 'outage': {
				const endMs = rig.clock.monotonicMs() + step.ms
				life.faults.before = () => (rig.clock.monotonicMs() < endMs ? failBefore() : undefined)
				return
			}
			case 'read':
				await this.#readOwn(life)
				return
			default:
				unreachable(step)
		}
	}

	/** Everything ends; then the store is compared with what the writers accepted. */
	async end(checks: Checks = { history: entries => entries }): Promise<number> {
		for (const life of this.lives) life.faults.heal()
		for (const zombie of this.zombies) {
			await this.#close(zombie)
			await zombie.faults.deliverLate()
		}
		await this.#close(this.life)
		for (const life of this.lives) {
			await life.faults.deliverLate()
			await this.rig.drive(Promise.allSettled(life.waiting))
		}
		await this.open()
		const history = checks.history(await committedHistory(this.rig.memory))
		for (const [index, life] of this.lives.entries()) {
			const endSeq = this.lives[index + 1]?.baseSeq ?? life.baseSeq
			expectPrefix(life, history.slice(life.baseSeq, endSeq))
		}
		expect(history).toHaveLength(this.life.baseSeq)
		await this.#readAll(history)
		// What a crashed writer still tries comes to an end too.
		await this.rig.clock.advance(200_000)
		expect(this.rig.clock.pendingTimers).toBe(0)
		return history.length
	}

	#value(bytes: number): Uint8Array {
		return noise(bytes, ++this.#values)
	}

	#write(life: Life, step: Step & { readonly kind: 'put' | 'delete' | 'batch' }): void {
		const { writer } = life
		const { durable } = step
		if (step.kind === 'put') {
			const value = this.#value(step.bytes)
			const expiresAtMs = step.ttlMs === undefined ? 0 : this.rig.clock.nowMs() + step.ttlMs
			this.#mutate(life, [{ key: keyOf(step.key), value: latin1(value), expiresAtMs }], durable, () =>
				writer.put(keyOf(step.key), value, { durable, ttlMs: step.ttlMs }),
			)
		} else if (step.kind === 'delete') {
			this.#mutate(life, [{ key: keyOf(step.key), value: undefined, expiresAtMs: 0 }], durable, () =>
				writer.delete(keyOf(step.key), { durable }),
			)
		} else {
			const batch = new WriteBatch()
			const entries = step.keys.map((key, i) => {
				const value = i % 4 === 3 ? undefined : this.#value(step.bytes)
				if (value === undefined) batch.delete(keyOf(key))
				else batch.put(keyOf(key), value)
				return { key: keyOf(key), value: value === undefined ? undefined : latin1(value), expiresAtMs: 0 }
			})
			this.#mutate(life, entries, durable, () => writer.write(batch, { durable }))
		}
	}

	/** A mutation is accepted when it has taken sequence numbers: whether its promise rejects later says nothing. */
	#mutate(life: Life, entries: Omit<Expected, 'call'>[], durable: boolean, call: () => Promise<void>): void {
		const before = life.writer.stats().lastSeq
		const done = call()
		const taken = life.writer.stats().lastSeq - before
		expect([0, entries.length]).toContain(taken)
		if (taken > 0) {
			const number = this.#calls++
			for (const entry of entries) life.accepted.push({ ...entry, call: number })
		}
		this.#await(life, durable ? life.accepted.length : 0, done)
	}

	/** Once `done` has resolved, the first `count` accepted entries are durable. */
	#await(life: Life, count: number, done: Promise<unknown>): void {
		const waiting = done.then(
			() => {
				life.durable = Math.max(life.durable, count)
			},
			(error: unknown) => this.#expectTypical(life, error),
		)
		life.waiting.add(waiting)
		void waiting.then(() => life.waiting.delete(waiting))
	}

	#expectTypical(life: Life, error: unknown): void {
		const codes = ['ISLE_FENCED', 'ISLE_INDETERMINATE', 'ISLE_UNAVAILABLE', 'ISLE_CLOSED', 'ISLE_BACKPRESSURE']
		expect(isIsleError(error) && codes.includes(error.code), String(error)).toBe(true)
		const { failure } = life.writer
		if (failure !== undefined)
			expect(['ISLE_CLOSED', 'ISLE_BACKPRESSURE', failure.code]).toContain((error as { code: string }).code)
	}

	async #stream(life: Life, key: number, bytes: number, cut: boolean): Promise<void> {
		const value = this.#value(bytes)
		const half = Math.floor(bytes / 2)
		async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
			yield value.slice(0, half)
			if (cut) throw new Error('cut')
			yield value.slice(half)
		}
		const before = life.writer.stats().lastSeq
		const outcome = await this.rig.drive(
			life.writer.putStream(keyOf(key), cut ? source() : streamOf(value), { durable: false }).then(
				() => undefined,
				(error: unknown) => error,
			),
		)
		const isAccepted = life.writer.stats().lastSeq > before
		if (isAccepted) {
			life.accepted.push({ key: keyOf(key), value: latin1(value), expiresAtMs: 0, call: this.#calls++ })
		}
		if (cut) expect(isAccepted).toBe(false)
		if (outcome !== undefined && !(outcome instanceof Error && outcome.message === 'cut')) {
			this.#expectTypical(life, outcome)
		}
	}

	async #close(life: Life): Promise<void> {
		const count = life.accepted.length
		const closed = await this.rig.drive(
			life.writer.close().then(
				() => true,
				(error: unknown) => {
					expect(isIsleError(error, life.writer.failure?.code), String(error)).toBe(true)
					return false
				},
			),
		)
		if (closed) life.durable = count
		expect(life.writer.failure === undefined).toBe(closed)
	}

	/** The writer's own view shows the last of everything that was accepted, committed or not. */
	async #readOwn(life: Life): Promise<void> {
		const { writer } = life
		const blobs = { objectKeyOf: blobPackKey, pending: (ref: BlobRef) => writer.pendingBlob(ref) }
		await expectReads(this.rig, KEY_NAMES, () => writer.view, blobs, life.accepted, true)
	}

	/** A reader that begins now sees, of each key, what its last entry says. */
	async #readAll(history: readonly CommittedEntry[]): Promise<void> {
		const { store } = this.rig.layers()
		const follower = await ManifestFollower.open({ store, host: this.rig.host })
		await expectReads(this.rig, KEY_NAMES, () => viewOf(follower.manifest), {}, history, false)
	}
}

export function expectPrefix(life: Life, committed: readonly CommittedEntry[]): void {
	const { accepted, durable } = life
	expect(committed.length, 'what was acknowledged as durable').toBeGreaterThanOrEqual(durable)
	expect(committed.length, 'what was accepted').toBeLessThanOrEqual(accepted.length)
	for (const [index, entry] of committed.entries()) {
		const expected = accepted[index]
		const isSame =
			entry.key === expected?.key && entry.value === expected.value && entry.expiresAtMs === expected.expiresAtMs
		expect(isSame, `entry ${entry.seq} (${entry.key}) is what call ${expected?.call} wrote`).toBe(true)
	}
	const next = accepted[committed.length]
	if (next !== undefined) expect(next.call, 'a batch is whole').not.toBe(accepted[committed.length - 1]?.call)
}
