import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { decodeRecord, encodeRecord, type LogRecord } from '../../src/log/record.ts'
import { type CommitBody, type CommitTable, decodeCommit, encodeCommitBody } from '../../src/manifest/commit.ts'
import { bitFlips, truncations, verdictOf } from '../support/damage.ts'
import { readGolden } from '../support/golden-files.ts'
import { blobPackRefs, tableOf } from '../support/manifest-arbitraries.ts'
import { GOLDEN_COMMITS, GOLDEN_SECTIONS } from './golden-manifests.ts'

const POSITION = { epoch: 2, slot: 5 }
const WHERE = 'log/0000000000000002/0000000000000005'

/** The record of a commit, through the record's own bytes, so that sections stand at true offsets. */
function recordOf(body: Uint8Array, sections: readonly Uint8Array[]): LogRecord {
	const content = { kind: 'commit', position: POSITION, owner: new Uint8Array(16), nonce: new Uint8Array(8) } as const
	const { pieces } = encodeRecord({ ...content, body, sections })
	return decodeRecord(new Uint8Array(Buffer.concat(pieces)), POSITION, WHERE)
}

const SAMPLE = GOLDEN_COMMITS['commit-with-tables'] as CommitBody
const SECTIONS = GOLDEN_SECTIONS['commit-with-tables'] as readonly Uint8Array[]

const corruptError = expect.objectContaining({ code: 'ISLE_CORRUPT' })

