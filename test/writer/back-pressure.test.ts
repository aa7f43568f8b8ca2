/** Memory is bounded: who waits, who is refused, and that neither loses anything. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { Clock } from '../../src/host/clock.ts'
import { seededRandom } from '../../src/host/random.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { WriteBuffer } from '../../src/writer/write-buffer.ts'
import { Writer } from '../../src/writer/writer.ts'
import { type FaultyStore, failBefore } from '../support/faulty-store.ts'
import { committedHistory, latin1 } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

/** The smallest that is allowed: 64 KiB memtables, 512 KiB in all. */
const SMALL = { memtableMaxBytes: 65_536, writeBufferMaxBytes: 524_288, codec: 'none' } as const

/** Holds back every record until told; answers the function that tells. */
function gateRecords(faults: FaultyStore): () => void {
	let open = (): void => undefined
	const gate = new Promise<void>(resolve => {
		open = resolve
	})
	faults.before = async call => {
		if (call.operation === 'createIfAbsent') await gate
		return undefined
	}
	return open
}

describe('the soft limit', () => {
	test('lets a mutation wait until commits have freed memory', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open(SMALL)
		const openGate = gateRecords(faults)
		let waiting: Promise<void> | undefined
		let count = 0
		for (; waiting === undefined && count < 2_000; count++) {
			const put = writer.put(`key ${count}`, noise(1_000, count))
			if ((await rig.stateOf(put)) === 'pending') waiting = put
		}
		expect(waiting).toBeDefined()
		const { memtableBytes } = writer.stats()
		expect(memtableBytes).toBeGreaterThan(SMALL.writeBufferMaxBytes / 2)
		expect(memtableBytes).toBeLessThan(SMALL.writeBufferMaxBytes)

		// The others wait too, with what they have written accepted.
		const others = [writer.delete('x'), writer.write(new WriteBatch().put('y', '1'))]
		for (const other of others) expect(await rig.stateOf(other)).toBe('pending')
		openGate()
		await rig.drive(Promise.all([waiting, ...others]))
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toHaveLength(count + 2)
	})

	test('can be left by a signal: what was accepted stays', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open(SMALL)
		const openGate = gateRecords(faults)
		const abort = new AbortController()
		const count = 150
		const puts: Promise<void>[] = []
		// Two memtables are frozen, with their copies more than half of the buffer, and a third has begun.
		for (let i = 0; i < count; i++) puts.push(writer.put(`key ${i}`, noise(1_000, i), { signal: abort.signal }))
		const last = puts.at(-1)
		expect(await rig.stateOf(last ?? Promise.resolve())).toBe('pending')
		abort.abort(new Error('enough'))
		const outcomes = await Promise.allSettled(puts)
		expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { message: 'enough' } })
		openGate()
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toHaveLength(count)
	})

	test('ends for those who wait when the writer fails', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open(SMALL)
		faults.before = call => (call.operation === 'createIfAbsent' ? failBefore() : undefined)
		const puts: Promise<void>[] = []
		for (let i = 0; i < 150; i++) puts.push(writer.put(`key ${i}`, noise(1_000, i)))
		const outcomes = await rig.drive(Promise.allSettled(puts))
		expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'ISLE_INDETERMINATE' } })
	})

	test('holds back a stream before it takes its place, without refusing it', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open(SMALL)
		const openGate = gateRecords(faults)
		async function* slow(): AsyncGenerator<Uint8Array, void, undefined> {
			yield noise(10)
			// While the stream is stored somebody fills the buffer without awaiting.
			for (let i = 0; i < 5_000; i++) writer.put(`key ${i}`, noise(1_000, i)).catch(() => undefined)
		}
		const stored = writer.putStream('stream', slow())
		expect(await rig.stateOf(stored)).toBe('pending')
		const accepted = writer.stats().lastSeq
		openGate()
		await rig.drive(stored)
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history).toHaveLength(accepted + 1)
		expect(history.at(-1)).toMatchObject({ key: 'stream', value: latin1(noise(10)) })
	})
})

