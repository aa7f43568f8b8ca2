/**
 * An SSTable that is open: its filter and index in memory, its blocks still in the store.
 *
 * A point read: `mayContain(hashKey(key))`, `findBlock(key)`, fetch `blockRange(i)`, `decodeBlock(i, …)`, `block.seek(key)`.
 * The entry there, when its key is equal, is the newest version in this table. Older versions (a read at an older
 * sequence number) are the entries that follow as long as their key is equal; when they reach the end of block i and
 * `mayContinue(i, key)`, they go on at entry 0 of block i + 1.
 *
 * A scan begins at `seekBlock(lower)`, at entry `block.seek(lower)` (which may be past its last entry: then at the next
 * block) and goes on block by block.
 */
import { compareBytes, equalBytes } from '../bytes/compare.ts'
import { corrupt, invariant } from '../errors.ts'
import { isSameBlobUses } from './blob-uses.ts'
import type { Block } from './block.ts'
import { BlockIndex } from './block-index.ts'
import { openBlock } from './block-kernel.ts'
import type { BlockPlace, BlockRun } from './block-run.ts'
import { Filter } from './filter.ts'
import { decodeFooter, FOOTER_BYTES } from './footer.ts'
import type { SstMeta } from './sst-meta.ts'
import { checkSstVersion, decodeProperties, type TableProperties } from './sst-properties.ts'
import { openStoredBlock, STORED_HEADER_BYTES } from './stored-block.ts'

const OVERHEAD_BYTES = 600

/** Part of a table: `bytes` bytes from `offset`, counted from its start. Fit for `ObjectStore.getRange`. */
export interface TableRange {
	readonly offset: number
	readonly bytes: number
}

export class SstTable {
	readonly meta: SstMeta
	readonly #filter: Filter
	readonly #index: BlockIndex
	readonly #rawMaxBytes: number

	/** Use `openTable`. */
	constructor(meta: SstMeta, filter: Filter, index: BlockIndex, rawMaxBytes: number) {
		this.meta = meta
		this.#filter = filter
		this.#index = index
		this.#rawMaxBytes = rawMaxBytes
	}

	get blockCount(): number {
		return this.#index.count
	}

	/** True when the filter section was damaged: reads stay right, but every key "may be" here. */
	get isFilterDamaged(): boolean {
		return this.#filter.isDamaged
	}

	/** Memory that the open table keeps, in bytes. */
	get memoryBytes(): number {
		const keys = this.meta.smallestKey.length + this.meta.largestKey.length
		return this.#filter.memoryBytes + this.#index.memoryBytes + keys + OVERHEAD_BYTES
	}

	/** False only when no key of the table has this hash (of `hashKey`). */
	mayContain(hash: number): boolean {
		return this.#filter.mayContain(hash)
	}

	/** The block that holds the newest entry of `key`, if the table has one; −1 when `key` lies outside its key range. */
	findBlock(key: Uint8Array): number {
		const meta = this.meta
		if (compareBytes(key, meta.largestKey) > 0 || compareBytes(key, meta.smallestKey) < 0) return -1
		return this.#index.find(key)
	}

	/** The block that holds the first entry with a key ≥ `key`, or the one just before it; `blockCount` past the last key. */
	seekBlock(key: Uint8Array): number {
		if (compareBytes(key, this.meta.largestKey) > 0) return this.#index.count
		return this.#index.find(key)
	}

	/** True when versions of `key` that do not end within block `i` may go on in block `i + 1`. */
	mayContinue(i: number, key: Uint8Array): boolean {
		return i + 1 < this.#index.count && this.#index.isContinuation(i + 1, key)
	}

