/** A writer whose L0 is deep: who waits, what is committed all the same, and that nothing is lost. */
import { describe, expect, test } from 'vitest'
import type { EditRecord } from '../../src/manifest/edit.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import { type WriterOptions, writerSettings } from '../../src/writer/options.ts'
import type { Writer } from '../../src/writer/writer.ts'
import { failBefore } from '../support/faulty-store.ts'
import { committedHistory } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, untyped, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

/** Tiny tables weigh 1/128: writers are slow from 128 of them on, and wait from 256 on. */
const TINY = { l0SlowdownTables: 1, l0StopTables: 2 } as const

async function commitTiny(rig: WriterRig, writer: Writer, count: number): Promise<void> {
	for (let i = 0; i < count; i++) {
		void writer.put(`tiny ${i}`, '1')
		await rig.drive(writer.flush())
	}
}

/** What a maintainer does: all of L0 but the newest `left` tables goes. */
function shrink(writer: Writer, left: number, slot = 1): void {
	const { l0, writerPosition } = writer.manifest
	const remove = l0.slice(0, l0.length - left).map(table => table.id)
	const record: EditRecord = {
		position: { epoch: 0, slot: slot - 1 },
		writerPosition,
		committedAtMs: 0,
		edits: [{ kind: 'replace', remove, add: [], addPacks: [] }],
	}
	expect(writer.applyEdits([record])).toBe(true)
}

describe('slow', () => {
	test('puts wait longer the deeper L0 is, and not at all below the limit', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open(TINY)
		const waits: number[] = []
		for (let commits = 0; commits < 255; commits++) {
			void writer.put(`key ${commits}`, '1')
			await writer.flush()
			const before = rig.clock.monotonicMs()
			await rig.drive(writer.put('probe', '1'))
			waits.push(rig.clock.monotonicMs() - before)
		}
		expect(Math.max(...waits.slice(0, 127))).toBe(0)
		const half = waits.slice(180, 200).reduce((sum, ms) => sum + ms, 0)
		const late = waits.slice(230, 250).reduce((sum, ms) => sum + ms, 0)
		expect(half).toBeGreaterThan(0)
		expect(late).toBeGreaterThan(2 * half)
		await rig.drive(writer.close())
	})

	test('a durable put is on the store before its caller is held back', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open(TINY)
		await commitTiny(rig, writer, 250)
		const put = writer.put('durable', '1', { durable: true })
		expect(await rig.stateOf(put)).toBe('pending')
		expect((await committedHistory(rig.memory)).at(-1)?.key).toBe('durable')
		expect(writer.stats().stall).toMatchObject({ cause: 'l0', isStopped: false })
		await rig.drive(put)
		await rig.drive(writer.close())
	})
})

