/** Conformance: bodies as streams, in and out. */
import assert from 'node:assert/strict'
import type { Clause } from './conformance.ts'
import {
	assertBytes,
	assertObject,
	assertRejectsTyped,
	created,
	notABody,
	sampleBytes,
	text,
} from './conformance-objects.ts'
import type { ByteRange, ObjectStore } from './object-store.ts'

const MIB = 1024 * 1024
/** More than any of our adapters sends in one request where the store has parts. */
const PARTS_BYTES: number = 17 * MIB + 11

async function* piecesOf(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** One buffer used again for every piece: the store may not keep what it was given. */
async function* reusedBuffer(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
	const buffer = new Uint8Array(pieceBytes)
	for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
		const piece = bytes.subarray(at, at + pieceBytes)
		buffer.set(piece)
		yield buffer.subarray(0, piece.byteLength)
	}
	buffer.fill(0)
}

async function collected(store: ObjectStore, key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
	const stream = await store.getStream(key, range)
	if (stream === undefined) return undefined
	const pieces: Uint8Array[] = []
	for await (const piece of stream) pieces.push(piece)
	return Buffer.concat(pieces)
}

async function drain(stream: Promise<AsyncIterable<Uint8Array> | undefined>): Promise<void> {
	for await (const _ of (await stream) ?? []) {
		// Only the end matters.
	}
}

export const STREAM_CLAUSES: readonly Clause[] = [
	{
		name: 'a stream gives the body of an object, whole or a range of it, and undefined for an absent one',
		run: async store => {
			const body = sampleBytes(3 * MIB + 17)
			await created(store, 'streamed', body)
			assertBytes(await collected(store, 'streamed'), body, 'streamed')
			const range = { offset: MIB - 3, bytes: MIB + 9 }
			assertBytes(
				await collected(store, 'streamed', range),
				body.subarray(range.offset, range.offset + range.bytes),
				'streamed',
			)
			await created(store, 'empty', new Uint8Array(0))
			assertBytes(await collected(store, 'empty'), new Uint8Array(0), 'empty')
			assert.equal(await store.getStream('absent'), undefined)
			assert.equal(await store.getStream('absent', { offset: 0, bytes: 1 }), undefined)
		},
	},
	{
		name: 'a streamed range past the end is ISLE_CORRUPT, when it is asked for or at the latest while it is read',
		run: async store => {
			await created(store, 'short', sampleBytes(100))
			await assertRejectsTyped(drain(store.getStream('short', { offset: 50, bytes: 51 })), 'ISLE_CORRUPT', 'short')
			await assertRejectsTyped(drain(store.getStream('short', { offset: 100, bytes: 1 })), 'ISLE_CORRUPT', 'short')
		},
	},
	{
		name: 'a stream that is left early frees the object, and others go on',
		run: async store => {
			const body = sampleBytes(3 * MIB)
			await created(store, 'left', body)
			const other = await store.getStream('left')
			for await (const piece of (await store.getStream('left')) ?? []) {
				assert.ok(piece.byteLength > 0)
				break
			}
			const pieces: Uint8Array[] = []
			for await (const piece of other ?? []) {
				pieces.push(Uint8Array.from(piece))
				piece.fill(0)
			}
			assertBytes(Buffer.concat(pieces), body, 'left')
			await store.delete('left')
			await assertObject(store, 'left', undefined)
		},
	},
	{
		name: 'createFromStream creates the concatenation of its pieces, and may be fed from one buffer',
		run: async store => {
			const body = sampleBytes(2 * MIB + 5)
			assert.deepEqual(await store.createFromStream('in/1', piecesOf(body, 70_001)), { kind: 'created' })
			await assertObject(store, 'in/1', body)
			assert.deepEqual(await store.createFromStream('in/2', reusedBuffer(body, 65_536)), { kind: 'created' })
			await assertObject(store, 'in/2', body)
			assert.deepEqual(await store.createFromStream('in/3', piecesOf(new Uint8Array(0), 1)), { kind: 'created' })
			await assertObject(store, 'in/3', new Uint8Array(0))
		},
	},
	{
		name: 'createFromStream of a key that is taken answers exists and changes nothing',
		run: async store => {
			await created(store, 'taken', text('first'))
			assert.deepEqual(await store.createFromStream('taken', piecesOf(sampleBytes(100_000), 1000)), { kind: 'exists' })
			await assertObject(store, 'taken', text('first'))
			const racers = [1, 2, 3, 4].map(seed => store.createFromStream('raced', piecesOf(sampleBytes(5000, seed), 999)))
			const kinds = (await Promise.all(racers)).map(outcome => outcome.kind).sort()
			assert.deepEqual(kinds, ['created', 'exists', 'exists', 'exists'])
		},
	},
	{
		name: 'a body that goes in parts is created at its end, and refused when the key is taken, also by another at once',
		run: async store => {
			const [first, second] = [sampleBytes(PARTS_BYTES, 1), sampleBytes(PARTS_BYTES, 2)]
			const ways = [
				(key: string, body: Uint8Array) => store.createIfAbsent(key, body),
				(key: string, body: Uint8Array) => store.createFromStream(key, piecesOf(body, MIB)),
			]
			for (const [way, create] of ways.entries()) {
				const key = `parts/${way}`
				const outcomes = await Promise.all([create(key, first), create(key, second)])
				assert.deepEqual(outcomes.map(({ kind }) => kind).sort(), ['created', 'exists'])
				const winner = outcomes[0]?.kind === 'created' ? first : second
				await assertObject(store, key, winner)
				assert.deepEqual(await create(key, winner === first ? second : first), { kind: 'exists' })
				await assertObject(store, key, winner)
				await store.delete(key)
			}
			await created(store, 'small', text('first'))
			for (const create of ways) assert.deepEqual(await create('small', first), { kind: 'exists' })
			await assertObject(store, 'small', text('first'))
		},
	},
	{
		name: 'a source that fails rejects with its error, creates nothing, and leaves the key free',
		run: async store => {
			// With a code, as errors of sockets have: it is the source's, and no store may take it for one of its own.
			const failure = Object.assign(new Error('the source broke'), { code: 'ECONNRESET' })
			async function* broken(): AsyncGenerator<Uint8Array> {
				yield sampleBytes(100_000)
				throw failure
			}
			await assert.rejects(store.createFromStream('cut', broken()), (error: unknown) => error === failure)
			await assertObject(store, 'cut', undefined)
			assert.deepEqual((await store.list()).objects, [])
			await created(store, 'cut', text('whole'))
		},
	},
	{
		name: 'a source of something other than bytes is refused with TypeError, and creates nothing',
		run: async store => {
			async function* wrong(): AsyncGenerator<never> {
				yield notABody()
			}
			await assert.rejects(store.createFromStream('wrong', wrong()), TypeError)
			await assertObject(store, 'wrong', undefined)
		},
	},
]
