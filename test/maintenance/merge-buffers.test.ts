import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { Executor } from '../../src/maintenance/executor.ts'
import { MergeMemory } from '../../src/maintenance/merge-memory.ts'
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { bufferBytesFor, rangeBytesFor } from '../../src/maintenance/range-size.ts'
import { Uploads } from '../../src/maintenance/uploads.ts'
import { joinBody } from '../../src/object-store/body.ts'
import type { Body, ObjectStore } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { FaultyStore } from '../support/faulty-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { type Crew, everything, executing, Rig } from './rig.ts'

const TARGET_BYTES = 262_144
const MEMORY_BYTES = 6 * TARGET_BYTES
const TABLES = 4

/** A database of four tables that lie over the same keys, each of `rows` values of a kilobyte. */
async function deepL0(rows: number): Promise<Rig> {
	const rig = new Rig({ targetBytes: TARGET_BYTES, memoryBytes: MEMORY_BYTES })
	for (let t = 0; t < TABLES; t++) {
		const mutations = Array.from({ length: rows }, (_, i) => {
			return { key: `key-${String(i * TABLES + t).padStart(6, '0')}`, value: `${t}-${i}`.padEnd(1000, '.') }
		})
		await rig.commit(mutations, 'object')
	}
	return rig
}

/** Merges everything; answers the most that was held meanwhile, and what was allocated in all. */
async function mergeAll(rig: Rig, crew: Crew, faulty: FaultyStore): Promise<{ most: number; allocated: number }> {
	let most = 0
	faulty.before = () => {
		most = Math.max(most, crew.memory.heldBytes)
		return undefined
	}
	const done = await crew.executor.execute(everything(crew), executing())
	expect(done.kind).toBe('done')
	expect(await rig.rows()).toEqual(rig.expected())
	return { most, allocated: crew.memory.allocatedBytes }
}

describe('the memory of merges', () => {
	test('is the same four buffers from the first range to the last, however large the input is', async () => {
		const measured = []
		for (const rows of [400, 1600]) {
			const rig = await deepL0(rows)
			const faulty = new FaultyStore(rig.store)
			const crew = await rig.hire(faulty)
			const { most, allocated } = await mergeAll(rig, crew, faulty)
			expect((await rig.manifest()).runs[0]?.tables.length).toBeGreaterThan(rows / 200)
			expect(most).toBeLessThanOrEqual(MEMORY_BYTES)
			expect(crew.memory.heldBytes).toBe(0)
			measured.push(allocated)
		}
		// Two ranges are under way, each with one for its input and one for its table; what is left of the keys at the end is small.
		const buffers = 4 * bufferBytesFor(TARGET_BYTES)
		for (const allocated of measured) {
			expect(allocated).toBeGreaterThanOrEqual(buffers)
			expect(allocated).toBeLessThanOrEqual(buffers + bufferBytesFor(TARGET_BYTES) / 2)
		}
	})

	test('takes the blocks from the store without a copy', async () => {
		const rig = await deepL0(400)
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const { l0 } = crew.owner.manifest
		let [inPlace, elsewhere] = [0, 0]
		const getRange = faulty.getRange.bind(faulty)
		faulty.getRange = async (key, range, options) => {
			const body = await getRange(key, range, options)
			const table = l0.find(({ objectKey }) => objectKey === key)
			if (body !== undefined && range.offset < (table?.meta.metaOffset ?? 0)) {
				if (body === options?.into) inPlace += body.byteLength
				else elsewhere += body.byteLength
			}
			return body
		}
		await mergeAll(rig, crew, faulty)
		expect(inPlace).toBeGreaterThan(TABLES * 400 * 1000)
		expect(elsewhere).toBe(0)
	})

	test('does not wait for the collector: what a store hands out that is not ours is freed once it is copied', async () => {
		const rig = await deepL0(400)
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const { l0 } = crew.owner.manifest
		const blocks: Uint8Array[] = []
		const getRange = faulty.getRange.bind(faulty)
		faulty.getRange = async (key, range, options) => {
			const body = await getRange(key, range, { signal: options?.signal })
			const table = l0.find(({ objectKey }) => objectKey === key)
			if (body !== undefined && range.offset < (table?.meta.metaOffset ?? 0)) blocks.push(body)
			return body
		}
		await mergeAll(rig, crew, faulty)
		expect(blocks.length).toBeGreaterThan(20)
		expect(blocks.filter(body => body.byteLength > 0)).toEqual([])
	})

	test('is not used for what a read that was given up may still write into it', async () => {
		const rig = await deepL0(400)
		const crew = await rig.hire()
		const unsure = new UnsureReads(rig.store)
		const store = retryingStore(unsure, { budget: { maxAttempts: 3, budgetMs: 1000, basePauseMs: 0, maxPauseMs: 0 } })
		const uploads = new Uploads(store, crew.owner)
		const pool = createInlinePool(rig.host)
		const output = { codec: 'none', blockBytes: 4096, targetBytes: TARGET_BYTES } as const
		const parts = { store, pool, state: crew.owner, uploads, mergeMemoryBytes: MEMORY_BYTES, output }
		const scribbling: JobPool = {
			stats: () => pool.stats(),
			close: () => pool.close(),
			run: (name, input, options) => {
				// By now the input is read: what was given up wakes up.
				for (const memory of unsure.givenUp) memory.fill(0xee)
				return pool.run(name, input, options)
			},
		}
		const executor = new Executor({ ...parts, pool: scribbling })
		expect((await executor.execute(everything(crew), executing())).kind).toBe('done')
		expect(unsure.givenUp.length).toBeGreaterThan(2)
		expect(await rig.rows()).toEqual(rig.expected())
	})

	test('is not used again while an upload that was given up may still read it', async () => {
		const rig = await deepL0(400)
		const crew = await rig.hire()
		const unsure = new UnsureStore(rig.store)
		const store = retryingStore(unsure, { budget: { maxAttempts: 3, budgetMs: 1000, basePauseMs: 0, maxPauseMs: 0 } })
		const executor = new Executor({
			store,
			pool: createInlinePool(rig.host),
			state: crew.owner,
			uploads: new Uploads(store, crew.owner),
			mergeMemoryBytes: MEMORY_BYTES,
			output: { codec: 'none', blockBytes: 4096, targetBytes: TARGET_BYTES },
		})
		expect((await executor.execute(everything(crew), executing())).kind).toBe('done')
		expect(unsure.givenUp.length).toBeGreaterThan(2)
		for (const { body, bytes } of unsure.givenUp) expect(Buffer.compare(joinBody(body), bytes)).toBe(0)
		expect(await rig.rows()).toEqual(rig.expected())
	})

	test('is kept free only while something is lent, and only where there is room for it', async () => {
		const memory = new MergeMemory(1000, 200)
		const [a, b] = [await memory.lend(200), await memory.lend(150)]
		expect(memory.heldBytes).toBe(800)
		const taken = [a.takeInput(200), ...a.takeOutputs()]
		for (const buffer of taken) a.giveBack(buffer)
		a.end()
		a.end()
		expect(memory.heldBytes).toBe(800)
		const c = await memory.lend(200)
		expect(c.takeInput(150)).toBe(taken[1])
		expect(memory.allocatedBytes).toBe(400)
		c.giveBack(taken[1] as ArrayBuffer)
		c.end()
		// A range of another size has memory of its own, and what is free makes room.
		const d = await memory.lend(300)
		expect(memory.heldBytes).toBe(1000)
		expect(d.takeOutputs()).toEqual([])
		const odd = d.takeInput(300)
		d.giveBack(odd)
		expect(odd.detached).toBe(true)
		d.end()
		b.end()
		expect(memory.heldBytes).toBe(0)
	})

	test('what is kept whole takes a quarter of it at most, and nobody waits for that', async () => {
		const memory = new MergeMemory(1000, 200)
		expect(memory.keep(250)).toBe(true)
		expect(memory.keep(1)).toBe(false)
		// The first who wants more than is left gets it; the second waits for the first.
		const first = await memory.lend(450)
		const second = memory.lend(200)
		memory.letGo(250)
		expect(memory.keep(10)).toBe(false)
		first.end()
		;(await second).end()
		expect(memory.heldBytes).toBe(0)
	})
})

