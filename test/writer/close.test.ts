/** How a writer ends: what is committed, who is answered, what is freed. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { WriterOptions } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { committedHistory } from './committed-history.ts'
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

describe('close', () => {
	test('commits what was accepted; twice is once; during a flush it waits for it', async () => {
		const { rig, writer, faults } = await opened()
		await writer.put('a', '1')
		const held = faults.hold(RECORD)
		const flushed = writer.flush()
		await held.reached
		const closed = writer.close()
		expect(writer.close()).toBe(closed)
		expect(await rig.stateOf(closed)).toBe('pending')
		held.release()
		await flushed
		await closed
		await writer.close()
		expect(await keysOf(rig)).toEqual(['a'])
	})

	test('answers durable writes that wait for their turn, and leaves no timer', async () => {
		const { rig, writer } = await opened({ maxCommitsPerSecond: 1 })
		await writer.put('a', '1', { durable: true })
		const second = writer.put('b', '1', { durable: true })
		const closed = writer.close()
		expect(await rig.stateOf(closed)).toBe('resolved')
		expect(await rig.stateOf(second)).toBe('resolved')
		expect(rig.clock.pendingTimers).toBe(0)
		expect(await keysOf(rig)).toEqual(['a', 'b'])
	})

	test('ends everything: calls that follow are ISLE_CLOSED and change nothing', async () => {
		const { rig, writer } = await opened()
		await writer.put('a', '1')
		const closed = writer.close()
		const batch = new WriteBatch().put('b', '1')
		for (const phase of ['while closing', 'closed'] as const) {
			const calls = [
				writer.put('b', '1'),
				writer.put('b', noise(300_000)),
				writer.put('b', '1', { durable: true }),
				writer.delete('a'),
				writer.write(batch),
				writer.putStream('b', streamOf(noise(1))),
				writer.flush(),
			]
			for (const call of calls) {
				await expect(call, phase).rejects.toSatisfy(error => isIsleError(error, 'ISLE_CLOSED'))
			}
			await closed
		}
		expect(await keysOf(rig)).toEqual(['a'])
	})

	test('ends the streams that are on their way', async () => {
		const { rig, writer, faults } = await opened()
		let isEnded = false
		async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
			try {
				for (;;) {
					yield noise(10)
					await new Promise(resolve => setImmediate(resolve))
				}
			} finally {
				isEnded = true
			}
		}
		const stored = writer.putStream('stream', endless())
		const rejected = stored.catch((error: unknown) => error)
		await rig.stateOf(stored)
		expect(faults.count('createFromStream')).toBe(1)
		await rig.drive(writer.close())
		expect(isIsleError(await rejected, 'ISLE_CLOSED')).toBe(true)
		expect(isEnded).toBe(true)
		expect((await rig.memory.list({ prefix: 'blobs/' })).objects).toEqual([])
	})

	test('frees the memory that it kept for later', async () => {
		const { writer } = await opened({ memtableMaxBytes: 65_536 })
		for (let i = 0; i < 300; i++) await writer.put(`key ${i}`, noise(1_000, i))
		await writer.close()
		const { memtableBytes, frozenMemtables, pendingBlobBytes } = writer.stats()
		expect({ frozenMemtables, pendingBlobBytes }).toEqual({ frozenMemtables: 0, pendingBlobBytes: 0 })
		expect(memtableBytes).toBeLessThan(16_384)
	})
})
