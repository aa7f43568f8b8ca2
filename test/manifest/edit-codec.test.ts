import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import type { LogRecord } from '../../src/log/record.ts'
import type { EditRecord } from '../../src/manifest/edit.ts'
import { decodeEditRecord, encodeEdits } from '../../src/manifest/edit-codec.ts'
import { truncations, verdictOf } from '../support/damage.ts'
import { readGolden } from '../support/golden-files.ts'
import { editRecords } from '../support/manifest-arbitraries.ts'
import { GOLDEN_EDITS } from './golden-manifests.ts'

const corruptError = expect.objectContaining({ code: 'ISLE_CORRUPT' })
const SAMPLE = GOLDEN_EDITS['edits-of-every-kind'] as EditRecord

function recordOf(body: Uint8Array, position = SAMPLE.position): LogRecord {
	const names = { owner: new Uint8Array(16), nonce: new Uint8Array(8) }
	return { kind: 'commit', position, ...names, settledSlots: 0, body, sections: [] }
}

const decoded = (body: Uint8Array): EditRecord => decodeEditRecord(recordOf(body), 'x')

describe('a record of edits', () => {
	test('comes back as it was written', () => {
		fc.assert(
			fc.property(editRecords, record => {
				expect(decodeEditRecord(recordOf(encodeEdits(record), record.position), 'x')).toEqual(record)
			}),
		)
	})

	test.each(Object.keys(GOLDEN_EDITS))('has the bytes that it always had: %s', name => {
		const record = GOLDEN_EDITS[name] as EditRecord
		const golden = readGolden(new URL(`golden/${name}.bin`, import.meta.url))
		expect(Buffer.from(encodeEdits(record)).toString('hex')).toBe(Buffer.from(golden).toString('hex'))
		expect(decodeEditRecord(recordOf(golden, record.position), name)).toEqual(record)
	})

	test('that is cut short anywhere, too long, or has sections is corrupt and named', () => {
		const bytes = encodeEdits(SAMPLE)
		for (const cut of truncations(bytes)) expect(() => decoded(cut)).toThrow(corruptError)
		expect(() => decoded(new Uint8Array([...bytes, 0]))).toThrow(corruptError)
		const withSections = { ...recordOf(bytes), sections: [{ offset: 0, bytes }] }
		expect(() => decodeEditRecord(withSections, 'maintenance/7')).toThrow(/maintenance\/7/)
	})

	test('with an edit of a kind that there is not, or flags that are neither yes nor no, is corrupt', () => {
		const front = (): ByteWriter => new ByteWriter().varint(0).varint(0).varint(0).varint(1)
		for (const kind of [0, 10, 255]) expect(() => decoded(front().u8(kind).finish())).toThrow(corruptError)
		// A replace that removes nothing and adds one table, whose run is neither there nor absent.
		const replace = front().u8(2).varint(0).varint(1).u8(2)
		expect(() => decoded(replace.varint(0).finish())).toThrow(/neither there nor absent/)
	})

	test('with counts that lie is refused before anything is allocated', () => {
		for (const claimed of [1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
			const front = (): ByteWriter => new ByteWriter().varint(0).varint(0).varint(0)
			expect(() => decoded(front().varint(claimed).finish())).toThrow(corruptError)
			expect(() => decoded(front().varint(1).u8(2).varint(claimed).finish())).toThrow(corruptError)
			expect(() => decoded(front().varint(1).u8(7).varint(claimed).finish())).toThrow(corruptError)
		}
	})

	test('never makes anything but a typed error or edits out of random bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), noise => {
				verdictOf(() => decoded(noise))
			}),
			{ numRuns: 3000 },
		)
	})
})
