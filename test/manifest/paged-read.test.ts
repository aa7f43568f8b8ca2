/** Large objects in pages: which ranges are asked for, how many at once, and what becomes of them when one fails. */
import { beforeEach, describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { checkpointKey, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { PAGE_BYTES, PAGES_AT_ONCE, readByPages, WHOLE_MAX_BYTES } from '../../src/manifest/paged-read.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import type { ByteRange, RangeRequestOptions } from '../../src/object-store/object-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { manualHost } from '../support/manual-clock.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'

type Page = Uint8Array | undefined

/** Notes the ranges that it is asked for; a hook may do something else. */
class PageStore extends PassThroughStore {
	readonly ranges: ByteRange[] = []
	readonly signals: AbortSignal[] = []
	atOnce = 0
	mostAtOnce = 0
	onPage: (range: ByteRange, read: () => Promise<Page>, options: RangeRequestOptions) => Promise<Page> = (_, read) =>
		read()

	override async getRange(key: string, range: ByteRange, options: RangeRequestOptions = {}): Promise<Page> {
		this.ranges.push(range)
		if (options.signal !== undefined) this.signals.push(options.signal)
		this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce)
		try {
			return await this.onPage(range, () => super.getRange(key, range, options), options)
		} finally {
			this.atOnce--
		}
	}
}

function noise(bytes: number): Uint8Array {
	const words = new Uint32Array(Math.ceil(bytes / 4))
	for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1)
	return new Uint8Array(words.buffer, 0, bytes)
}

function rangesOf(...bytes: number[]): ByteRange[] {
	return bytes.map((count, page) => ({ offset: page * PAGE_BYTES, bytes: count }))
}

/** Resolves when `signal` aborts, and then as a store does: with its reason. */
function untilAborted({ signal }: RangeRequestOptions): Promise<never> {
	return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
}

const outage = (): IsleError => new IsleError('ISLE_UNAVAILABLE', 'cut')
const PAGE_AND_A_BYTE = [PAGE_BYTES, PAGE_BYTES, 1]