describe('the hard limit', () => {
	/** Fills the buffer without ever awaiting; answers what was accepted before the first refusal. */
	async function fill(
		rig: WriterRig,
		writer: Writer,
		mutate: (i: number) => Promise<void>,
	): Promise<{ readonly accepted: number; readonly peakBytes: number }> {
		const outcomes: Promise<unknown>[] = []
		let accepted = 0
		let peakBytes = 0
		for (let i = 0; i < 20_000; i++) {
			const before = writer.stats().lastSeq
			const call = mutate(i)
			outcomes.push(call.catch((error: unknown) => error))
			const { lastSeq, memtableBytes, pendingBlobBytes } = writer.stats()
			// What waits for its commit counts in both.
			peakBytes = Math.max(peakBytes, memtableBytes, pendingBlobBytes)
			if (lastSeq === before) {
				const error = await rig.drive(call.catch((cause: unknown) => cause))
				expect(isIsleError(error, 'ISLE_BACKPRESSURE'), String(error)).toBe(true)
				return { accepted, peakBytes }
			}
			accepted++
		}
		throw new Error('never refused')
	}

	const mutations: Record<string, (writer: Writer) => (i: number) => Promise<void>> = {
		puts: writer => i => writer.put(`key ${i}`, noise(1_000, i)),
		'durable puts': writer => i => writer.put(`key ${i}`, noise(1_000, i), { durable: true }),
		deletes: writer => i => writer.delete(`key ${i}`),
		'large values': writer => i => writer.put(`key ${i}`, noise(5_000, i)),
		batches: writer => i => writer.write(new WriteBatch().put(`key ${i}`, noise(1_000, i))),
	}
	for (const [name, make] of Object.entries(mutations)) {
		test(`refuses ${name} of a caller who never awaits, and loses nothing`, async () => {
			const rig = new WriterRig()
			const { writer, faults } = await rig.open({ ...SMALL, blobThresholdBytes: 4_096 })
			const openGate = gateRecords(faults)
			const { accepted, peakBytes } = await fill(rig, writer, make(writer))
			// One mutation and the chunks that it needs may stand above the limit.
			expect(peakBytes).toBeLessThanOrEqual(SMALL.writeBufferMaxBytes + 2 * SMALL.memtableMaxBytes)
			const calls = [
				writer.put('late', '1'),
				writer.put('late', '1', { durable: true }),
				writer.put('late', noise(5_000)),
				writer.delete('late'),
				writer.write(new WriteBatch().put('late', '1').put('later', '1')),
			]
			for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ISLE_BACKPRESSURE' })
			expect(writer.stats().lastSeq).toBe(accepted)
			openGate()
			await rig.drive(writer.flush())
			await rig.drive(writer.put('after', '1'))
			await rig.drive(writer.close())
			const history = await committedHistory(rig.memory)
			expect(history.map(entry => entry.key)).toEqual([
				...Array.from({ length: accepted }, (_, i) => `key ${i}`),
				'after',
			])
		})
	}

	test('is exactly writeBufferMaxBytes: refused at it, accepted one below', () => {
		const buffer = new WriteBuffer({ memtableMaxBytes: 65_536, writeBufferMaxBytes: 524_288 }, 0)
		const spare = 524_288 - buffer.bytes
		expect(() => buffer.assertBelowHardLimit(spare - 1)).not.toThrow()
		expect(() => buffer.assertBelowHardLimit(spare)).toThrow(expect.objectContaining({ code: 'ISLE_BACKPRESSURE' }))
	})
})

