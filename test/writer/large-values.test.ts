/** Blob packs and streams. */
import { describe, expect, test } from 'vitest'
import { decodeBlobRef } from '../../src/blob/blob-ref.ts'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import { failBefore, loseReply, refuse } from '../support/faulty-store.ts'
import { commitSizes, committedHistory, latin1 } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, type WriterProcess, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

const STREAM = { operation: 'createFromStream' } as const

async function opened(): Promise<WriterProcess & { readonly rig: WriterRig }> {
	const rig = new WriterRig()
	return { rig, ...(await rig.open({ blobThresholdBytes: 1_024 })) }
}

async function blobKeys(rig: WriterRig): Promise<string[]> {
	return (await rig.memory.list({ prefix: 'blobs/' })).objects.map(object => object.key)
}

describe('large values', () => {
	test('keep their place between small ones', async () => {
		const { rig, writer } = await opened()
		for (let i = 0; i < 30; i++) void writer.put(`key ${i % 7}`, i % 3 === 0 ? noise(2_000, i) : `small ${i}`)
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history.map(({ key, isBlob }) => [key, isBlob])).toEqual(
			Array.from({ length: 30 }, (_, i) => [`key ${i % 7}`, i % 3 === 0]),
		)
		expect(commitSizes(history)).toEqual([30])
	})

	test('are answered from memory until their upload stands', async () => {
		const { rig, writer, faults } = await opened()
		const value = noise(5_000)
		await writer.put('key', value)
		const hit = writer.view.memtables[0]?.get(Buffer.from('key'), 1)
		expect(hit?.kind).toBe(KIND_BLOB)
		const ref = decodeBlobRef(hit?.value ?? new Uint8Array(0), 'test')
		expect(writer.pendingBlob(ref)).toEqual(value)
		expect(writer.pendingBlob({ ...ref, packId: 'w1-9' })).toBeUndefined()
		expect(writer.pendingBlob({ ...ref, offset: ref.offset + 1 })).toBeUndefined()

		const held = faults.hold({ operation: 'put', key: 'blobs/' }, 'after-effect')
		const flushed = writer.flush()
		await held.reached
		expect(writer.pendingBlob(ref)).toEqual(value)
		held.release()
		await rig.drive(flushed)
		expect(writer.pendingBlob(ref)).toBeUndefined()
		expect(await blobKeys(rig)).toEqual([`blobs/${ref.packId}`])
	})

	test('whose upload fails are still answered, and not committed', async () => {
		const { rig, writer, faults } = await opened()
		const value = noise(5_000)
		await writer.put('small', '1')
		await writer.put('key', value)
		const hit = writer.view.memtables[0]?.get(Buffer.from('key'), 2)
		const ref = decodeBlobRef(hit?.value ?? new Uint8Array(0), 'test')
		faults.fail({ operation: 'put', key: 'blobs/' }, refuse(new IsleError('ISLE_FULL', 'injected')))
		expect(isIsleError(await rig.rejection(writer.flush()), 'ISLE_FULL')).toBe(true)
		expect(writer.pendingBlob(ref)).toEqual(value)
		expect(await committedHistory(rig.memory)).toEqual([])
		expect(faults.count('createIfAbsent', 'log/0000000000000001')).toBe(0)
	})

	test('of one commit share a pack, and a full pack makes a commit of its own', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({
			blobThresholdBytes: 1_024,
			memtableMaxBytes: 65_536,
			writeBufferMaxBytes: 8 * 65_536,
		})
		// An eighth of the buffer is 64 KiB: the seventh value of 10,000 bytes fills the pack.
		for (let i = 0; i < 14; i++) await rig.drive(writer.put(`key ${i}`, noise(10_000, i)))
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(commitSizes(history)).toEqual([7, 7])
		expect(await blobKeys(rig)).toEqual(['blobs/w1-0', 'blobs/w1-1'])
	})
})

