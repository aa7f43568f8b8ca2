/** What is durable when: flush, durable writes, the flush timer, close. */
import { describe, expect, test } from 'vitest'
import type { WriterOptions } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { commitSizes, committedHistory } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, type WriterProcess, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

const RECORD = { operation: 'createIfAbsent', key: 'log/' } as const

async function opened(options: WriterOptions = {}): Promise<WriterProcess & { readonly rig: WriterRig }> {
	const rig = new WriterRig()
	return { rig, ...(await rig.open(options)) }
}

async function keysOf(rig: WriterRig): Promise<string[]> {
	return (await committedHistory(rig.memory)).map(entry => entry.key)
}

describe('flush', () => {
	test('covers what was accepted before it, and writes that go on do not delay it', async () => {
		const { rig, writer, faults } = await opened()
		await writer.put('before', '1')
		const held = faults.hold(RECORD)
		const flushed = writer.flush()
		await held.reached
		await writer.put('during', '2')
		// The commit of what came later stands still for ever: the flush does not wait for it.
		const later = faults.hold(RECORD)
		held.release()
		const position = await flushed
		expect(position).toEqual(writer.manifest.writerPosition)
		expect(position).toEqual({ epoch: 1, slot: 1 })
		expect(await keysOf(rig)).toEqual(['before'])

		const second = writer.flush()
		await later.reached
		expect(await rig.stateOf(second)).toBe('pending')
		later.release()
		expect(await second).toEqual({ epoch: 1, slot: 2 })
		expect(await keysOf(rig)).toEqual(['before', 'during'])
	})

	test('with nothing new waits for the commits on their way, and answers their position', async () => {
		const { rig, writer, faults } = await opened()
		await writer.put('key', '1')
		const held = faults.hold(RECORD)
		const first = writer.flush()
		await held.reached
		const second = writer.flush()
		expect(await rig.stateOf(second)).toBe('pending')
		held.release()
		expect(await second).toEqual(await first)
		expect(commitSizes(await committedHistory(rig.memory))).toEqual([1])
	})

	test('is answered in order, by the position of its own commit, when commits overlap', async () => {
		const { rig, writer, faults } = await opened()
		const holds = []
		const flushes = []
		const order: number[] = []
		for (let i = 0; i < 4; i++) {
			await writer.put(`key ${i}`, 'value')
			const held = faults.hold(RECORD)
			holds.push(held)
			flushes.push(writer.flush().then(position => order.push(position.slot)))
			await held.reached
		}
		for (const held of holds.toReversed()) {
			held.release()
			await rig.stateOf(Promise.all(flushes))
		}
		await Promise.all(flushes)
		expect(order).toEqual([1, 2, 3, 4])
	})

	test('answers at once when its signal has aborted, and leaves the commit alone when it aborts later', async () => {
		const { rig, writer, faults } = await opened()
		await writer.put('key', '1')
		const reason = new Error('enough')
		await expect(writer.flush({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
		expect(faults.count('createIfAbsent', 'log/0000000000000001')).toBe(0)

		const held = faults.hold(RECORD)
		const abort = new AbortController()
		const flushed = writer.flush({ signal: abort.signal })
		await held.reached
		abort.abort(reason)
		await expect(flushed).rejects.toBe(reason)
		held.release()
		await writer.flush()
		expect(await keysOf(rig)).toEqual(['key'])
	})
})

describe('a durable write', () => {
	test('resolves when its commit stands, not before', async () => {
		const { rig, writer, faults } = await opened()
		const held = faults.hold(RECORD, 'after-effect')
		const put = writer.put('key', '1', { durable: true })
		await held.reached
		expect(await rig.stateOf(put)).toBe('pending')
		held.release()
		await put
		expect(await keysOf(rig)).toEqual(['key'])
	})

	test('begins at once while fewer commits than allowed are on their way, and rides the next one otherwise', async () => {
		const { rig, writer, faults } = await opened({ maxCommitsInFlight: 2 })
		const holds = [faults.hold(RECORD), faults.hold(RECORD)]
		const first = writer.put('a', '1', { durable: true })
		await holds[0]?.reached
		const second = writer.put('b', '1', { durable: true })
		await rig.drive(holds[1]?.reached ?? Promise.reject(new Error('no hold')))
		const riders = ['c', 'd', 'e'].map(key => writer.put(key, '1', { durable: true }))
		await rig.stateOf(Promise.all(riders))
		expect(faults.count('createIfAbsent', 'log/0000000000000001')).toBe(2)
		for (const held of holds) held.release()
		await rig.drive(Promise.all([first, second, ...riders]))
		expect(commitSizes(await committedHistory(rig.memory))).toEqual([1, 1, 3])
	})

	test('is not kept waiting by a memtable that was frozen, and committed, meanwhile', async () => {
		const { rig, writer, faults } = await opened({ maxCommitsInFlight: 1 })
		// Ever more commits are on their way, so that there is never room for one of its own.
		await writer.put('x', '0')
		let held = faults.hold(RECORD)
		void writer.flush()
		await held.reached
		const put = writer.put('durable', '1', { durable: true })
		await rig.stateOf(put)
		for (let round = 0; round < 5; round++) {
			await writer.put(`x${round}`, '0')
			void writer.flush()
			const next = faults.hold(RECORD)
			held.release()
			await rig.drive(next.reached)
			held = next
		}
		expect(await rig.stateOf(put)).toBe('resolved')
		held.release()
		await writer.flush()
	})

	test('starts at most maxCommitsPerSecond commits', async () => {
		for (const maxCommitsPerSecond of [1, 10, 1000, 4000]) {
			const { rig, writer } = await opened({ maxCommitsPerSecond })
			const startMs = rig.clock.monotonicMs()
			for (let i = 0; i < 20; i++) await rig.drive(writer.put(`key ${i}`, '', { durable: true }))
			expect(writer.stats().commits).toBe(20)
			const spentMs = rig.clock.monotonicMs() - startMs
			// The first begins at once; timers are good to a millisecond.
			expect(spentMs).toBeGreaterThanOrEqual((19 * 1000) / maxCommitsPerSecond - 1)
			expect(spentMs).toBeLessThanOrEqual((19 * 1000) / maxCommitsPerSecond + 1)
		}
	})

	test('is what every write is with durability committed, unless it says otherwise', async () => {
		const { rig, writer, faults } = await opened({ durability: 'committed' })
		const held = faults.hold(RECORD)
		await writer.put('not', 'durable', { durable: false })
		const put = writer.put('a', '1')
		await held.reached
		const waiting = [put, writer.delete('b'), writer.write(new WriteBatch().put('c', '1'))]
		for (const promise of waiting) expect(await rig.stateOf(promise)).toBe('pending')
		held.release()
		await rig.drive(Promise.all(waiting))
		expect(await keysOf(rig)).toEqual(['not', 'a', 'b', 'c'])
		await rig.drive(writer.putStream('d', streamOf(noise(10))))
		expect(await keysOf(rig)).toEqual(['not', 'a', 'b', 'c', 'd'])
	})

	test('whose wait is aborted stays accepted', async () => {
		const { rig, writer, faults } = await opened()
		const held = faults.hold(RECORD)
		const abort = new AbortController()
		const put = writer.put('key', '1', { durable: true, signal: abort.signal })
		await held.reached
		abort.abort(new Error('enough'))
		await expect(put).rejects.toThrow('enough')
		held.release()
		await writer.flush()
		expect(await keysOf(rig)).toEqual(['key'])
	})

	test('with an aborted signal is not accepted, and uses no sequence number', async () => {
		const { writer } = await opened()
		const options = { signal: AbortSignal.abort(new Error('enough')) }
		const batch = new WriteBatch().put('key', '1')
		await expect(writer.put('key', '1', options)).rejects.toThrow('enough')
		await expect(writer.delete('key', options)).rejects.toThrow('enough')
		await expect(writer.write(batch, options)).rejects.toThrow('enough')
		await expect(writer.putStream('key', streamOf(noise(1)), options)).rejects.toThrow('enough')
		expect(writer.stats().lastSeq).toBe(0)
	})
})

describe('the flush timer', () => {
	test('commits by itself flushIntervalMs after the first write, in the background', async () => {
		const { rig, writer } = await opened({ flushIntervalMs: 250 })
		await writer.put('a', '1')
		expect(rig.clock.pendingForegroundTimers).toBe(0)
		await rig.clock.advance(200)
		await writer.put('b', '1')
		await rig.clock.advance(49)
		expect(await keysOf(rig)).toEqual([])
		await rig.clock.advance(1)
		await rig.stateOf(writer.flush())
		expect(commitSizes(await committedHistory(rig.memory))).toEqual([2])
		expect(rig.clock.pendingTimers).toBe(0)
	})

	test('is not there at 0, and goes away with a flush and with close', async () => {
		const never = await opened({ flushIntervalMs: 0 })
		await never.writer.put('a', '1')
		expect(never.rig.clock.pendingTimers).toBe(0)

		const { rig, writer } = await opened({ flushIntervalMs: 250 })
		await writer.put('a', '1')
		await writer.flush()
		expect(rig.clock.pendingTimers).toBe(0)
		await writer.put('b', '1')
		await writer.close()
		expect(rig.clock.pendingTimers).toBe(0)
		expect(await keysOf(rig)).toEqual(['a', 'b'])
	})
})
