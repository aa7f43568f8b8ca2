import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'
import { decodeRecord, encodeRecord, isSameAppend, type RecordContent } from '../../src/log/record.ts'
import { bitFlips, truncations, verdictOf } from '../support/damage.ts'
import { readGolden } from '../support/golden-files.ts'
import { GOLDEN_RECORDS } from './golden-records.ts'

const bytesOf = (content: RecordContent): Uint8Array => new Uint8Array(Buffer.concat(encodeRecord(content).pieces))
const SAMPLE = GOLDEN_RECORDS['commit-with-sections'] as RecordContent

function codeOf(run: () => unknown): string | undefined {
	try {
		run()
		return undefined
	} catch (error) {
		return isIsleError(error) ? error.code : `not typed: ${String(error)}`
	}
}

/** A record with a header of the test's choosing, all checksums right. */
function forge(
	header: Uint8Array,
	options: { version?: number; kind?: number; reserved?: number; claimedHeader?: number } = {},
): Uint8Array {
	const preamble = new ByteWriter()
	preamble.bytes(new TextEncoder().encode('ISLR'))
	preamble.u16(options.version ?? 1)
	preamble.u8(options.kind ?? 1)
	preamble.u8(options.reserved ?? 0)
	preamble.u32(options.claimedHeader ?? header.length)
	const front = preamble.finish()
	return new ByteWriter()
		.bytes(front)
		.u32(crc32(header, crc32(front)))
		.bytes(header)
		.finish()
}

function header(body: (writer: ByteWriter) => void): Uint8Array {
	const writer = new ByteWriter()
	writer.bytes(new Uint8Array(24))
	writer.varint(0).varint(0).varint(0)
	body(writer)
	return writer.finish()
}

const START = { epoch: 0, slot: 0 }