describe('stopped', () => {
	async function stopped(options: WriterOptions = {}): Promise<{ rig: WriterRig; writer: Writer }> {
		const rig = new WriterRig()
		const { writer } = await rig.open({ ...TINY, ...options })
		await commitTiny(rig, writer, 256)
		expect(writer.stats()).toMatchObject({ l0Tables: 256, l0Weight: 2, stall: { cause: 'l0', isStopped: true } })
		return { rig, writer }
	}

	test('whatever is awaited waits, for ever if need be, and goes on when L0 has shrunk', async () => {
		const { rig, writer } = await stopped()
		const calls = {
			put: writer.put('put', '1'),
			delete: writer.delete('delete'),
			durable: writer.put('durable', '1', { durable: true }),
			stream: writer.putStream('stream', streamOf(noise(10))),
		}
		await rig.clock.advance(3_600_000)
		for (const [name, call] of Object.entries(calls)) expect(await rig.stateOf(call), name).toBe('pending')
		expect(writer.stats().stall).toMatchObject({ forMs: 3_600_000 })
		shrink(writer, 0)
		await rig.drive(Promise.all(Object.values(calls)))
		expect(writer.stats().stall).toBeUndefined()
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toHaveLength(256 + 4)
		await rig.drive(writer.close())
	})

	test('what a maintainer in another process merges ends the wait, though nothing is committed here', async () => {
		const { rig, writer } = await stopped()
		const put = writer.put('late', '1')
		expect(await rig.stateOf(put)).toBe('pending')
		const { store } = rig.layers()
		const note = { policies: ['merge'], writerEpoch: 0 }
		const owner = await rig.drive(MaintenanceOwner.claim({ store, host: rig.host, note }))
		const remove = owner.manifest.l0.map(table => table.id)
		await rig.drive(owner.append([{ kind: 'replace', remove, add: [], addPacks: [] }]))
		await rig.drive(put)
		expect(writer.stats()).toMatchObject({ l0Tables: 0, stall: undefined })
		await rig.drive(writer.close())
	})

	test('it goes on one table below the limit and not at it', async () => {
		const { rig, writer } = await stopped()
		await commitTiny(rig, writer, 10)
		const put = writer.put('late', '1')
		shrink(writer, 256, 1)
		expect(await rig.stateOf(put)).toBe('pending')
		shrink(writer, 255, 2)
		await put
		await rig.drive(writer.close())
	})

	test('flush and close commit what was accepted', async () => {
		const { rig, writer } = await stopped()
		const held = [writer.put('a', '1', { durable: true }), writer.put('b', '1')]
		expect(await rig.stateOf(Promise.all(held))).toBe('pending')
		await rig.drive(writer.flush())
		expect((await committedHistory(rig.memory)).slice(-2)).toMatchObject([{ key: 'a' }, { key: 'b' }])
		const late = [writer.put('c', '1', { durable: true }), writer.delete('d')]
		expect(await rig.stateOf(Promise.all(late))).toBe('pending')
		await rig.drive(writer.close())
		await Promise.all([...held, ...late])
		expect((await committedHistory(rig.memory)).slice(-2)).toMatchObject([{ key: 'c' }, { key: 'd' }])
		expect(rig.clock.pendingTimers).toBe(0)
	})

	test('what waits for the flush timer is committed as long as L0 is not a quarter over its limit', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({ ...TINY, flushIntervalMs: 1000 })
		await commitTiny(rig, writer, 319)
		void writer.put('first', '1')
		await rig.clock.advance(1000)
		expect((await committedHistory(rig.memory)).at(-1)?.key).toBe('first')
		void writer.put('second', '1')
		await rig.clock.advance(60_000)
		expect((await committedHistory(rig.memory)).at(-1)?.key).toBe('first')
		await rig.drive(writer.close())
		expect((await committedHistory(rig.memory)).at(-1)?.key).toBe('second')
	})

	test('a caller who never awaits is bounded by memory, L0 does not grow, and nothing is lost', async () => {
		const { rig, writer } = await stopped({ memtableMaxBytes: 65_536, writeBufferMaxBytes: 524_288 })
		let refused: unknown
		let accepted = 0
		for (; refused === undefined && accepted < 20_000; accepted++) {
			const { lastSeq } = writer.stats()
			const put = writer.put(`key ${accepted}`, noise(1000, accepted))
			put.catch(() => undefined)
			if (writer.stats().lastSeq === lastSeq) refused = await put.catch((error: unknown) => error)
		}
		expect(refused).toMatchObject({ code: 'ISLE_BACKPRESSURE' })
		await rig.clock.advance(60_000)
		expect(writer.stats()).toMatchObject({ l0Tables: 256, stall: { cause: 'l0', isStopped: true } })
		shrink(writer, 0)
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toHaveLength(256 + accepted - 1)
		await rig.drive(writer.close())
	})

	test('a signal ends the wait, and a failure tells those who wait', async () => {
		const { rig, writer } = await stopped()
		const abort = new AbortController()
		const left = writer.put('left', '1', { signal: abort.signal })
		const put = writer.put('put', '1')
		const durable = writer.put('durable', '1', { durable: true })
		abort.abort(new Error('enough'))
		await expect(left).rejects.toThrow('enough')
		const failing = new WriterRig()
		const process = await failing.open(TINY)
		await commitTiny(failing, process.writer, 256)
		const waiting = [process.writer.put('a', '1'), process.writer.put('b', '1', { durable: true })]
		expect(await failing.stateOf(Promise.all(waiting))).toBe('pending')
		process.faults.before = call => (call.operation === 'createIfAbsent' ? failBefore() : undefined)
		await failing.rejection(process.writer.flush())
		for (const call of waiting) await expect(call).rejects.toMatchObject({ code: 'ISLE_INDETERMINATE' })
		await rig.drive(writer.close())
		await Promise.all([put, durable])
	})

	test('a writer that opens on a deep L0 waits from its first put on', async () => {
		const { rig, writer } = await stopped()
		await rig.drive(writer.close())
		const next = await rig.open(TINY)
		expect(await rig.stateOf(next.writer.put('key', '1'))).toBe('pending')
		await rig.drive(next.writer.close())
	})
})

describe('options', () => {
	test('the limits follow one another when one is given', () => {
		const of = (options: WriterOptions): readonly number[] => {
			const { l0SlowdownTables, l0StopTables } = writerSettings(options)
			return [l0SlowdownTables, l0StopTables]
		}
		expect(of({})).toEqual([48, 96])
		expect(of({ l0SlowdownTables: 10 })).toEqual([10, 20])
		expect(of({ l0StopTables: 10 })).toEqual([5, 10])
		expect(of({ l0StopTables: 2 })).toEqual([1, 2])
		expect(of({ l0StopTables: 500 })).toEqual([48, 500])
		expect(of({ l0SlowdownTables: 7, l0StopTables: 8 })).toEqual([7, 8])
	})

	test.each([
		['l0SlowdownTables', { l0SlowdownTables: 0 }],
		['l0SlowdownTables', { l0SlowdownTables: 1.5 }],
		['l0StopTables', { l0StopTables: 1 }],
		['l0StopTables', { l0SlowdownTables: 8, l0StopTables: 8 }],
		['l0StopTables', { l0SlowdownTables: 9, l0StopTables: 8 }],
	])('%s of %j is refused', (name, options) => {
		expect(() => writerSettings(options)).toThrow(expect.objectContaining({ name: 'RangeError' }))
		expect(() => writerSettings(options)).toThrow(name)
		expect(() => writerSettings(untyped({ [name]: '8' }))).toThrow(TypeError)
	})
})
