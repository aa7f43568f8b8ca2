/** Values that stand in packs: verified one at a time, as streams when they are too large, typed when they are gone. */
import { describe, expect, test } from 'vitest'
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { isIsleError } from '../../src/errors.ts'
import { ScanPage } from '../../src/reader/scan-page.ts'
import { Block } from '../../src/sst/block.ts'
import { BlockBuilder } from '../../src/sst/block-builder.ts'
import { KIND_BLOB, VALUE_MAX_BYTES } from '../../src/sst/entry.ts'
import { ChangeBatch } from '../../src/tail/change-batch.ts'
import { CursorMaker, encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, type Mutation, put } from '../support/commit-fixture.ts'
import { collect, expected, expectedRow, seen } from '../support/tail-model.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })
const large = (key: string, value: string): Mutation => ({ key, value, isLarge: true })

describe('large values', () => {
	test('come with their changes, in the state and behind it, over transient faults', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([large('b', 'B'.repeat(600_000)), put('a', 'small'), large('c', '')])
		await fixture.commit([large('b', 'b'.repeat(300_000)), large('d', 'D'.repeat(900_000)), put('e', '')])
		const { tails } = await fixture.readerTails()
		fixture.failOneIn(3)
		const all = await fixture.until(collect(tails.changes({ from: BEGINNING }), 6))
		expect(all.map(seen)).toEqual(fixture.history.map(expected))
		const rows = await fixture.until(collect(tails.changes({ from: 'start' }), 5))
		const stateMs = fixture.manifest.lastCommitMs
		expect(rows.map(seen)).toEqual(fixture.stateAt(6).map(row => expectedRow(row, stateMs)))
	})

	test('are read one at a time, and a batch ends with the one that passes its bound', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit(Array.from({ length: 7 }, (_, i) => large(`k${i}`, `${i}`.repeat(400_000))))
		let running = 0
		let mostRunning = 0
		fixture.store.onGetRange = async (_key, run) => {
			mostRunning = Math.max(mostRunning, ++running)
			await Promise.resolve()
			running--
			return await run()
		}
		const sizes: number[] = []
		let count = 0
		for await (const batch of fixture.writerTails().changes({ from: BEGINNING })) {
			sizes.push(batch.length)
			count += batch.length
			if (count === 7) break
		}
		expect(sizes).toEqual([3, 3, 1])
		expect(mostRunning).toBe(1)
	})

	test('that were collected end the tail with ISLE_EXPIRED, after what came before them', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([put('a', '1'), large('b', 'B'.repeat(300_000)), put('c', '3')])
		for (const key of await fixture.store.keys('blobs/')) await fixture.store.inner.delete(key)
		const iterator = fixture.writerTails().changes({ from: BEGINNING })[Symbol.asyncIterator]()
		const first = (await iterator.next()).value
		expect(first?.map(change => change.key)).toEqual(['a'])
		const error: unknown = await iterator.next().catch((thrown: unknown) => thrown)
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details['cursor']).toBe(first?.[0]?.cursor)
	})

	test('with a flipped bit are ISLE_CORRUPT', async () => {
		const fixture = await CommitFixture.create()
		await fixture.commit([large('b', 'B'.repeat(300_000))])
		const [key = ''] = await fixture.store.keys('blobs/')
		const bytes = (await fixture.store.inner.get(key)) ?? new Uint8Array(0)
		bytes[1000] = (bytes[1000] ?? 0) ^ 1
		await fixture.store.inner.put(key, bytes)
		const error: unknown = await collect(fixture.writerTails().changes({ from: BEGINNING }), 1).catch(
			(thrown: unknown) => thrown,
		)
		expect(isIsleError(error, 'ISLE_CORRUPT')).toBe(true)
	})

	test.each([
		[VALUE_MAX_BYTES, false],
		[VALUE_MAX_BYTES + 1, true],
	])('of %d bytes come as a stream: %s', async (bytes, isStream) => {
		const ref = encodeBlobRef({ packId: 's1-0', offset: 64, bytes, crc: 0 })
		const builder = new BlockBuilder(256)
		const key = Uint8Array.of(0x6b)
		builder.append(key, 0, 1, 9, KIND_BLOB, 0, ref, 0, ref.length)
		const shape = builder.measure()
		const raw = new Uint8Array(shape.rawBytes)
		builder.encode(shape, raw, 0)
		const block = new Block(raw, 'here')
		const opened: Uint8Array[] = []
		const batch = new ChangeBatch({
			keys: transcoderOf('utf8', 'keys'),
			values: transcoderOf('utf8', 'values'),
			largeValues: {
				read: () => Promise.reject(new Error('too large to be read whole')),
				async open(encodedRef) {
					opened.push(encodedRef)
					return (async function* () {
						yield Uint8Array.of(1, 2, 3)
					})()
				},
			},
		})
		batch.begin()
		batch.enterCommit(5, new CursorMaker({ epoch: 1, slot: 0 }, 9))
		batch.add(new ScanPage(block, 0, 1), 0, KIND_BLOB)
		expect(batch.pending?.bytes).toBe(isStream ? undefined : bytes)
		if (!isStream) return
		const [change] = batch.finish()
		expect(change).toMatchObject({ kind: 'put', key: 'k', value: undefined, valueBytes: bytes, seq: 9 })
		const pieces: number[] = []
		for await (const piece of (await change?.openValue?.()) ?? []) pieces.push(...piece)
		expect([pieces, opened]).toEqual([[1, 2, 3], [ref]])
	})
})