describe('a log record', () => {
	const contents = fc.record({
		position: fc.record({ epoch: fc.maxSafeNat(), slot: fc.maxSafeNat() }),
		owner: fc.uint8Array({ minLength: 16, maxLength: 16 }),
		nonce: fc.uint8Array({ minLength: 8, maxLength: 8 }),
		body: fc.uint8Array({ maxLength: 300 }),
		sections: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
	})

	test('comes back as it was written, with sections where the encoder said they would be', () => {
		fc.assert(
			fc.property(contents, fc.boolean(), (drawn, isSeal) => {
				const content: RecordContent = isSeal
					? { ...drawn, kind: 'seal', body: new Uint8Array(0), sections: [] }
					: { ...drawn, kind: 'commit' }
				const encoded = encodeRecord(content)
				const bytes = bytesOf(content)
				expect(bytes.length).toBe(encoded.totalBytes)
				const record = decodeRecord(bytes, content.position, 'log/x')
				expect(record.kind).toBe(content.kind)
				expect(record.position).toEqual(content.position)
				expect(Buffer.compare(record.body, content.body)).toBe(0)
				expect(isSameAppend(record, content)).toBe(true)
				expect(record.sections.map(section => section.offset)).toEqual(encoded.sectionOffsets)
				expect(record.sections.map(section => [...section.bytes])).toEqual(content.sections.map(bytes => [...bytes]))
				for (const { offset, bytes: stored } of record.sections) {
					expect([...bytes.subarray(offset, offset + stored.length)]).toEqual([...stored])
				}
			}),
		)
	})

	test.each(Object.keys(GOLDEN_RECORDS))('has the bytes that it always had: %s', name => {
		const content = GOLDEN_RECORDS[name] as RecordContent
		const golden = readGolden(new URL(`golden/${name}.bin`, import.meta.url))
		expect(Buffer.from(bytesOf(content)).toString('hex')).toBe(Buffer.from(golden).toString('hex'))
		const record = decodeRecord(golden, content.position, name)
		expect(record.kind).toBe(content.kind)
		expect([...record.body]).toEqual([...content.body])
		expect(record.sections.map(section => [...section.bytes])).toEqual(content.sections.map(bytes => [...bytes]))
	})

	test('is refused when cut short anywhere, or longer than it says', () => {
		const bytes = bytesOf(SAMPLE)
		for (const cut of truncations(bytes))
			expect(codeOf(() => decodeRecord(cut, SAMPLE.position, 'x'))).toBe('ISLE_CORRUPT')
		const longer = new Uint8Array(bytes.length + 1)
		longer.set(bytes)
		expect(codeOf(() => decodeRecord(longer, SAMPLE.position, 'x'))).toBe('ISLE_CORRUPT')
	})

	test('is refused when any bit of preamble or header is flipped; sections keep their own checksums', () => {
		const bytes = bytesOf(SAMPLE)
		const sectionsBegin = encodeRecord(SAMPLE).sectionOffsets[0] as number
		const accepted: string[] = []
		for (const [where, flipped] of bitFlips(bytes, 0, sectionsBegin)) {
			if (verdictOf(() => decodeRecord(flipped, SAMPLE.position, 'x')) === 'accepted') accepted.push(where)
		}
		expect(accepted).toEqual([])
		// The control: behind the header a flip is seen in the section, and nowhere else.
		const [, flipped] = bitFlips(bytes, sectionsBegin, sectionsBegin + 1).next().value as [string, Uint8Array]
		const record = decodeRecord(flipped, SAMPLE.position, 'x')
		expect([...record.body]).toEqual([...SAMPLE.body])
		expect(record.sections[0]?.bytes).not.toEqual(SAMPLE.sections[0])
	})

	test('of another position is refused: an object that was copied to a wrong name', () => {
		const bytes = bytesOf(SAMPLE)
		for (const position of [
			{ epoch: SAMPLE.position.epoch + 1, slot: SAMPLE.position.slot },
			{ epoch: SAMPLE.position.epoch, slot: SAMPLE.position.slot + 1 },
		]) {
			expect(codeOf(() => decodeRecord(bytes, position, 'x'))).toBe('ISLE_CORRUPT')
		}
	})

	test('of a newer format is unsupported, of format 0 or an unknown kind corrupt', () => {
		const plain = header(writer => writer.varint(0).varint(0))
		expect(codeOf(() => decodeRecord(forge(plain), START, 'x'))).toBe(undefined)
		expect(codeOf(() => decodeRecord(forge(plain, { version: 2 }), START, 'x'))).toBe('ISLE_UNSUPPORTED')
		expect(codeOf(() => decodeRecord(forge(plain, { version: 65_535 }), START, 'x'))).toBe('ISLE_UNSUPPORTED')
		expect(codeOf(() => decodeRecord(forge(plain, { version: 0 }), START, 'x'))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decodeRecord(forge(plain, { kind: 0 }), START, 'x'))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decodeRecord(forge(plain, { kind: 3 }), START, 'x'))).toBe('ISLE_CORRUPT')
	})

	test('that is a seal with sections, or whose reserved byte is not 0, is corrupt', () => {
		const empty = header(writer => writer.varint(0).varint(0))
		const oneSection = header(writer => writer.varint(0).varint(1).varint(0))
		expect(codeOf(() => decodeRecord(forge(oneSection), START, 'x'))).toBe(undefined)
		expect(codeOf(() => decodeRecord(forge(empty, { kind: 2 }), START, 'x'))).toBe(undefined)
		expect(codeOf(() => decodeRecord(forge(oneSection, { kind: 2 }), START, 'x'))).toBe('ISLE_CORRUPT')
		expect(codeOf(() => decodeRecord(forge(empty, { reserved: 1 }), START, 'x'))).toBe('ISLE_CORRUPT')
	})

	test('that vouches for slots behind its own is corrupt, for all before it is not', () => {
		const { slot } = SAMPLE.position
		const record = decodeRecord(bytesOf({ ...SAMPLE, settledSlots: slot }), SAMPLE.position, 'x')
		expect(record.settledSlots).toBe(slot)
		const bytes = bytesOf({ ...SAMPLE, settledSlots: slot + 1 })
		expect(codeOf(() => decodeRecord(bytes, SAMPLE.position, 'x'))).toBe('ISLE_CORRUPT')
	})

	test('with lengths that lie is refused before anything is allocated', () => {
		const hostile: [string, Uint8Array][] = [
			['a header of 4 GiB', forge(new Uint8Array(8), { claimedHeader: 0xffff_ffff })],
			['a header of 64 MiB and one byte', forge(new Uint8Array(8), { claimedHeader: 64 * 1024 * 1024 + 1 })],
			['a body of 2^53 − 1', forge(header(writer => writer.varint(Number.MAX_SAFE_INTEGER)))],
			['a body longer than its header', forge(header(writer => writer.varint(10).varint(0)))],
			['4,097 sections', forge(header(writer => writer.varint(0).varint(4097).bytes(new Uint8Array(4097))))],
			['2^53 − 1 sections', forge(header(writer => writer.varint(0).varint(Number.MAX_SAFE_INTEGER)))],
			['a section of 2^53 − 1', forge(header(writer => writer.varint(0).varint(1).varint(Number.MAX_SAFE_INTEGER)))],
			['sections without lengths', forge(header(writer => writer.varint(0).varint(3)))],
			['something behind the section lengths', forge(header(writer => writer.varint(0).varint(0).u8(0)))],
			['a header without its fields', forge(new Uint8Array(23))],
		]
		for (const [what, bytes] of hostile)
			expect(
				codeOf(() => decodeRecord(bytes, START, 'x')),
				what,
			).toBe('ISLE_CORRUPT')
	})

	test('takes 4,096 sections and no more', () => {
		const sections = Array.from({ length: 4096 }, () => new Uint8Array(0))
		const bytes = bytesOf({ ...SAMPLE, sections })
		expect(decodeRecord(bytes, SAMPLE.position, 'x').sections.length).toBe(4096)
		expect(() => encodeRecord({ ...SAMPLE, sections: [...sections, new Uint8Array(0)] })).toThrow('section count')
	})

	test('never makes anything but a typed error out of random bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, isPlausible) => {
				const bytes = isPlausible ? forge(noise) : noise
				verdictOf(() => decodeRecord(bytes, START, 'x'))
			}),
			{ numRuns: 2000 },
		)
	})

	test('is one append only with both owner and nonce alike', () => {
		const other = Uint8Array.from(SAMPLE.nonce, byte => byte ^ 1)
		expect(isSameAppend(SAMPLE, SAMPLE)).toBe(true)
		expect(isSameAppend(SAMPLE, { ...SAMPLE, nonce: other })).toBe(false)
		expect(isSameAppend(SAMPLE, { ...SAMPLE, owner: new Uint8Array(16) })).toBe(false)
	})
})