describe('memory', () => {
	test('counts until the commit stands, large values included, and returns to its floor', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open({ blobThresholdBytes: 4_096 })
		const floor = writer.stats().memtableBytes
		const held = faults.hold({ operation: 'createIfAbsent' })
		for (let i = 0; i < 100; i++) await writer.put(`key ${i}`, noise(1_000, i))
		for (let i = 0; i < 10; i++) await writer.put(`large ${i}`, noise(100_000, i))
		expect(writer.stats().memtableBytes).toBeGreaterThan(floor + 100_000)
		expect(writer.stats().pendingBlobBytes).toBeGreaterThan(1_000_000)
		const flushed = writer.flush()
		await held.reached
		// Uploaded, and gone from here; but the commit does not stand yet.
		expect(writer.stats().pendingBlobBytes).toBe(0)
		expect(writer.stats().memtableBytes).toBeGreaterThan(floor + 1_100_000)
		held.release()
		await flushed
		expect(writer.stats().memtableBytes).toBe(floor)
		expect(writer.stats().pendingBlobBytes).toBe(0)
	})

	test('what is kept for later is bounded', () => {
		const pool = new ArenaPool(3 * 4_096)
		for (let i = 0; i < 10; i++) pool.give(new ArrayBuffer(4_096))
		expect(pool.bytes).toBe(3 * 4_096)
		pool.give(new ArrayBuffer(5_000))
		pool.give(new ArrayBuffer(2_048))
		expect(pool.bytes).toBe(3 * 4_096)
		for (let i = 0; i < 3; i++) pool.take(4_096)
		expect(pool.bytes).toBe(0)
	})

	test('stays bounded over many flushes: buffers are used again', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({ memtableMaxBytes: 65_536 })
		let peakBytes = 0
		for (let round = 0; round < 30; round++) {
			for (let i = 0; i < 70; i++) await rig.drive(writer.put(`key ${i}`, noise(1_000, i)))
			await rig.drive(writer.flush())
			peakBytes = Math.max(peakBytes, writer.stats().memtableBytes)
		}
		expect(peakBytes).toBeLessThan(65_536)
	})
})

describe('a loop that only awaits resolved promises', () => {
	/** Each look at the clock takes 0.1 ms. */
	function tickingClock(rig: WriterRig): Clock {
		let elapsedMs = 0
		return {
			nowMs: () => rig.clock.nowMs(),
			monotonicMs: () => (elapsedMs += 0.1),
			schedule: (delayMs, fire, options) => rig.clock.schedule(delayMs, fire, options),
			yieldToIo: () => rig.clock.yieldToIo(),
		}
	}

	async function turnsDuring(work: (writer: Writer) => Promise<void>): Promise<number> {
		const rig = new WriterRig()
		const host = { clock: tickingClock(rig), random: seededRandom(1) }
		const { store } = rig.layers()
		const settings = writerSettings({ flushIntervalMs: 0 })
		const writer = await Writer.open({ store, pool: rig.pool, host }, settings)
		let turns = 0
		let isDone = false
		const count = (): void => {
			if (isDone) return
			turns++
			setImmediate(count)
		}
		setImmediate(count)
		await work(writer)
		isDone = true
		return turns
	}

	test('lets the event loop turn', async () => {
		const turns = await turnsDuring(async writer => {
			for (let i = 0; i < 64 * 200; i++) await writer.put(`key ${i & 255}`, 'value')
		})
		// 200 looks at the clock, one turn in 15 of them or more.
		expect(turns).toBeGreaterThan(10)
		expect(turns).toBeLessThan(200)
	})

	test('also when each mutation is a batch or a large value', async () => {
		const batch = new WriteBatch()
		for (let i = 0; i < 100; i++) batch.put(`key ${i}`, 'value')
		const ofBatches = await turnsDuring(async writer => {
			for (let i = 0; i < 200; i++) await writer.write(batch)
		})
		expect(ofBatches).toBeGreaterThan(5)
		const value = noise(300_000)
		const ofValues = await turnsDuring(async writer => {
			for (let i = 0; i < 100; i++) await writer.put('key', value)
		})
		expect(ofValues).toBeGreaterThan(3)
	})

	test('is not held up by streams', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		for (let i = 0; i < 10; i++) await rig.drive(writer.putStream(`key ${i}`, streamOf(noise(10))))
		expect(writer.stats().lastSeq).toBe(10)
	})
})