describe('a range', () => {
	test('and its table take less memory than what makes V8 collect, with default settings', () => {
		const compaction = maintenanceSettings({})?.compaction
		expect(compaction?.targetTableBytes).toBe(33_554_432)
		expect(2 * bufferBytesFor(compaction?.targetTableBytes ?? Number.NaN)).toBeLessThan(0.9 * 64 * 1_048_576)
	})

	test('becomes one table, and grows where little of it is left', () => {
		expect(rangeBytesFor(TARGET_BYTES)).toBe((TARGET_BYTES / 16) * 13)
		expect(rangeBytesFor(TARGET_BYTES, 0.95)).toBe(rangeBytesFor(TARGET_BYTES))
		expect(rangeBytesFor(TARGET_BYTES, 0.5)).toBe(2 * rangeBytesFor(TARGET_BYTES))
		expect(rangeBytesFor(TARGET_BYTES, 0)).toBe(4 * rangeBytesFor(TARGET_BYTES))
		expect(rangeBytesFor(TARGET_BYTES, 0, 300_000)).toBe(300_000)
		expect(rangeBytesFor(TARGET_BYTES, 0, 1)).toBe(rangeBytesFor(TARGET_BYTES))
	})
})

/** Every third read that is offered memory gets no answer at first, and may yet write into that. */
class UnsureReads extends PassThroughStore {
	readonly givenUp: Uint8Array[] = []
	#reads = 0

	override async getRange(...call: Parameters<ObjectStore['getRange']>): Promise<Uint8Array | undefined> {
		const into = call[2]?.into
		if (into === undefined || this.#reads++ % 3 !== 0) return await super.getRange(...call)
		this.givenUp.push(into)
		throw new IsleError('ISLE_UNAVAILABLE', 'no answer')
	}
}

/** Every other upload of a table gets no answer at first, and goes on reading its body. */
class UnsureStore extends FaultyStore {
	readonly givenUp: { readonly body: Body; readonly bytes: Uint8Array }[] = []
	#puts = 0

	constructor(store: ObjectStore) {
		super(store)
	}

	override async put(key: string, body: Body, options?: Parameters<ObjectStore['put']>[2]): Promise<void> {
		if (this.#puts++ % 3 === 0) {
			this.givenUp.push({ body, bytes: joinBody(body) })
			throw new IsleError('ISLE_UNAVAILABLE', 'no answer')
		}
		await super.put(key, body, options)
	}
}