describe('an object', () => {
	const store = new PageStore()
	const requests = countingStore(store)

	beforeEach(() => {
		store.ranges.length = 0
		store.signals.length = 0
		store.mostAtOnce = 0
		store.onPage = (_, read) => read()
		requests.reset()
	})

	/** Stored under `key`, and read by pages. */
	async function read(bytes: Uint8Array, signal?: AbortSignal): Promise<Page> {
		await store.inner.put('key', bytes)
		return await readByPages(requests, 'key', bytes.length, { signal })
	}

	test('of 8 MiB is one GET, and one of a byte more is three', async () => {
		const bytes = noise(WHOLE_MAX_BYTES + 1)
		expect(Buffer.compare((await read(bytes.subarray(0, WHOLE_MAX_BYTES))) ?? bytes, bytes.subarray(0, -1))).toBe(0)
		expect(requests.snapshot().byKind.get.requests).toBe(1)
		expect(store.ranges).toEqual([])
		expect(Buffer.compare((await read(bytes)) ?? new Uint8Array(0), bytes)).toBe(0)
		expect(store.ranges).toEqual(rangesOf(...PAGE_AND_A_BYTE))
		expect(requests.snapshot().byKind.get.requests).toBe(1)
	})

	test('of many pages has four of them on their way at once, and no more', async () => {
		let release: () => void = () => undefined
		const released = new Promise<void>(resolve => {
			release = resolve
		})
		store.onPage = async (_, readPage) => {
			if (store.atOnce === PAGES_AT_ONCE) release()
			await released
			return await readPage()
		}
		const bytes = noise(6 * PAGE_BYTES - 5)
		expect(Buffer.compare((await read(bytes)) ?? new Uint8Array(0), bytes)).toBe(0)
		expect(store.mostAtOnce).toBe(PAGES_AT_ONCE)
		expect(store.ranges).toEqual(rangesOf(PAGE_BYTES, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES - 5))
	})

	test('of which a page is cut is read on: that page again, and no other', async () => {
		const bytes = noise(WHOLE_MAX_BYTES + 1)
		const host = manualHost()
		let late: Uint8Array | undefined
		store.onPage = async ({ offset }, readPage, { into }) => {
			if (offset !== PAGE_BYTES || late !== undefined) return await readPage()
			late = into
			throw outage()
		}
		await store.inner.put('key', bytes)
		const reading = readByPages(retryingStore(store, { host }), 'key', bytes.length)
		await host.clock.untilTimers(1)
		await host.clock.advance(10_000)
		const got = await reading
		expect(store.ranges.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual([
			0,
			PAGE_BYTES,
			PAGE_BYTES,
			2 * PAGE_BYTES,
		])
		// What was given up writes into the memory that it was offered after all.
		expect(late).toHaveLength(PAGE_BYTES)
		late?.fill(7)
		expect(Buffer.compare(got ?? new Uint8Array(0), bytes)).toBe(0)
	})

	test('that fails in one page fails at once, as that page did, and the others are stopped', async () => {
		store.onPage = async ({ offset }, _, options) => {
			if (offset === 0) throw new IsleError('ISLE_DENIED', 'no')
			return await untilAborted(options)
		}
		await expect(read(noise(6 * PAGE_BYTES))).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		expect(store.ranges).toHaveLength(PAGES_AT_ONCE)
		expect(store.signals.every(({ aborted }) => aborted)).toBe(true)
	})

	test('that is aborted asks for nothing more, and stops what is on its way', async () => {
		const abort = new AbortController()
		const reason = new Error('enough')
		store.onPage = async (_, __, options) => {
			const never = untilAborted(options)
			if (store.atOnce === PAGES_AT_ONCE) abort.abort(reason)
			return await never
		}
		await expect(read(noise(6 * PAGE_BYTES), abort.signal)).rejects.toBe(reason)
		expect(store.ranges).toHaveLength(PAGES_AT_ONCE)
		expect(store.atOnce).toBe(0)
	})
})

describe('a checkpoint of more than 8 MiB', () => {
	/** Of few tables with keys of 60 KiB. */
	function stateOf(slot: number): Manifest {
		const tables = Array.from({ length: 75 }, (_, i) => {
			const { meta, ...table } = tableOf(`m1-${i}`, i + 1, i + 1)
			const key = noise(61_440)
			const keyOf = (last: number): Uint8Array => Uint8Array.from([i, ...key.subarray(1, -1), last])
			return { ...table, meta: { ...meta, smallestKey: keyOf(0), largestKey: keyOf(1) } }
		})
		const position = { epoch: 1, slot }
		return {
			...EMPTY_MANIFEST,
			writerPosition: position,
			maintenancePosition: position,
			lastSeq: 100,
			runs: [{ id: 'r', tables }],
		}
	}

	const state = stateOf(5)
	const bytes = encodeCheckpoint(state)

	async function stored(): Promise<PageStore> {
		const store = new PageStore()
		await store.inner.put(checkpointKey(state), bytes)
		return store
	}

	test('is opened by its pages', async () => {
		const store = await stored()
		const opened = encodeCheckpoint(await loadManifest(new DatabaseLogs(store)))
		expect(Buffer.compare(opened, bytes)).toBe(0)
		const pages = store.ranges.filter(range => range.bytes > 1)
		expect(pages).toEqual(rangesOf(PAGE_BYTES, PAGE_BYTES, bytes.length - WHOLE_MAX_BYTES))
	})

	test('of which a page is gone was deleted: the newer one is opened, after another LIST', async () => {
		const store = await stored()
		const requests = countingStore(store)
		const newer = {
			...EMPTY_MANIFEST,
			writerPosition: { epoch: 1, slot: 6 },
			maintenancePosition: { epoch: 1, slot: 6 },
		}
		store.onPage = async ({ offset }, read, options) => {
			if (offset === 0) return await read()
			if (offset > PAGE_BYTES) return await untilAborted(options)
			await store.inner.put(checkpointKey(newer), encodeCheckpoint(newer))
			await store.inner.delete(checkpointKey(state))
			return await read()
		}
		expect(await loadManifest(new DatabaseLogs(requests))).toEqual(newer)
		expect(store.ranges).toHaveLength(3)
		const { list } = requests.snapshot().byKind
		// One more than opening takes.
		expect(list.requests).toBe(3)
	})

	test('with a flipped bit in any page is corrupt', async () => {
		for (const page of [0, 1, 2]) {
			const store = await stored()
			const damaged = bytes.slice()
			const at = page * PAGE_BYTES + 100
			damaged[at] = (damaged[at] as number) ^ 4
			await store.inner.put(checkpointKey(state), damaged)
			await expect(loadManifest(new DatabaseLogs(store))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		}
	})

	test('that is shorter than its LIST said is corrupt', async () => {
		const store = await stored()
		store.onPage = async (_, read) => {
			await store.inner.put(checkpointKey(state), bytes.subarray(0, -1))
			return await read()
		}
		await expect(loadManifest(new DatabaseLogs(store))).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
	})
})
