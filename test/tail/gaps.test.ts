/** What a tail must not swallow: collected stretches behind a void seal, tables that lack a sequence number. */
import { describe, expect, test } from 'vitest'
import { TableSource } from '../../src/cache/table-source.ts'
import { isIsleError } from '../../src/errors.ts'
import { encodeRecord } from '../../src/log/record.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { KeyFilter } from '../../src/tail/key-filter.ts'
import { orderTable, seqAtPlace } from '../../src/tail/ordered-table.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { collect } from '../support/tail-model.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const NOTHING = new Uint8Array(0)

describe('gaps', () => {
	test('a void seal in a slot that was used and deleted leads to ISLE_EXPIRED, not over the commits behind it', async () => {
		const fixture = await CommitFixture.create()
		for (let i = 0; i < 5; i++) await fixture.commit([put(`k${i}`, 'v')])
		await fixture.takeOver()
		await fixture.commit([put('later', 'v')])
		const position = { epoch: 1, slot: 2 }
		const seal = encodeRecord({
			kind: 'seal',
			position,
			owner: new Uint8Array(16).fill(9),
			nonce: new Uint8Array(8),
			body: NOTHING,
			sections: [],
		})
		await fixture.store.inner.put(fixture.log.key(position), seal.pieces)
		const from = encodeCursor({ kind: 'change', seq: 2, position })
		const error: unknown = await collect(fixture.writerTails().changes({ from }), 1).catch((thrown: unknown) => thrown)
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details['cursor']).toBe(from)
		// Positive control: with the true commit there, the same cursor leads to all that follows.
		await fixture.store.inner.delete(fixture.log.key(position))
		const other = await CommitFixture.create()
		for (let i = 0; i < 5; i++) await other.commit([put(`k${i}`, 'v')])
		expect((await collect(other.writerTails().changes({ from }), 3)).map(change => change.seq)).toEqual([3, 4, 5])
	})

	test.each([
		['whole', [1, 2, 3], undefined],
		['that lacks one', [1, 3], 'ISLE_CORRUPT'],
		['that has one twice', [1, 1, 3], 'ISLE_CORRUPT'],
	])('a table %s', async (_what, seqs, code) => {
		const builder = new TableBuilder({ codec: 'lz4', minWriteMs: 0, maxWriteMs: 0 })
		for (const [i, seq] of seqs.entries()) builder.add(utf8(`k${i}`), 0, 2, seq, 1, 0, NOTHING, 0, 0)
		const { bytes, meta } = builder.finish()
		const fixture = await CommitFixture.create()
		const pool = createInlinePool(fixture.host)
		const order = orderTable({
			ref: { id: 'w1-0', objectKey: 'sst/w1-0', offset: 0, meta },
			bytes,
			filter: new KeyFilter({ lower: undefined, upper: undefined, isEmpty: false }),
			source: new TableSource({ store: fixture.store, pool }),
			pool,
			clock: fixture.host.clock,
			signal: undefined,
		})
		if (code === undefined) {
			const table = await order
			expect(Array.from({ length: table.count }, (_, place) => seqAtPlace(table, place))).toEqual(seqs)
		} else await expect(order).rejects.toMatchObject({ code })
	})
})
