/** Whole tables, and the parts of their ends: filter and index. */
import { compareBytes } from '../../src/bytes/compare.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import type { Random } from '../../src/host/random.ts'
import { BlockIndex } from '../../src/sst/block-index.ts'
import { CODEC_NAMES } from '../../src/sst/codec.ts'
import { Filter } from '../../src/sst/filter.ts'
import { encodeFooter, FOOTER_BYTES } from '../../src/sst/footer.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { decodeProperties, settleProperties } from '../../src/sst/sst-properties.ts'
import { openTable, readSstMeta, type SstTable } from '../../src/sst/sst-table.ts'
import { goldenEntries, goldenTable } from '../sst/golden/golden-entries.ts'
import { type ModelEntry, readAll, readNewest } from '../sst/table-model.ts'
import { checkBlock } from './block-formats.ts'
import { byteFormat, decoded, expectThat, type Format, putU32, u32At, type Verdict, WHERE } from './format.ts'
import { below, joined, mutate, oneOf } from './mutation.ts'
import { mutateValue } from './value-mutation.ts'

/** A table taken apart. */
interface TableParts {
	readonly blocks: Uint8Array
	readonly filter: Uint8Array
	readonly index: Uint8Array
	readonly properties: Uint8Array
}

function partsOf(table: Uint8Array): TableParts {
	const at = table.length - FOOTER_BYTES
	const metaOffset = u32At(table, at)
	const indexAt = metaOffset + u32At(table, at + 4)
	const propertiesAt = indexAt + u32At(table, at + 8)
	return {
		blocks: table.slice(0, metaOffset),
		filter: table.slice(metaOffset, indexAt),
		index: table.slice(indexAt, propertiesAt),
		properties: table.slice(propertiesAt, at),
	}
}

/** Put together again with a footer that fits; properties are taken as they are. */
function assembled({ blocks, filter, index, properties }: TableParts): Uint8Array {
	const footer = new Uint8Array(FOOTER_BYTES)
	const sizes = { filterBytes: filter.length, indexBytes: index.length, propertiesBytes: properties.length }
	encodeFooter({ metaOffset: blocks.length, ...sizes }, footer, 0)
	return joined(blocks, filter, index, properties, footer)
}

function sealSection(section: Uint8Array): Uint8Array {
	if (section.length >= 4) putU32(section, 0, crc32(section.subarray(4)))
	return section
}

/** The properties of a table whose other parts have changed: what it says of itself agrees with its size again. */
function settled(parts: TableParts): TableParts {
	const said = decodeProperties(parts.properties, WHERE)
	const otherBytes = parts.blocks.length + parts.filter.length + parts.index.length + FOOTER_BYTES
	const { section } = settleProperties(otherBytes, storedBytes => ({
		...said,
		blockCount: u32At(parts.index, 4),
		meta: { ...said.meta, storedBytes, metaOffset: parts.blocks.length },
	}))
	return { ...parts, properties: section }
}

/** Bytes of one block, changed in their places, with the CRC of that block. */
function withChangedBlock(parts: TableParts, random: Random): TableParts {
	const count = u32At(parts.index, 4)
	const i = below(random, count)
	const start = i === 0 ? 0 : u32At(parts.index, 12 + 4 * (i - 1))
	const block = parts.blocks.subarray(start, u32At(parts.index, 12 + 4 * i))
	const other = below(random, count)
	if (random.next() < 0.2) {
		// Another block of the table in its place: sound in itself.
		const otherStart = other === 0 ? 0 : u32At(parts.index, 12 + 4 * (other - 1))
		const from = parts.blocks.slice(otherStart, u32At(parts.index, 12 + 4 * other))
		if (from.length === block.length) block.set(from)
		return parts
	}
	block.set(mutate(block, random, [block]).subarray(0, block.length))
	sealSection(block)
	return parts
}

function withChangedProperties(parts: TableParts, random: Random): TableParts {
	const said = decodeProperties(parts.properties, WHERE)
	const { section } = settleProperties(0, () => mutateValue(said, random))
	return { ...parts, properties: section }
}

/** A change of one part behind checksums that are right; undefined for a lie that has no encoding. */
function makeSealed(sample: Uint8Array, random: Random): Uint8Array | undefined {
	const parts = partsOf(sample)
	try {
		switch (oneOf(random, ['block', 'block', 'filter', 'index', 'properties', 'sections'])) {
			case 'block':
				return assembled(withChangedBlock(parts, random))
			case 'filter':
				return assembled(settled({ ...parts, filter: sealSection(mutate(parts.filter, random, [parts.filter])) }))
			case 'index':
				return assembled(settled({ ...parts, index: sealSection(mutate(parts.index, random, [parts.index])) }))
			case 'properties':
				return assembled(withChangedProperties(parts, random))
			default:
				return assembled({ ...parts, properties: sealSection(mutate(parts.properties, random, [parts.properties])) })
		}
	} catch {
		return undefined
	}
}

function sealFooter(bytes: Uint8Array): void {
	const at = bytes.length - FOOTER_BYTES
	if (at >= 0) putU32(bytes, at + 20, crc32(bytes.subarray(at, at + 20)))
}

/**
 * What a scan shows is in order, and what each point read shows is what the scan shows. Versions of one key that go on in the next block
 * are left out: only a merge looks at both blocks, and refuses those that are out of order.
 */
