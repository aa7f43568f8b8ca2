/**
 * Random histories of writers against a naive one: what a store holds is a prefix of what each writer accepted, in the
 * order of calls, it contains everything that was acknowledged as durable, and batches are whole.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { isIsleError } from '../../src/errors.ts'
import { seededRandom } from '../../src/host/random.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { ReadCore } from '../../src/reader/read-core.ts'
import { viewOf } from '../../src/reader/read-view.ts'
import { blobPackKey } from '../../src/writer/blob-packer.ts'
import type { Durability, WriterOptions } from '../../src/writer/options.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { Writer } from '../../src/writer/writer.ts'
import { deliverLater, duplicateLater, type FaultyStore, failBefore, loseReply } from '../support/faulty-store.ts'
import { settle } from '../support/manual-clock.ts'
import { type CommittedEntry, committedHistory, latin1 } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

interface Expected {
	readonly key: string
	readonly value: string | undefined
	readonly expiresAtMs: number
	/** Entries of one batch have one number. */
	readonly call: number
}

/** One opening of the database. */
interface Life {
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

type Step =
	| {
			readonly kind: 'put'
			readonly key: number
			readonly bytes: number
			readonly ttlMs?: number
			readonly durable: boolean
	  }
	| { readonly kind: 'delete'; readonly key: number; readonly durable: boolean }
	| { readonly kind: 'batch'; readonly keys: readonly number[]; readonly bytes: number; readonly durable: boolean }
	| { readonly kind: 'stream'; readonly key: number; readonly bytes: number; readonly cut: boolean }
	| { readonly kind: 'flush' }
	| { readonly kind: 'drain' }
	| { readonly kind: 'advance'; readonly ms: number }
	| { readonly kind: 'reopen' | 'crash' | 'takeover' | 'late' | 'heal' | 'read' }
	| { readonly kind: 'faults'; readonly seed: number; readonly rate: number }
	| { readonly kind: 'outage'; readonly ms: number }

const KEYS = 12
const keyOf = (key: number): string => `key/${key}`

/** Which parts of the engine a mutation of it would break: used by the control. */
interface Checks {
	readonly history: (entries: readonly CommittedEntry[]) => readonly CommittedEntry[]
}

class Histories {
	readonly rig: WriterRig
	readonly options: WriterOptions
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
			case 'put': {
				const value = this.#value(step.bytes)
				const expiresAtMs = step.ttlMs === undefined ? 0 : rig.clock.nowMs() + step.ttlMs
				const options = { durable: step.durable, ttlMs: step.ttlMs }
				this.#mutate(life, [{ key: keyOf(step.key), value: latin1(value), expiresAtMs }], step.durable, () =>
					life.writer.put(keyOf(step.key), value, options),
				)
				return
			}
			case 'delete':
				this.#mutate(life, [{ key: keyOf(step.key), value: undefined, expiresAtMs: 0 }], step.durable, () =>
					life.writer.delete(keyOf(step.key), { durable: step.durable }),
				)
				return
			case 'batch': {
				const batch = new WriteBatch()
				const entries = step.keys.map((key, i) => {
					const value = i % 4 === 3 ? undefined : this.#value(step.bytes)
					if (value === undefined) batch.delete(keyOf(key))
					else batch.put(keyOf(key), value)
					return { key: keyOf(key), value: value === undefined ? undefined : latin1(value), expiresAtMs: 0 }
				})
				this.#mutate(life, entries, step.durable, () => life.writer.write(batch, { durable: step.durable }))
				return
			}
			case 'stream':
				await this.#stream(life, step.key, step.bytes, step.cut)
				return
			case 'flush': {
				const count = life.accepted.length
				this.#await(life, count, life.writer.flush())
				return
			}
			case 'drain':
				await this.#drain(life)
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
				life.faults.failAtRandom(seededRandom(step.seed), step.rate, [
					failBefore(),
					loseReply(),
					deliverLater(),
					duplicateLater(),
				])
				return
			case 'outage': {
				const endMs = rig.clock.monotonicMs() + step.ms
				life.faults.before = () => (rig.clock.monotonicMs() < endMs ? failBefore() : undefined)
				return
			}
			case 'read':
				await this.#readOwn(life)
				return
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

	async #drain(life: Life): Promise<void> {
		await this.rig.drive(Promise.allSettled(life.waiting))
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
		const { store } = this.rig.layers()
		const { host, pool } = this.rig
		const blobs = new BlobReader({ store, objectKeyOf: blobPackKey, pending: ref => life.writer.pendingBlob(ref) })
		const keys = transcoderOf('buffer', 'keys')
		const core = new ReadCore<Uint8Array, Uint8Array>({
			source: new TableSource({ store, pool }),
			blobs,
			pool,
			host,
			keys,
			values: keys,
		})
		const views = {
			view: () => life.writer.view,
			nowMs: () => this.rig.clock.nowMs(),
			renew: (_gone: unknown, cause: unknown) => Promise.reject(cause),
		}
		for (let key = 0; key < KEYS; key++) {
			const last = life.accepted.findLast(entry => entry.key === keyOf(key))
			if (last === undefined) continue
			const isGone = last.expiresAtMs !== 0 && last.expiresAtMs <= this.rig.clock.nowMs()
			const got = await this.rig.drive(core.get(views, keyOf(key)))
			const value = got === undefined ? undefined : latin1(got)
			expect(value === (isGone ? undefined : last.value), `own read of ${keyOf(key)}`).toBe(true)
		}
	}

	/** A reader that begins now sees, of each key, what its last entry says. */
	async #readAll(history: readonly CommittedEntry[]): Promise<void> {
		const { store } = this.rig.layers()
		const { host, pool } = this.rig
		const follower = await ManifestFollower.open({ store, host })
		const keys = transcoderOf('buffer', 'keys')
		const core = new ReadCore<Uint8Array, Uint8Array>({
			source: new TableSource({ store, pool }),
			blobs: new BlobReader({ store }),
			pool,
			host,
			keys,
			values: keys,
		})
		const views = {
			view: () => viewOf(follower.manifest),
			nowMs: () => this.rig.clock.nowMs(),
			renew: (_gone: unknown, cause: unknown) => Promise.reject(cause),
		}
		for (let key = 0; key < KEYS; key++) {
			const last = history.findLast(entry => entry.key === keyOf(key))
			const isGone = last !== undefined && last.expiresAtMs !== 0 && last.expiresAtMs <= this.rig.clock.nowMs()
			const got = await core.get(views, keyOf(key))
			const expected = isGone ? undefined : last?.value
			expect((got === undefined ? undefined : latin1(got)) === expected, `read of ${keyOf(key)}`).toBe(true)
		}
	}
}

