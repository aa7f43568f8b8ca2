/** Memory that a writer keeps for later goes once the writer rests, and stays while it is used. */
import { expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { IdleMemory } from '../../src/writer/idle-memory.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { TableMemory } from '../../src/writer/table-memory.ts'
import { Writer } from '../../src/writer/writer.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { WriterRig } from './writer-rig.ts'

const MIB = 1_048_576
const TEN_SECONDS_MS = 10_000

async function openedWriter(rig: WriterRig): Promise<{ writer: Writer; write: (entries: number) => Promise<void> }> {
	const components = { store: new MemoryStore(), pool: rig.pool, host: rig.host, wantsTables: () => false }
	const settings = writerSettings({ flushIntervalMs: 0, memtableMaxBytes: 16 * MIB, codec: 'none' })
	const writer = await rig.drive(Writer.open(components, settings))
	const write = async (entries: number): Promise<void> => {
		for (let i = 0; i < entries; i++) await writer.put(`key ${i}`, `value ${i}`.padEnd(150))
		await rig.drive(writer.flush())
	}
	return { writer, write }
}

test('a writer that rests lets go of its buffers within twenty seconds, and has no timer afterwards', async () => {
	const rig = new WriterRig()
	const { writer, write } = await openedWriter(rig)
	await write(20_000)
	await write(20_000)
	expect(writer.stats().idleBytes).toBeGreaterThan(10 * MIB)
	await rig.clock.advance(2 * TEN_SECONDS_MS)
	expect(writer.stats().idleBytes).toBe(0)
	await rig.clock.advance(TEN_SECONDS_MS)
	expect(rig.clock.nextTimerMs).toBeUndefined()
	await write(20_000)
	await rig.drive(writer.close())
	expect(rig.clock.nextTimerMs).toBeUndefined()
})

test('a writer that goes on keeps what it needs, and no more', async () => {
	const rig = new WriterRig()
	const { writer, write } = await openedWriter(rig)
	await write(40_000)
	const most = writer.stats().idleBytes
	for (let i = 0; i < 4; i++) {
		await write(10_000)
		await rig.clock.advance(TEN_SECONDS_MS)
	}
	const { idleBytes } = writer.stats()
	expect(idleBytes).toBeGreaterThan(2 * MIB)
	expect(idleBytes).toBeLessThan(most / 2)
	await rig.drive(writer.close())
})

test('little is kept without a timer', () => {
	const clock = new ManualClock()
	let bytes = MIB - 1
	const idle = new IdleMemory(clock, [
		{ bytes: 0, dropIdle: () => undefined },
		{
			get bytes() {
				return bytes
			},
			dropIdle: () => undefined,
		},
	])
	idle.watch()
	expect(clock.nextTimerMs).toBeUndefined()
	bytes++
	idle.watch()
	expect(clock.nextTimerMs).toBe(TEN_SECONDS_MS)
	idle.stop()
	expect(clock.nextTimerMs).toBeUndefined()
})

test('memory of tables that is dropped counts against its bound until it is collected', () => {
	const memory = new TableMemory()
	const buffers = Array.from({ length: 4 }, () => memory.take(3 * MIB))
	for (const buffer of buffers) if (buffer !== undefined) memory.give(buffer)
	expect(memory.bytes).toBe(12 * MIB)
	memory.dropIdle()
	// One was needed since.
	memory.give(memory.take(3 * MIB) ?? new SharedArrayBuffer(0))
	memory.dropIdle()
	expect(memory.bytes).toBe(3 * MIB)
	expect(memory.take(3 * MIB)).toBeInstanceOf(SharedArrayBuffer)
	expect(memory.take(3 * MIB)).toBeUndefined()
})
