/** Batches: one commit or none, bounded, and whole whatever happens. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { Host } from '../../src/host/host.ts'
import { KEY_MAX_BYTES } from '../../src/sst/entry.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { BATCH_MAX_BYTES, BATCH_OPERATION_BYTES, WriteBatch } from '../../src/writer/write-batch.ts'
import { Writer } from '../../src/writer/writer.ts'
import { commitSizes, committedHistory } from './committed-history.ts'
import { expectUntouched, noise, refuseUnhandledRejections, untyped, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

describe('batches', () => {
	test('are one commit with sequence numbers that follow one another', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({ memtableMaxBytes: 65_536 })
		const batch = new WriteBatch()
		for (let i = 0; i < 500; i++) batch.put(`key ${i}`, noise(1_000, i))
		batch.delete('key 0')
		await rig.drive(writer.write(batch))
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(commitSizes(history)).toEqual([501])
		expect(history.at(-1)).toMatchObject({ key: 'key 0', value: undefined })
	})

	test('that are empty write nothing, and may be used again after clear', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open()
		const batch = new WriteBatch()
		await writer.write(batch, { durable: true })
		expect(counts.snapshot().total.requests).toBe(0)
		await writer.write(batch.put('a', '1'))
		await writer.write(batch.clear().put('b', '1'))
		expect(batch.bytes).toBe(3 + 3 + BATCH_OPERATION_BYTES)
		await writer.flush()
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['a', 'b'])
	})

	test('are copied by the call of write: they may be cleared and filled again before it resolves', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const batch = new WriteBatch()
		const written = [
			writer.write(batch.put('a', '1').put('b', '2')),
			writer.write(batch.clear().put('c', '3')),
			writer.write(batch),
		]
		batch.clear().put('d', '4')
		await rig.drive(Promise.all(written))
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history.map(({ key, value }) => [key, Buffer.from(value ?? []).toString()])).toEqual([
			['a', '1'],
			['b', '2'],
			['c', '3'],
			['c', '3'],
		])
	})

	test('hold exactly 32 MiB, however small the operations; what is refused leaves them as they were', () => {
		const room = BATCH_MAX_BYTES - BATCH_OPERATION_BYTES - 1
		const exact = new WriteBatch().put(Uint8Array.of(1), new Uint8Array(room))
		expect(exact.bytes).toBe(BATCH_MAX_BYTES)
		expect(() => exact.delete(Uint8Array.of(1))).toThrow(RangeError)
		expect(() => new WriteBatch().put(Uint8Array.of(1), new Uint8Array(room + 1))).toThrow(RangeError)
		expect(exact.length).toBe(1)

		const many = new WriteBatch()
		const key = Uint8Array.of(1)
		const count = Math.floor(BATCH_MAX_BYTES / (1 + BATCH_OPERATION_BYTES))
		for (let i = 0; i < count; i++) many.delete(key)
		expect(() => many.delete(key)).toThrow(RangeError)
		expect(many.length).toBe(count)
	})

	test('whose fifth operation is bad keep the four before it, and nothing is written', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const batch = new WriteBatch()
		for (let i = 0; i < 4; i++) batch.put(`key ${i}`, 'value')
		const { bytes } = batch
		expect(() => batch.put('', 'value')).toThrow(RangeError)
		expect(() => batch.put('key', untyped(7))).toThrow(TypeError)
		expect(() => batch.put('key', 'value', { ttlMs: 0 })).toThrow(RangeError)
		expect(() => batch.delete('x'.repeat(KEY_MAX_BYTES + 1))).toThrow(RangeError)
		expect(batch.length).toBe(4)
		expect(batch.bytes).toBe(bytes)
		await expectUntouched(rig, writer)
	})

	test('that fail half way, for whatever reason, are never committed in part', async () => {
		const rig = new WriterRig()
		// A clock that is out of order: no expiry can be made of its time.
		let fraction = 0
		const { clock, random } = rig.host
		const host: Host = {
			random,
			clock: {
				nowMs: () => clock.nowMs() + fraction,
				monotonicMs: () => clock.monotonicMs(),
				schedule: (delayMs, fire, options) => clock.schedule(delayMs, fire, options),
				yieldToIo: () => clock.yieldToIo(),
			},
		}
		const { store } = rig.layers()
		const writer = await Writer.open({ store, pool: rig.pool, host }, writerSettings({ flushIntervalMs: 100 }))
		await writer.put('before', '1')
		await writer.flush()
		await writer.put('also before', '1')
		const batch = new WriteBatch()
		for (let i = 0; i < 4; i++) batch.put(`key ${i}`, 'value')
		fraction = 0.5
		await expect(writer.write(batch.put('fifth', 'value', { ttlMs: 1 }))).rejects.toSatisfy(error =>
			isIsleError(error, 'ISLE_CLOSED'),
		)
		fraction = 0
		await rig.clock.advance(1_000)
		await expect(writer.flush()).rejects.toSatisfy(error => isIsleError(error, 'ISLE_CLOSED'))
		await expect(writer.close()).rejects.toSatisfy(error => isIsleError(error, 'ISLE_CLOSED'))
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['before'])
	})

	test('that are none are refused', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		for (const batch of [undefined, null, [], { length: 1, entries: { words: new Int32Array(8), endWord: 8 } }]) {
			await expect(writer.write(untyped(batch))).rejects.toThrow(TypeError)
		}
		await expectUntouched(rig, writer)
	})
})