function expectPrefix(life: Life, committed: readonly CommittedEntry[]): void {
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

const key = fc.nat({ max: KEYS - 1 })
const durable = fc.boolean()
/** Around the threshold of large values (1,024) and of tables that ride in records (4,096 in these histories). */
const bytes = fc.oneof(
	{ weight: 5, arbitrary: fc.nat({ max: 60 }) },
	{ weight: 1, arbitrary: fc.constantFrom(0, 1_023, 1_024, 3_000, 6_000, 40_000) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 12,
		arbitrary: fc.record({
			kind: fc.constant('put' as const),
			key,
			bytes,
			durable,
			ttlMs: fc.option(fc.constantFrom(1, 500, 100_000), { nil: undefined, freq: 5 }),
		}) as fc.Arbitrary<Step>,
	},
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, durable }) },
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant('batch' as const),
			keys: fc.array(key, { minLength: 2, maxLength: 9 }),
			bytes,
			durable,
		}),
	},
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant('stream' as const), key, bytes, cut: fc.boolean() }) },
	{ weight: 4, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('drain' as const) }) },
	{
		weight: 4,
		arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(0, 1, 60, 1_000, 9_000) }),
	},
	{
		weight: 5,
		arbitrary: fc.record({
			kind: fc.constantFrom('reopen', 'crash', 'takeover', 'late', 'heal', 'read', 'read'),
		}) as fc.Arbitrary<Step>,
	},
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant('faults' as const),
			seed: fc.nat(),
			rate: fc.constantFrom(0.1, 0.3, 0.6),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({ kind: fc.constant('outage' as const), ms: fc.constantFrom(500, 20_000, 90_000) }),
	},
)