describe('streams', () => {
	test('take their place when the last piece is stored', async () => {
		const { rig, writer, faults } = await opened()
		const held = faults.hold(STREAM)
		const pieces = [noise(100_000, 1), new Uint8Array(0), noise(300_000, 2), noise(1, 3)]
		const stored = writer.putStream('stream', streamOf(...pieces))
		await held.reached
		await writer.put('before', '1')
		expect(writer.stats().lastSeq).toBe(1)
		held.release()
		await rig.drive(stored)
		await writer.put('after', '1')
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history.map(entry => entry.key)).toEqual(['before', 'stream', 'after'])
		expect(history[1]?.value).toBe(latin1(Buffer.concat(pieces)))
		expect(await blobKeys(rig)).toEqual(['blobs/s1-0'])
	})

	test('of no pieces are empty values', async () => {
		const { rig, writer } = await opened()
		await rig.drive(writer.putStream('empty', streamOf()))
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toMatchObject([{ key: 'empty', value: '', isBlob: true }])
	})

	test('that are cut write nothing, and their error passes through', async () => {
		const { rig, writer } = await opened()
		const cut = new Error('the source broke')
		async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
			yield noise(100_000)
			throw cut
		}
		expect(await rig.rejection(writer.putStream('key', broken()))).toBe(cut)
		expect(writer.stats()).toMatchObject({ lastSeq: 0, failure: undefined })
		expect(await blobKeys(rig)).toEqual([])
		await rig.drive(writer.put('next', '1', { durable: true }))
		expect(await committedHistory(rig.memory)).toMatchObject([{ seq: 1, key: 'next' }])
	})

	test('of what are no bytes are refused', async () => {
		const { rig, writer } = await opened()
		const sources = [new Uint8Array(10), 'text', [noise(1)], undefined, null, 7]
		for (const source of sources) {
			const error = await rig.rejection(writer.putStream('key', source as unknown as AsyncIterable<Uint8Array>))
			expect(error).toBeInstanceOf(TypeError)
		}
		for (const piece of ['text', 7, null, [1], new ArrayBuffer(3)]) {
			const source = streamOf(noise(10), piece as unknown as Uint8Array)
			expect(await rig.rejection(writer.putStream('key', source))).toBeInstanceOf(TypeError)
		}
		expect(writer.stats().lastSeq).toBe(0)
		expect(await blobKeys(rig)).toEqual([])
	})

	test('that are aborted write nothing, reject with the reason, and end their source', async () => {
		const { rig, writer } = await opened()
		const abort = new AbortController()
		const reason = new Error('enough')
		let isEnded = false
		async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
			try {
				yield noise(10)
				abort.abort(reason)
				yield noise(10)
			} finally {
				isEnded = true
			}
		}
		expect(await rig.rejection(writer.putStream('key', source(), { signal: abort.signal }))).toBe(reason)
		expect(isEnded).toBe(true)
		expect(writer.stats().lastSeq).toBe(0)
		expect(await blobKeys(rig)).toEqual([])
	})

	test('whose reply was lost are found by a listing, and are written once', async () => {
		const { rig, writer, faults, counts } = await opened()
		faults.fail(STREAM, loseReply())
		await rig.drive(writer.putStream('key', streamOf(noise(5_000)), { durable: true }))
		const { byKind } = counts.snapshot()
		expect([byKind.createFromStream.requests, byKind.list.requests]).toEqual([1, 1])
		expect(await committedHistory(rig.memory)).toMatchObject([{ key: 'key', value: latin1(noise(5_000)) }])
	})

	test('that did not arrive are ISLE_UNAVAILABLE, and the writer lives on', async () => {
		const { rig, writer, faults } = await opened()
		async function* read(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
			yield* source
		}
		faults.fail(STREAM, failBefore())
		const error = await rig.rejection(writer.putStream('key', read(streamOf(noise(5_000)))))
		expect(isIsleError(error, 'ISLE_UNAVAILABLE')).toBe(true)
		expect(writer.stats()).toMatchObject({ lastSeq: 0, failure: undefined })
		await rig.drive(writer.putStream('key', streamOf(noise(5_000)), { durable: true }))
		expect(await committedHistory(rig.memory)).toHaveLength(1)
	})

	test('that are stored when the writer has been fenced end with that', async () => {
		const { rig, writer } = await opened()
		await rig.open()
		await rig.drive(writer.putStream('key', streamOf(noise(5_000))))
		const error = await rig.rejection(writer.flush())
		expect(isIsleError(error, 'ISLE_FENCED')).toBe(true)
		expect(await committedHistory(rig.memory)).toEqual([])
	})
})
