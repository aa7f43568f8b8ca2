/** Large tables in shared memory that is used again: whoever may still be at work in it never sees it again, or is never heard. */
import { expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { Body, ObjectStore, RequestOptions } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { openTable } from '../../src/sst/sst-table.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { TableMemory } from '../../src/writer/table-memory.ts'
import { Writer } from '../../src/writer/writer.ts'
import { type EncodeTableInput, encodeTableJob } from '../../workers/encode-table.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { WriterRig } from './writer-rig.ts'

const MIB = 1_048_576

/** Sees the bodies of uploads, and fails the first ones. */
class WatchedStore extends PassThroughStore {
	readonly bodies: Uint8Array[] = []
	readonly takesSharedBodies: boolean | undefined
	failures = 0

	constructor(inner: ObjectStore, takesSharedBodies = inner.takesSharedBodies) {
		super(inner)
		this.takesSharedBodies = takesSharedBodies
	}

	override async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		if (body instanceof Uint8Array) this.bodies.push(body)
		if (this.failures-- > 0) throw new IsleError('ISLE_UNAVAILABLE', 'planted')
		await super.put(key, body, options)
	}
}

interface Opened {
	readonly writer: Writer
	readonly store: WatchedStore
	/** Fills a memtable of 4 MiB, whose table is some 3 MB, and commits it. */
	write(): Promise<void>
}

async function opened(
	rig: WriterRig,
	{ store = new WatchedStore(new MemoryStore()), pool = rig.pool, wantsTables = (): boolean => false } = {},
): Promise<Opened> {
	const components = { store: retryingStore(store, { host: rig.host }), pool, host: rig.host, wantsTables }
	const settings = writerSettings({ flushIntervalMs: 0, memtableMaxBytes: 16 * MIB, codec: 'none' })
	const writer = await rig.drive(Writer.open(components, settings))
	let written = 0
	const write = async (): Promise<void> => {
		for (let i = 0; i < 20_000; i++) await writer.put(`key ${written} ${i}`, `value ${written} ${i}`.padEnd(150))
		written++
		await rig.drive(writer.flush())
	}
	return { writer, store, write }
}

/** Every block of every table is sound, and they hold what was put. */
async function expectSound({ writer, store }: Opened, tables: number): Promise<void> {
	expect(writer.manifest.l0).toHaveLength(tables)
	for (const [number, { objectKey, meta }] of writer.manifest.l0.entries()) {
		const bytes = (await store.get(objectKey)) ?? new Uint8Array(0)
		const table = openTable(meta, bytes.subarray(meta.metaOffset), objectKey)
		let entries = 0
		for (let b = 0; b < table.blockCount; b++) {
			const { offset, bytes: length } = table.blockRange(b)
			const block = table.decodeBlock(b, bytes.slice(offset, offset + length), objectKey)
			expect(Buffer.from(block.valueViewAt(0)).toString()).toMatch(new RegExp(`^value ${number} `))
			entries += block.count
		}
		expect(entries).toBe(20_000)
	}
}

const isShared = ({ buffer }: Uint8Array): boolean => buffer instanceof SharedArrayBuffer

test('tables of one size after another stand in the same shared memory, and are whole on the store', async () => {
	const rig = new WriterRig()
	const all = await opened(rig)
	const heard: number[] = []
	all.writer.onCommit(({ inlineTables }) => heard.push(inlineTables.size))
	for (let i = 0; i < 5; i++) await all.write()
	await expectSound(all, 5)
	expect(all.store.bodies.map(isShared)).toEqual([true, true, true, true, true])
	// The first table has been written over by then: only the last one is still there.
	const parts = all.store.bodies.map(body => new Uint8Array(body.subarray(0, MIB)))
	for (const part of parts) expect(Buffer.compare(part, parts[4] ?? new Uint8Array(0))).toBe(0)
	expect(heard).toEqual([0, 0, 0, 0, 0])
	await rig.drive(all.writer.close())
})

test('a store that does not take it, small tables, and tables that somebody waits for have memory of their own', async () => {
	const rig = new WriterRig()
	const plain = await opened(rig, { store: new WatchedStore(new MemoryStore(), false) })
	await plain.write()
	expect(plain.store.bodies.map(isShared)).toEqual([false])

	let isWanted = true
	const tailed = await opened(rig, { wantsTables: () => isWanted })
	const heard: number[] = []
	tailed.writer.onCommit(({ inlineTables }) => heard.push(inlineTables.size))
	await tailed.write()
	isWanted = false
	await tailed.write()
	for (let i = 0; i < 8_000; i++) await tailed.writer.put(`small ${i}`, 'v'.repeat(150))
	await rig.drive(tailed.writer.flush())
	expect(tailed.store.bodies.map(isShared)).toEqual([false, true, false])
	expect(heard).toEqual([1, 0, 1])
	await rig.drive(tailed.writer.close())
})

test('what an upload that was repeated may still be reading is not used again', async () => {
	const rig = new WriterRig()
	const all = await opened(rig)
	all.store.failures = 1
	await all.write()
	const [given = new Uint8Array(0)] = all.store.bodies
	const before = new Uint8Array(given)
	await all.write()
	await all.write()
	expect(Buffer.compare(given, before)).toBe(0)
	expect(all.store.bodies.map(isShared)).toEqual([true, true, true, true])
	await expectSound(all, 3)
	await rig.drive(all.writer.close())
})

test('a worker that was given up may go on reading and writing: nobody sees what it does', async () => {
	const rig = new WriterRig()
	const abandoned: EncodeTableInput[] = []
	const pool: JobPool = {
		stats: () => rig.pool.stats(),
		close: () => rig.pool.close(),
		run: (name, make, options) =>
			rig.pool.run(
				name,
				() => {
					// The first attempt's: its worker is taken for dead, and is not.
					const lost = make().input
					if ('target' in lost) abandoned.push(lost)
					return make()
				},
				options,
			),
	}
	const all = await opened(rig, { pool })
	for (let i = 0; i < 3; i++) {
		await all.write()
		for (const { target } of abandoned) if (target !== undefined) new Uint8Array(target).fill(i + 1)
	}
	expect(abandoned.filter(({ target }) => target !== undefined)).not.toEqual([])
	await expectSound(all, 3)
	// By now the copies that it reads hold other entries: it fails or makes a table of nonsense, and does nothing else.
	for (const input of abandoned) {
		try {
			encodeTableJob(input)
		} catch (error) {
			expect(error).toBeInstanceOf(Error)
		}
	}
	await expectSound(all, 3)
	await rig.drive(all.writer.close())
})

test('table memory lends four buffers at the most, makes room for larger ones, and forgets what is not given back', () => {
	const memory = new TableMemory()
	expect(memory.take(MIB)).toBeUndefined()
	const lent = [3 * MIB, 3 * MIB + 1, 3 * MIB, 3 * MIB].map(bytes => memory.take(bytes))
	expect(lent.map(buffer => buffer?.byteLength)).toEqual([3 * MIB, 4 * MIB, 3 * MIB, 3 * MIB])
	expect(memory.take(3 * MIB)).toBeUndefined()
	const [first, second] = lent
	if (first === undefined || second === undefined) throw new Error('nothing was lent')
	memory.give(first)
	memory.give(second)
	expect(memory.take(4 * MIB)).toBe(second)
	// The one that is too small makes room.
	expect(memory.take(9 * MIB)?.byteLength).toBe(9 * MIB)
	expect(memory.take(3 * MIB)).toBeUndefined()
})