	/** Where block `i` lies, counted from the start of the table. */
	blockRange(i: number): TableRange {
		const offset = this.#index.startOf(i)
		return { offset, bytes: this.#index.endOf(i) - offset }
	}

	/** Stored bytes of the blocks before block `i` (of all blocks for `blockCount`). */
	bytesBefore(i: number): number {
		return i === this.#index.count ? this.#index.endOf(i - 1) : this.#index.startOf(i)
	}

	/**
	 * A copy of the separator of block `i`, empty for the first: the newest entries of all keys below it stand before the
	 * block, those of all keys from it on do not. A good place to cut a table by keys.
	 */
	separatorOf(i: number): Uint8Array<ArrayBuffer> {
		return this.#index.separatorOf(i)
	}

	/** The blocks that hold the newest entries of all keys of [lower, upper); `null` is no bound. `end` is exclusive. */
	blocksBetween(lower: Uint8Array | null, upper: Uint8Array | null): { readonly first: number; readonly end: number } {
		const first = lower === null ? 0 : this.seekBlock(lower)
		const isPastUpper = upper !== null && compareBytes(upper, this.meta.smallestKey) <= 0
		const end = upper === null ? this.#index.count : isPastUpper ? 0 : this.#index.findAtLeast(upper)
		return { first, end: Math.max(first, end) }
	}

	/**
	 * True when the index shows that block `i` holds nothing but older versions of one key, whose newest stands in a block
	 * before: when they go on in the next block, or are the last of the table.
	 */
	holdsOnlyOlderVersions(i: number): boolean {
		if (i === 0) return false
		const key = this.#index.separatorOf(i)
		if (key[key.length - 1] !== 0) return false
		if (i + 1 < this.#index.count) return this.#index.compareSeparator(i + 1, key) === 0
		return equalBytes(key.subarray(0, key.length - 1), this.meta.largestKey)
	}

	/** `count` blocks from `first` on, at least one, for a job. */
	blockRun(first: number, count: number): BlockRun {
		invariant(count >= 1 && first >= 0 && first + count <= this.#index.count, `a run of ${count} blocks from ${first}`)
		return this.#index.slice(first, count, this.#rawMaxBytes)
	}

	/**
	 * Decodes block `i` from its stored bytes, exactly those of `blockRange(i)`. The block may share the buffer of `stored`
	 * when that holds nothing else: leave it alone afterwards. With `place` it stands there, or in `stored`.
	 *
	 * @throws ISLE_CORRUPT naming `where`, ISLE_UNSUPPORTED for a codec of a newer version.
	 */
	decodeBlock(i: number, stored: Uint8Array, where: string, place?: BlockPlace): Block {
		if (stored.length !== this.#index.endOf(i) - this.#index.startOf(i)) {
			throw corrupt(where, `block ${i} of ${stored.length} bytes, which the index does not describe,`)
		}
		if (place === undefined) return this.adoptBlock(i, openStoredBlock(stored, this.#rawMaxBytes, where), where)
		const raw = openStoredBlock(stored, this.#rawMaxBytes, where, bytes => place.room(bytes))
		const block = place.open(raw, where)
		this.#checkPlace(i, block, where)
		return block
	}

	/** The largest raw size that a block of this table may declare. */
	get rawMaxBytes(): number {
		return this.#rawMaxBytes
	}

	/** Block `i` from its raw bytes, which `decode-blocks` made elsewhere; it takes them over. @throws ISLE_CORRUPT naming `where`. */
	adoptBlock(i: number, raw: Uint8Array, where: string): Block {
		const block = openBlock(raw, where)
		this.#checkPlace(i, block, where)
		return block
	}

	/** A block of another place (a read gone astray) has a sound CRC but keys that do not belong between the separators. */
	#checkPlace(i: number, block: Block, where: string): void {
		const index = this.#index
		const first = block.keyAt(0)
		const { smallestKey, largestKey } = this.meta
		// The ends of the table have no separators: what the table says of its keys stands for them.
		const isAfter =
			i === 0
				? compareBytes(first, smallestKey) >= 0
				: index.compareSeparator(i, first) <= 0 || index.isContinuation(i, first)
		const isBefore =
			i + 1 === index.count
				? block.compareKeyAt(block.count - 1, largestKey) <= 0
				: index.compareSeparator(i + 1, block.keyAt(block.count - 1)) > 0
		if (!isAfter || !isBefore) throw corrupt(where, `block ${i} with keys that belong elsewhere`)
	}
}

/** The part of a table that `openTable` needs, as one range. */
export function metaRange(meta: SstMeta): TableRange {
	return { offset: meta.metaOffset, bytes: meta.storedBytes - meta.metaOffset }
}

/**
 * Opens a table from its tail: the bytes from `meta.metaOffset` to `meta.storedBytes`. Nothing of them is kept.
 *
 * @throws ISLE_CORRUPT naming `where` when footer, properties or index are damaged or are not those of `meta`;
 * ISLE_UNSUPPORTED for a newer version. A damaged filter is no error: see `isFilterDamaged`.
 */
export function openTable(meta: SstMeta, metaBytes: Uint8Array, where: string): SstTable {
	checkSstVersion(meta.formatVersion, where)
	const { filter, index, properties } = readSections(metaBytes, meta.storedBytes, where)
	if (!isSameMeta(meta, properties.meta)) throw corrupt(where, 'a table that is not the one its reference describes')
	return new SstTable(meta, filter, index, properties.largestRawBlockBytes)
}

/** The meta of a table whose reference is not at hand, from the whole of its bytes. @throws as `openTable`. */
export function readSstMeta(table: Uint8Array, where: string): SstMeta {
	const { metaOffset } = decodeFooter(table, table.length, where)
	return readSections(table.subarray(metaOffset), table.length, where).properties.meta
}

function readSections(
	metaBytes: Uint8Array,
	storedBytes: number,
	where: string,
): { filter: Filter; index: BlockIndex; properties: TableProperties } {
	const footer = decodeFooter(metaBytes, storedBytes, where)
	if (metaBytes.length !== storedBytes - footer.metaOffset) {
		throw corrupt(where, `a table tail of ${metaBytes.length} bytes, where ${storedBytes - footer.metaOffset} belong,`)
	}
	const indexAt = footer.filterBytes
	const propertiesAt = indexAt + footer.indexBytes
	const footerAt = metaBytes.length - FOOTER_BYTES
	const properties = decodeProperties(metaBytes.subarray(propertiesAt, footerAt), where)
	const index = new BlockIndex(metaBytes.subarray(indexAt, propertiesAt), footer.metaOffset, where)
	const isSound =
		properties.meta.storedBytes === storedBytes &&
		properties.meta.metaOffset === footer.metaOffset &&
		properties.blockCount === index.count &&
		index.count <= properties.meta.entryCount &&
		footer.metaOffset >= index.count * STORED_HEADER_BYTES
	if (!isSound) throw corrupt(where, 'a table whose properties, index and footer contradict each other')
	return { filter: new Filter(metaBytes.subarray(0, indexAt)), index, properties }
}

/** The same table. Write times are left out: a commit may know them better than the one who built the table. */
function isSameMeta(a: SstMeta, b: SstMeta): boolean {
	return (
		a.codec === b.codec &&
		a.entryCount === b.entryCount &&
		a.keyCount === b.keyCount &&
		a.minSeq === b.minSeq &&
		a.maxSeq === b.maxSeq &&
		a.rawBytes === b.rawBytes &&
		a.storedBytes === b.storedBytes &&
		a.metaOffset === b.metaOffset &&
		equalBytes(a.smallestKey, b.smallestKey) &&
		equalBytes(a.largestKey, b.largestKey) &&
		isSameBlobUses(a.blobUses, b.blobUses)
	)
}