describe('a commit', () => {
	const bodies = fc
		.record({
			firstSeq: fc.integer({ min: 1, max: 2 ** 40 }),
			committedAtMs: fc.maxSafeNat(),
			tables: fc.array(fc.record({ count: fc.integer({ min: 1, max: 1000 }), isInline: fc.boolean() }), {
				maxLength: 4,
			}),
			blobPacks: fc.array(blobPackRefs, { maxLength: 2 }),
		})
		.map(({ firstSeq, committedAtMs, tables: drawn, blobPacks }) => {
			let next = firstSeq
			const sections: Uint8Array[] = []
			const tables = drawn.map(({ count, isInline }, index): CommitTable => {
				const id = `w2-${index}`
				const { meta } = tableOf(id, next, next + count - 1)
				next += count
				if (!isInline) return { id, meta, place: { kind: 'object', objectKey: `sst/${id}` } }
				const section = sections.push(new Uint8Array(meta.storedBytes).fill(index + 1)) - 1
				return { id, meta, place: { kind: 'inline', section } }
			})
			const body: CommitBody = { firstSeq, lastSeq: next - 1, committedAtMs, tables, blobPacks }
			return { body, sections }
		})

	test('comes back as it was written, its inline tables with their bytes and where they stand', () => {
		fc.assert(
			fc.property(bodies, ({ body, sections }) => {
				const record = recordOf(encodeCommitBody(body), sections)
				const { commit, inlineTables } = decodeCommit(record, WHERE)
				const { tables, ...rest } = body
				expect(commit).toMatchObject({ ...rest, position: POSITION })
				expect(commit.tables.map(({ id, meta }) => ({ id, meta }))).toEqual(
					tables.map(({ id, meta }) => ({ id, meta })),
				)
				for (const [index, { id, place }] of tables.entries()) {
					const found = commit.tables[index]
					if (place.kind === 'object') {
						expect(found).toMatchObject({ objectKey: place.objectKey, offset: 0 })
						expect(inlineTables.has(id)).toBe(false)
					} else {
						expect(found).toMatchObject({ objectKey: WHERE, offset: record.sections[place.section]?.offset })
						expect(inlineTables.get(id)).toEqual(sections[place.section])
					}
				}
			}),
		)
	})

	test.each(Object.keys(GOLDEN_COMMITS))('has the bytes that it always had: %s', name => {
		const body = GOLDEN_COMMITS[name] as CommitBody
		const golden = readGolden(new URL(`golden/${name}.bin`, import.meta.url))
		expect(Buffer.from(encodeCommitBody(body)).toString('hex')).toBe(Buffer.from(golden).toString('hex'))
		const { commit } = decodeCommit(recordOf(golden, GOLDEN_SECTIONS[name] ?? []), WHERE)
		expect(commit).toMatchObject({ firstSeq: body.firstSeq, lastSeq: body.lastSeq, blobPacks: body.blobPacks })
		expect(commit.tables.map(table => table.meta)).toEqual(body.tables.map(table => table.meta))
	})

	test('is refused when cut short anywhere, or followed by anything', () => {
		const bytes = encodeCommitBody(SAMPLE)
		for (const cut of truncations(bytes))
			expect(() => decodeCommit(recordOf(cut, SECTIONS), WHERE)).toThrow(corruptError)
		const longer = new Uint8Array([...bytes, 0])
		expect(() => decodeCommit(recordOf(longer, SECTIONS), WHERE)).toThrow(corruptError)
	})

	test('of which a bit is flipped is refused by the checksum of its record, each bit of it', () => {
		const content = { kind: 'commit', position: POSITION, owner: new Uint8Array(16), nonce: new Uint8Array(8) } as const
		const { pieces } = encodeRecord({ ...content, body: encodeCommitBody(SAMPLE), sections: SECTIONS })
		const front = pieces[0] as Uint8Array
		const whole = new Uint8Array(Buffer.concat(pieces))
		const accepted: string[] = []
		for (const [where, flipped] of bitFlips(whole, 0, front.length)) {
			const verdict = verdictOf(() => decodeCommit(decodeRecord(flipped, POSITION, WHERE), WHERE))
			if (verdict === 'accepted') accepted.push(where)
		}
		expect(accepted).toEqual([])
	})

	test('without that checksum gives a typed error or an answer for a flipped bit, never a crash', () => {
		let refused = 0
		for (const [, flipped] of bitFlips(encodeCommitBody(SAMPLE))) {
			if (verdictOf(() => decodeCommit(recordOf(flipped, SECTIONS), WHERE)) === 'refused') refused++
		}
		expect(refused).toBeGreaterThan(100)
	})

	const wrong: [string, Partial<CommitBody>][] = [
		['begins before its first table', { firstSeq: 7 }],
		['ends behind its last table', { lastSeq: 18 }],
		['ends before its last table', { lastSeq: 16 }],
		['names its tables in the wrong order', { tables: [...SAMPLE.tables].reverse() }],
		['has a table less than it says', { tables: SAMPLE.tables.slice(0, 1) }],
		['has a table twice', { tables: [...SAMPLE.tables, ...SAMPLE.tables] }],
		['says to have changes without a table', { tables: [] }],
	]
	test.each(wrong)('that %s is corrupt', (_what, change) => {
		expect(() => decodeCommit(recordOf(encodeCommitBody({ ...SAMPLE, ...change }), SECTIONS), WHERE)).toThrow(
			corruptError,
		)
	})

	test('whose inline table is in no section, or in one of another length, is corrupt', () => {
		const body = encodeCommitBody(SAMPLE)
		expect(() => decodeCommit(recordOf(body, []), WHERE)).toThrow(corruptError)
		expect(() => decodeCommit(recordOf(body, [new Uint8Array(499)]), WHERE)).toThrow(corruptError)
		expect(() => decodeCommit(recordOf(body, [new Uint8Array(501)]), WHERE)).toThrow(corruptError)
		expect(decodeCommit(recordOf(body, [new Uint8Array(500)]), WHERE).inlineTables.size).toBe(1)
	})

	test('with two tables of one id is corrupt: the bytes of one would be taken for the other', () => {
		const [first, second] = SAMPLE.tables as readonly [CommitTable, CommitTable]
		const body = encodeCommitBody({ ...SAMPLE, tables: [first, { ...second, id: first.id }] })
		expect(() => decodeCommit(recordOf(body, SECTIONS), WHERE)).toThrow(corruptError)
	})

	test('with a place of a table that this release does not know is corrupt, and not taken for an inline one', () => {
		const { meta } = tableOf('w2-0', 1, 1)
		const writer = new ByteWriter().varint(1).varint(1).varint(0).varint(1).string('w2-0')
		const known = encodeCommitBody({
			firstSeq: 1,
			lastSeq: 1,
			committedAtMs: 0,
			tables: [{ id: 'w2-0', meta, place: { kind: 'inline', section: 0 } }],
			blobPacks: [],
		})
		const at = writer.length
		expect(known[at], 'the byte under test').toBe(1)
		const sections = [new Uint8Array(meta.storedBytes)]
		expect(decodeCommit(recordOf(known, sections), WHERE).inlineTables.size).toBe(1)
		known[at] = 2
		expect(() => decodeCommit(recordOf(known, sections), WHERE)).toThrow(corruptError)
	})
})
