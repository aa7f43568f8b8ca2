/** What a writer asks of its store, counted. */
import { describe, expect, test } from 'vitest'
import type { CountingStore } from '../../src/object-store/counting-store.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { Writer } from '../../src/writer/writer.ts'
import { noise, refuseUnhandledRejections, streamOf, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

/** Requests by kind, without the kinds that were not asked for. */
function requests(counts: CountingStore): Record<string, number> {
	const asked = Object.entries(counts.snapshot().byKind).filter(([, count]) => count.requests > 0)
	return Object.fromEntries(asked.map(([kind, count]) => [kind, count.requests]))
}

describe('commits', () => {
	test('a small durable write is one PUT and nothing else', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open()
		await writer.put('key', 'value', { durable: true })
		expect(requests(counts)).toEqual({ createIfAbsent: 1 })
		await rig.drive(writer.delete('key', { durable: true }))
		expect(requests(counts)).toEqual({ createIfAbsent: 2 })
	})

	test('many durable writes of one turn are one PUT', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open()
		await Promise.all(Array.from({ length: 500 }, (_, i) => writer.put(`key ${i}`, 'value', { durable: true })))
		expect(requests(counts)).toEqual({ createIfAbsent: 1 })
	})

	test('a table beyond inlineMaxBytes is two PUTs, one of exactly that size is one', async () => {
		const rig = new WriterRig()
		// Measured once: the table of this one entry, uncompressed.
		const probe = await rig.open({ codec: 'none' })
		let storedBytes = 0
		probe.writer.onCommit(({ commit }) => {
			storedBytes = commit.tables[0]?.meta.storedBytes ?? 0
		})
		await probe.writer.put('key', noise(60_000), { durable: true })
		expect(storedBytes).toBeGreaterThan(60_000)

		const exact = await rig.open({ codec: 'none', inlineMaxBytes: storedBytes })
		await exact.writer.put('key', noise(60_000), { durable: true })
		expect(requests(exact.counts)).toEqual({ createIfAbsent: 1 })

		const beyond = await rig.open({ codec: 'none', inlineMaxBytes: storedBytes - 1 })
		await beyond.writer.put('key', noise(60_000), { durable: true })
		expect(requests(beyond.counts)).toEqual({ put: 1, createIfAbsent: 1 })
	})

	test('by default the border is 1 MiB', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open({ codec: 'none' })
		for (let i = 0; i < 15; i++) await writer.put(`key ${i}`, noise(65_536, i))
		await writer.flush()
		expect(requests(counts)).toEqual({ createIfAbsent: 1 })
		counts.reset()
		for (let i = 0; i < 16; i++) await writer.put(`key ${i}`, noise(65_536, i))
		await writer.flush()
		expect(requests(counts)).toEqual({ put: 1, createIfAbsent: 1 })
	})

	test('large values of one commit are one more PUT, a stream is one for itself', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open({ blobThresholdBytes: 1024 })
		for (let i = 0; i < 20; i++) await writer.put(`key ${i}`, noise(2_000, i))
		await writer.flush()
		expect(requests(counts)).toEqual({ put: 1, createIfAbsent: 1 })
		counts.reset()
		await writer.putStream('stream', streamOf(noise(5_000)), { durable: true })
		expect(requests(counts)).toEqual({ createFromStream: 1, createIfAbsent: 1 })
	})
})

describe('an idle writer', () => {
	test('sends nothing for an hour, neither before its first write nor after its last', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open({ flushIntervalMs: 1000 })
		await rig.clock.advance(3_600_000)
		expect(requests(counts)).toEqual({})
		await writer.put('key', 'value')
		await rig.clock.advance(3_600_000)
		expect(requests(counts)).toEqual({ createIfAbsent: 1 })
		expect(rig.clock.pendingTimers).toBe(0)
	})

	test('has nothing to send at flush, at close, and for what is empty', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open()
		const before = await writer.flush()
		expect(await writer.flush()).toEqual(before)
		await writer.close()
		expect(requests(counts)).toEqual({})
	})
})

describe('opening', () => {
	async function openCounted(rig: WriterRig): Promise<{ writer: Writer; counts: CountingStore }> {
		const { counts, store } = rig.layers()
		const writer = await Writer.open({ store, pool: rig.pool, host: rig.host }, writerSettings({}))
		return { writer, counts }
	}

	test('the first use is 2 LISTs, a GET of each log, the probe of the store, and the seal', async () => {
		const rig = new WriterRig()
		const { counts } = await openCounted(rig)
		// Of these the probe: 2 creates, 1 GET, 1 LIST, 1 DELETE; once in the life of a database.
		expect(requests(counts)).toEqual({ list: 3, get: 2 + 1, createIfAbsent: 1 + 2, delete: 1 })
	})

	test('a takeover is 2 LISTs, the log, and the seal', async () => {
		const rig = new WriterRig()
		const first = await openCounted(rig)
		await first.writer.put('key', 'value', { durable: true })
		const { counts } = await openCounted(rig)
		// The seal of epoch 0; a window of 8 at epoch 1, which holds one commit; seventeen slots from the end on, of which the
		// window has shown six, are asked whether a record is missing there; and the maintenance log, which has not begun.
		expect(requests(counts)).toEqual({ list: 2, get: 1 + 8 + (17 - 6) + 1, createIfAbsent: 1 })
	})
})