const options = fc.record({
	durability: fc.constantFrom<Durability>('memory', 'committed'),
	flushIntervalMs: fc.constantFrom(0, 50),
	inlineMaxBytes: fc.constantFrom(0, 4_096, 1_048_576),
	maxCommitsInFlight: fc.constantFrom(1, 2, 4),
	maxCommitsPerSecond: fc.constantFrom(2, 1_000),
	codec: fc.constantFrom('none' as const, 'lz4' as const),
})

async function runHistory(
	seed: number,
	settings: WriterOptions,
	steps: readonly Step[],
	checks?: Checks,
): Promise<number> {
	const histories = new Histories(seed, {
		...settings,
		blobThresholdBytes: 1_024,
		memtableMaxBytes: 65_536,
		writeBufferMaxBytes: 524_288,
	})
	await histories.open()
	for (const each of steps) {
		await histories.run(each)
		// Half of the time what was begun gets somewhere before the next step.
		if (seed % 2 === 0) await settle()
	}
	return await histories.end(checks)
}

describe('random histories of writers', () => {
	test('hold a prefix of what was accepted, with everything that was acknowledged as durable', async () => {
		let entries = 0
		await fc.assert(
			fc.asyncProperty(
				fc.nat(),
				options,
				fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
				async (seed, settings, steps) => {
					entries += await runHistory(seed, settings, steps)
				},
			),
			{ numRuns: Number(process.env.WRITER_HISTORIES ?? 120) },
		)
		expect(entries).toBeGreaterThan(200)
	})

	const steps: Step[] = [
		{ kind: 'put', key: 1, bytes: 10, durable: false },
		{ kind: 'batch', keys: [1, 2, 3], bytes: 10, durable: true },
		{ kind: 'drain' },
		{ kind: 'put', key: 1, bytes: 2_000, durable: false },
		{ kind: 'reopen' },
	]
	const wrong: Record<string, Checks['history']> = {
		'a lost entry': entries => entries.slice(0, -1),
		'an entry with another value': entries =>
			entries.map(entry => (entry.seq === 2 ? { ...entry, value: 'x' } : entry)),
		'two entries in each other’s place': ([first, second, ...others]) =>
			first && second ? [second, first, ...others] : [],
	}
	for (const [name, history] of Object.entries(wrong)) {
		test(`the check finds ${name}`, async () => {
			expect(await runHistory(2, { durability: 'memory' }, steps)).toBe(5)
			await expect(runHistory(2, { durability: 'memory' }, steps, { history })).rejects.toThrow()
		})
	}
	test('the check finds half a batch', () => {
		const accepted = [1, 2, 2].map(call => ({ key: 'k', value: 'v', expiresAtMs: 0, call }))
		const committed = accepted.map((entry, i) => ({
			...entry,
			seq: i + 1,
			isBlob: false,
			commit: { epoch: 1, slot: 0 },
		}))
		const life = { accepted, durable: 1 } as unknown as Life
		expect(() => expectPrefix(life, committed.slice(0, 1))).not.toThrow()
		expect(() => expectPrefix(life, committed)).not.toThrow()
		expect(() => expectPrefix(life, committed.slice(0, 2))).toThrow('a batch is whole')
		expect(() => expectPrefix(life, [])).toThrow('acknowledged')
	})
})
