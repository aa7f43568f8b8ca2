import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import type { RewritePacksChoice } from '../../src/maintenance/choice.ts'
import type { ByteRange, ObjectStore, RequestOptions } from '../../src/object-store/object-store.ts'
import { executing, settleStore } from '../maintenance/rig.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { Maintained } from './maintained.ts'

const PIECE_BYTES = 100_000
/** Four frames of 256 KiB, the last one of 57 bytes. */
const VALUE_BYTES = 3 * 262_144 + 57

/** A store whose streams ask for each piece anew: what was deleted meanwhile is gone. It says how much it was asked for. */
class PiecewiseStore extends PassThroughStore {
	pieces = 0
	streamedBytes = 0
	/** Called before each piece but the first. */
	onPiece: () => Promise<void> = () => Promise.resolve()

	constructor(inner: ObjectStore) {
		super(inner)
	}

	override async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		if (range === undefined || (await super.getRange(key, { ...range, bytes: 1 })) === undefined) return undefined
		return this.#read(key, range, options)
	}

	async *#read(key: string, { offset, bytes }: ByteRange, options?: RequestOptions): AsyncGenerator<Uint8Array> {
		for (let at = 0; at < bytes; at += PIECE_BYTES) {
			if (at > 0) await this.onPiece()
			const piece = { offset: offset + at, bytes: Math.min(PIECE_BYTES, bytes - at) }
			const read = await super.getRange(key, piece, options)
			if (read === undefined) throw new IsleError('ISLE_NOT_FOUND', `gone: key=\`${key}\``)
			this.pieces++
			this.streamedBytes += read.length
			yield read
		}
	}
}

function filledWith(tag: string): Uint8Array {
	return Buffer.from(tag.repeat(VALUE_BYTES).slice(0, VALUE_BYTES))
}
const bytesAt = (i: number): number => (i * 31 + (i >> 8)) & 0xff
const VALUE = Uint8Array.from({ length: VALUE_BYTES }, (_, i) => bytesAt(i))

async function filled() {
	const maintained = new Maintained()
	const encodings = { valueEncoding: 'buffer' as const }
	const write = async (...values: readonly (readonly [key: string, value: Uint8Array])[]): Promise<void> => {
		await using db = await maintained.open()
		for (const [key, value] of values) await db.putStream(key, piecesOf(value))
		await db.flush()
	}
	await write(['v', VALUE], ['w', filledWith('w')])
	const store = new PiecewiseStore(maintained.rig.store)
	const reader = await maintained.openReader(store, encodings as never)
	return { maintained, reader, store, write }
}

async function* piecesOf(value: Uint8Array): AsyncGenerator<Uint8Array> {
	yield value
}

async function joined(pieces: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
	const all: Uint8Array[] = []
	for await (const piece of pieces ?? []) all.push(piece)
	return Buffer.concat(all)
}

/** Moves every value into a new pack, and collects the old ones. */
async function rewritePacks(maintained: Maintained): Promise<void> {
	const crew = await maintained.rig.hire()
	await crew.owner.follow()
	const { l0, runs, blobPacks } = crew.owner.manifest
	const tables = [...l0, ...runs.flatMap(run => run.tables)].filter(table => table.meta.blobRefCount > 0)
	const choice: RewritePacksChoice = {
		kind: 'rewrite-packs',
		packs: blobPacks,
		tables,
		liveBytes: 0,
		why: 'the test says so',
	}
	await crew.executor.execute(choice, executing())
	await settleStore(crew)
}