function checkTable(bytes: Uint8Array, table: SstTable): ModelEntry[] {
	const built = { bytes: new Uint8Array(bytes), meta: table.meta }
	const entries = readAll(built, table)
	for (const [i, entry] of entries.entries()) {
		const before = entries[i - 1]
		expectThat(before === undefined || compareBytes(before.key, entry.key) <= 0, 'a scan out of order')
	}
	for (let i = 0; i < table.blockCount; i++) {
		const { offset, bytes: length } = table.blockRange(i)
		checkBlock(table.decodeBlock(i, built.bytes.subarray(offset, offset + length), WHERE), [])
	}
	// A filter that lies cannot be found out without reading all: nobody but an enemy writes one.
	const blind = new Proxy(table, {
		get(target, name) {
			const member: unknown = Reflect.get(target, name, target)
			if (name === 'mayContain') return () => true
			return typeof member === 'function' ? member.bind(target) : member
		},
	})
	for (const [i, entry] of entries.entries()) {
		table.mayContain(hashKey(entry.key, 0, entry.key.length))
		if (i > 0 && compareBytes(entries[i - 1]?.key ?? entry.key, entry.key) === 0) continue
		const found = readNewest(built, blind, entry.key)
		expectThat(found?.seq === entry.seq, 'a get that misses what a scan shows')
	}
	return entries
}

const GOLDEN: readonly ModelEntry[] = goldenEntries()

function tableFormat(codec: CodecName): Format {
	const sample = goldenTable(codec)
	return byteFormat({
		name: `table-${codec}`,
		samples: [sample.bytes],
		seal: sealFooter,
		makeSealed,
		judge({ bytes, kind }): Verdict {
			const answer = decoded(() => {
				const meta = kind === 'damaged' ? sample.meta : readSstMeta(bytes, WHERE)
				const table = openTable(meta, bytes.subarray(Math.min(bytes.length, meta.metaOffset)), WHERE)
				return { entries: checkTable(bytes, table) }
			})
			expectThat(answer !== undefined || kind !== 'sample', 'a sample is refused')
			if (answer === undefined) return 'refused'
			// Of a table with its own checksums everything that is accepted is right.
			const isRight = (): boolean =>
				answer.value.entries.length === GOLDEN.length &&
				answer.value.entries.every((entry, i) => Buffer.compare(entry.value, GOLDEN[i]?.value ?? entry.value) === 0)
			expectThat(kind === 'sealed' || isRight(), 'damage behind a checksum is accepted')
			return 'accepted'
		},
		// Blocks are decoded several times for each of their entries.
		allocationMaxBytes: ({ length }) => 4_000 * length + 200_000_000,
	})
}

const goldenParts = partsOf(goldenTable('none').bytes)
const goldenHashes = GOLDEN.map(({ key }) => hashKey(key, 0, key.length))

/** The last block whose separator is not above the key, found by looking at all of them. */
function linearFind(index: BlockIndex, key: Uint8Array): number {
	let last = 0
	for (let i = 1; i < index.count; i++) if (compareBytes(index.separatorOf(i), key) <= 0) last = i
	return last
}

export const tableFormats: readonly Format[] = [
	...CODEC_NAMES.map(tableFormat),
	byteFormat({
		name: 'filter',
		samples: [goldenParts.filter],
		seal: sealSection,
		judge({ bytes, sample, kind }) {
			const filter = new Filter(new Uint8Array(bytes))
			const denied = goldenHashes.filter(hash => !filter.mayContain(hash))
			const isSame = Buffer.compare(bytes, sample) === 0
			expectThat(kind === 'sealed' || denied.length === 0, 'a filter that denies what is there')
			expectThat(kind === 'sealed' || filter.isDamaged === !isSame, 'damage behind a checksum is accepted')
			return filter.isDamaged ? 'refused' : 'accepted'
		},
	}),
	byteFormat({
		name: 'index',
		samples: [goldenParts.index],
		seal: sealSection,
		judge({ bytes, sample, kind }) {
			const count = bytes.length < 12 ? 0 : u32At(bytes, 4)
			const at = 12 + 4 * (count - 1)
			// The end of the blocks is known from elsewhere: true, or what the index itself says.
			const isTold = kind === 'sealed' && at >= 12 && at + 4 <= bytes.length
			const blocksEnd = isTold ? u32At(bytes, at) : goldenParts.blocks.length
			const answer = decoded(() => new BlockIndex(new Uint8Array(bytes), blocksEnd, WHERE))
			expectThat(answer !== undefined || kind !== 'sample', 'a sample is refused')
			if (answer === undefined) return 'refused'
			expectThat(kind === 'sealed' || Buffer.compare(bytes, sample) === 0, 'damage behind a checksum is accepted')
			const index = answer.value
			for (let i = 0; i < index.count; i++) expectThat(index.endOf(i) > index.startOf(i), 'a block without bytes')
			for (const { key } of GOLDEN.filter((_, i) => i % 9 === 0)) {
				expectThat(index.find(key) === linearFind(index, key), 'a search that misses')
			}
			return 'accepted'
		},
		allocationMaxBytes: ({ length }) => 320 * length + 300_000,
	}),
]