describe('a stream of a part of a value', () => {
	test.each([
		[0, undefined],
		[1, 10],
		[262_143, 2],
		[262_144, 262_144],
		[500_000, 100_000],
		[VALUE_BYTES - 1, 5],
		[VALUE_BYTES, 5],
		[VALUE_BYTES + 1000, undefined],
		[5, 0],
	])('from %i on, of %s bytes, gives exactly these, and asks for their frames alone', async (offset, bytes) => {
		const { reader, store } = await filled()
		const found = await joined(await reader.getStream('v', { offset, bytes }))
		expect(found.equals(VALUE.subarray(offset, bytes === undefined ? undefined : offset + bytes))).toBe(true)
		const frames =
			found.length === 0 ? 0 : Math.floor((offset + found.length - 1) / 262_144) - Math.floor(offset / 262_144) + 1
		expect(store.streamedBytes).toBeLessThanOrEqual(frames * (262_144 + 4))
		await reader.close()
	})

	test('works for small values and those that the writer has not uploaded yet, and refuses what is no range', async () => {
		const maintained = new Maintained()
		await using db = await maintained.open()
		await db.put('small', '0123456789')
		await db.put('large', 'l'.repeat(300_000))
		const part = async (key: string, offset?: number, bytes?: number): Promise<string> =>
			(await joined(await db.getStream(key, { offset, bytes }))).toString()
		expect(await part('small', 2, 3)).toBe('234')
		expect(await part('small', 20)).toBe('')
		expect(await part('large', 299_998, 10)).toBe('ll')
		await db.flush()
		expect(await part('large', 299_998, 10)).toBe('ll')
		expect(await db.getStream('none', { offset: 5 })).toBeUndefined()
		for (const offset of [-1, 0.5, Number.NaN, '1' as never]) {
			await expect(db.getStream('small', { offset })).rejects.toThrow(/offset/)
		}
		await expect(db.getStream('small', { bytes: -1 })).rejects.toThrow(RangeError)
	})

	test('is never whole in memory: nothing is asked for before it is wanted', async () => {
		const { reader, store } = await filled()
		const stream = await reader.getStream('v')
		const iterator = stream?.[Symbol.asyncIterator]()
		await iterator?.next()
		// The first frame, and what the piece that completes it brings.
		expect(store.pieces).toBe(3)
		await iterator?.return?.()
		expect(await iterator?.next()).toEqual({ done: true, value: undefined })
		expect(store.pieces).toBe(3)
		await reader.close()
	})
})

describe('a value that is streamed while its object is collected, without grace', () => {
	test('goes on when it only lies elsewhere now', async () => {
		const { maintained, reader, store } = await filled()
		let moves = 0
		store.onPiece = async () => {
			if (store.pieces === 4 && moves++ === 0) await rewritePacks(maintained)
		}
		const found = await joined(await reader.getStream('v', { offset: 1000 }))
		expect(moves).toBe(1)
		expect(found.equals(VALUE.subarray(1000))).toBe(true)
		await reader.close()
	})

	test('fails typed when it was overwritten, never short and never as the other value', async () => {
		const { maintained, reader, store, write } = await filled()
		let isOver = false
		store.onPiece = async () => {
			if (store.pieces !== 4 || isOver) return
			isOver = true
			await write(['v', filledWith('x')], ['w', filledWith('x')])
			await maintained.mergeAndCollect()
		}
		const stream = await reader.getStream('v')
		let given = 0
		const reading = (async () => {
			for await (const piece of stream ?? []) {
				expect(Buffer.from(piece).equals(VALUE.subarray(given, given + piece.length))).toBe(true)
				given += piece.length
			}
		})()
		await expect(reading).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		expect(given).toBe(262_144)
		const again = await joined(await reader.getStream('v'))
		expect(again.equals(filledWith('x'))).toBe(true)
		await reader.close()
	})

	test('goes on to its end in a pin, whatever becomes of the newest state', async () => {
		const { maintained, reader, store, write } = await filled()
		await using pin = await reader.pin('p')
		let isOver = false
		store.onPiece = async () => {
			if (isOver) return
			isOver = true
			await write(['v', filledWith('x')], ['w', filledWith('x')])
			await maintained.mergeAndCollect()
		}
		expect((await joined(await pin.getStream('v'))).equals(VALUE)).toBe(true)
		await reader.close()
	})

	test('is asked for again where a connection was cut, and given up after failures without progress', async () => {
		const { reader, store } = await filled()
		let cuts = 0
		store.onPiece = () => {
			if (++cuts % 4 !== 0) return Promise.resolve()
			return Promise.reject(new IsleError('ISLE_UNAVAILABLE', 'the connection was cut'))
		}
		const found = await joined(await reader.getStream('v'))
		expect(cuts).toBeGreaterThan(4)
		expect(found.equals(VALUE)).toBe(true)
		store.onPiece = () => Promise.reject(new IsleError('ISLE_UNAVAILABLE', 'the connection was cut'))
		await expect(joined(await reader.getStream('v'))).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		store.onPiece = () => Promise.reject(new IsleError('ISLE_DENIED', 'not for you'))
		await expect(joined(await reader.getStream('v'))).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await reader.close()
	})
})
