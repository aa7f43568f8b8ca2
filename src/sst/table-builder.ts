/**
 * Builds a whole SSTable in memory: [data block]… [filter] [block index] [properties] [footer].
 *
 * Steps: `add` entries in order (`addEntry` takes them from a decoded block, `addBlock` a whole block as it is stored); a
 * block that is full is encoded, compressed and sealed into the output; `finish` writes the sections behind the blocks and
 * gives the table away.
 *
 * Invariants: keys ascend, and sequence numbers descend within a key (checked for every entry); the filter holds each
 * distinct user key once; offsets are u32, so a table ends below 4 GiB.
 */

import { compareRanges } from '../bytes/compare.ts'
import { hashKey } from '../bytes/hash.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { invariant } from '../errors.ts'
import type { Block } from './block.ts'
import { BlockBuilder } from './block-builder.ts'
import { BlockIndexBuilder } from './block-index.ts'
import { CODEC_NONE, type Codec, codecByName } from './codec.ts'
import { type EntryKind, KEY_MAX_BYTES, KIND_BLOB, KIND_TOMBSTONE, VALUE_MAX_BYTES } from './entry.ts'
import { ExpirySample } from './expiry-sample.ts'
import { encodeFilter, filterBytesFor } from './filter.ts'
import { encodeFooter, FOOTER_BYTES } from './footer.ts'
import { KeyHashes } from './key-hashes.ts'
import type { CodecName, SstMeta } from './sst-meta.ts'
import { SST_FORMAT_VERSION, settleProperties } from './sst-properties.ts'
import { STORED_HEADER_BYTES, sealBlock, worthwhileBytes } from './stored-block.ts'
import { type MadeBlock, type MadeEntries, TableCounts } from './table-counts.ts'
import { blockBytesOf, checkTableOptions, FILTER_BITS_PER_KEY, type TableOptions } from './table-options.ts'
import { TABLE_MAX_BYTES, TableOutput } from './table-output.ts'

export interface BuiltTable {
	/** The whole table. Its buffer is the caller's: nothing else is in it, but it may be longer when the builder was given it. */
	readonly bytes: Uint8Array<ArrayBuffer>
	readonly meta: SstMeta
}

/** What a table without entries is reckoned to take. */
export const EMPTY_TABLE_BYTES: number = FOOTER_BYTES + 128

export class TableBuilder {
	readonly #codec: Codec | undefined
	readonly #codecName: CodecName
	readonly #blockBytes: number
	readonly #filterBitsPerKey: number
	#minWriteMs: number
	#maxWriteMs: number
	readonly #block: BlockBuilder
	readonly #index = new BlockIndexBuilder()
	readonly #out: TableOutput
	/** Raw form of the block at hand, when it is compressed from there. */
	#raw = NO_BYTES
	#largestRawBlockBytes = 0
	readonly #keys = new KeyHashes()
	readonly #counts = new TableCounts()
	readonly #expiries = new ExpirySample()
	/** What filter, index and footer would take if the table ended at the last sealed block. */
	#tailBytes = EMPTY_TABLE_BYTES
	#smallestKey: Uint8Array = NO_BYTES
	/** Last key of the block that was added whole, as long as no entry stands behind it. */
	#passedKey: Uint8Array = NO_BYTES
	#isFinished = false

	/**
	 * `buffer` is memory for the table: its bytes stand at the start of it, unless they do not fit. Without it they are the
	 * whole of a buffer.
	 *
	 * @throws RangeError for options out of their range, ISLE_UNSUPPORTED for an unknown codec.
	 */
	constructor(options: TableOptions, buffer?: ArrayBuffer) {
		checkTableOptions(options)
		this.#out = new TableOutput(buffer)
		this.#codec = codecByName(options.codec)
		this.#codecName = options.codec
		this.#blockBytes = blockBytesOf(options)
		this.#filterBitsPerKey = options.filterBitsPerKey ?? FILTER_BITS_PER_KEY
		this.#minWriteMs = options.minWriteMs
		this.#maxWriteMs = options.maxWriteMs
		this.#block = new BlockBuilder(this.#blockBytes)
	}

	/** What the finished table will take, to within a few per cent. */
	get estimatedBytes(): number {
		return this.#out.length + this.#block.estimatedBytes + this.#tailBytes
	}

	/** The same without the block at hand. */
	get sealedBytes(): number {
		return this.#out.length + this.#tailBytes
	}

	get entryCount(): number {
		return this.#counts.entryCount
	}

	/** Estimated raw size of the block at hand; 0 when it is empty. */
	get openBlockBytes(): number {
		return this.#block.count === 0 ? 0 : this.#block.estimatedBytes
	}

	/** The times of the entries' commits, when they become known only as the entries come. */
	setWriteTimes(minWriteMs: number, maxWriteMs: number): void {
		this.#minWriteMs = minWriteMs
		this.#maxWriteMs = maxWriteMs
	}

	/**
	 * Appends an entry: key `keyBuf[keyOffset, keyOffset + keyBytes)` and value likewise (fastest when the value follows
	 * its key in the same array). Bytes are copied. Entries come by key ascending, then `seq` descending; `expiresAtMs` 0
	 * means never. The value of kind `KIND_BLOB` is an encoded `BlobRef`.
	 *
	 * @throws an invariant's Error when the order, a limit or a range is broken: then the builder is of no more use.
	 */
	add(
		keyBuf: Uint8Array,
		keyOffset: number,
		keyBytes: number,
		seq: number,
		kind: EntryKind,
		expiresAtMs: number,
		valueBuf: Uint8Array,
		valueOffset: number,
		valueBytes: number,
	): void {
		if (
			!(keyBytes >= 1 && keyBytes <= KEY_MAX_BYTES && keyOffset >= 0 && keyOffset + keyBytes <= keyBuf.length) ||
			!(valueBytes >= 0 && valueBytes <= VALUE_MAX_BYTES && valueOffset >= 0) ||
			valueOffset + valueBytes > valueBuf.length ||
			!(kind >= KIND_TOMBSTONE && kind <= KIND_BLOB)
		) {
			invariant(false, `entry of kind ${kind}, ${keyBytes} key bytes and ${valueBytes} value bytes`)
		}
		if (!(Number.isSafeInteger(seq) && seq >= 0 && Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0)) {
			invariant(false, `entry of sequence ${seq} that expires at ${expiresAtMs}`)
		}
		const block = this.#block
		let order = 1
		if (block.count > 0) {
			order = block.relate(keyBuf, keyOffset, keyBytes)
			if (order < 0 || (order === 0 && seq >= block.lastSeq)) invariant(false, `entry out of order, sequence ${seq}`)
			if (block.bytesWith(keyBytes, valueBytes) > this.#blockBytes) {
				this.#writeBlock()
				this.#index.addSeparator(keyBuf, keyOffset, keyBytes, block.sharedBytes, order === 0)
			}
		} else {
			this.#beginBlock(keyBuf, keyOffset, keyBytes)
		}
		block.append(keyBuf, keyOffset, keyBytes, seq, kind, expiresAtMs, valueBuf, valueOffset, valueBytes)
		if (order !== 0) this.#keys.add(hashKey(keyBuf, keyOffset, keyOffset + keyBytes))
		this.#counts.add(seq, kind, expiresAtMs, keyBytes + valueBytes)
		if (kind === KIND_BLOB) this.#counts.addBlobRef(valueBuf.subarray(valueOffset, valueOffset + valueBytes))
	}

	/**
	 * Appends entry `i` of a decoded block, whose sequence number is `seq`, as it is: what `add` does with its parts.
	 * Its key is larger than the last one.
	 */
	addEntry(source: Block, i: number, seq: number): void {
		this.#makePlace(source, i, source.valueEndAt(i) - source.valueStartAt(i))
		const kind = source.kindAt(i)
		const expiresAtMs = source.expiresAtMsAt(i)
		this.#block.appendEntry(source, i, seq, kind, expiresAtMs)
		this.#keys.add(source.hashAt(i))
		const valueStart = source.valueStartAt(i)
		const suffixStart = source.suffixStartAt(i)
		this.#counts.add(seq, kind, expiresAtMs, source.prefixBytes + source.valueEndAt(i) - suffixStart)
		if (kind === KIND_BLOB) this.#counts.addBlobRef(source.bytes.subarray(valueStart, source.valueEndAt(i)))
	}

	/**
	 * Appends all entries of a block, one version of each key, as the bytes that it is stored in: nothing is encoded or
	 * compressed again. Its keys are larger than the last one; `seqs` are its sequence numbers. `stored` was decoded to
	 * `source`, so its CRC is known to be right. Closes the block at hand, however small that is.
	 */
	addBlock(source: Block, seqs: Float64Array, stored: Uint8Array): void {
		invariant(!source.hasVersions, 'a block with several versions of a key is added whole')
		this.#makePlace(source, 0, Number.POSITIVE_INFINITY)
		const out = this.#out
		const end = out.length + stored.length
		out.reserve(end)
		out.bytes.set(stored, out.length)
		this.#largestRawBlockBytes = Math.max(this.#largestRawBlockBytes, source.raw.length)
		this.#keys.addBlock(source)
		this.#counts.addBlock(source, seqs)
		this.#expiries.addBlock(source.bytes)
		this.#passedKey = source.keyAt(source.count - 1)
		this.#endBlock(end)
	}

	/**
	 * Appends a raw block that somebody else has made, of keys larger than the last one, as the next block of the table;
	 * no block is at hand, because entries never come one by one as well.
	 */
	addMade(made: MadeBlock): void {
		invariant(this.#block.count === 0, 'a block that was made elsewhere, behind entries')
		this.#beginBlock(made.firstKey, 0, made.firstKey.length)
		this.#countMade(made)
		this.#storeBlock(made.raw)
	}

	/**
	 * Appends a raw block that somebody else has made, as the next one of a table whose entries all come so; `endRaw` says what
	 * they were. Its first key, `keyBuf[keyOffset, keyOffset + keyBytes)`, shares so much with the last key before it.
	 */
	addRaw(
		raw: Uint8Array,
		keyBuf: Uint8Array,
		keyOffset: number,
		keyBytes: number,
		sharedBytes: number,
		isSameKey: boolean,
	): void {
		if (this.#index.count > 0) this.#index.addSeparator(keyBuf, keyOffset, keyBytes, sharedBytes, isSameKey)
		else this.#smallestKey = new Uint8Array(keyBuf.subarray(keyOffset, keyOffset + keyBytes))
		this.#storeBlock(raw)
	}

	/** What was in all the blocks of `addRaw`. */
	endRaw(made: MadeEntries): void {
		invariant(this.#counts.entryCount === 0 && this.#block.count === 0, 'raw blocks behind other entries')
		this.#countMade(made)
	}

	/** Ends the table. At least one entry must have been added; the builder is of no use afterwards. */
	finish(): BuiltTable {
		let bytes = NO_BYTES
		const meta = this.#finish(storedBytes => {
			bytes = this.#out.finish(storedBytes)
			return bytes
		})
		return { bytes, meta }
	}

	/** The same, with the table at the start of `target` if it fits there. */
	finishInto(target: SharedArrayBuffer): { readonly bytes: Uint8Array; readonly meta: SstMeta } {
		let bytes: Uint8Array = NO_BYTES
		const meta = this.#finish(storedBytes => {
			bytes = this.#out.finishInto(target, storedBytes) ?? this.#out.finish(storedBytes)
			return bytes
		})
		return { bytes, meta }
	}

	/** `place` answers the memory of the finished table, in which the blocks stand. */
	#finish(place: (storedBytes: number) => Uint8Array): SstMeta {
		invariant(this.#counts.entryCount > 0 && !this.#isFinished, 'finish of an empty or finished table')
		this.#isFinished = true
		let largestKey = this.#passedKey
		if (this.#block.count > 0) {
			largestKey = this.#block.lastKey()
			this.#writeBlock()
		}
		const keyCount = this.#keys.count
		const filterBytes = filterBytesFor(keyCount, this.#filterBitsPerKey)
		const indexBytes = this.#index.encodedBytes
		const metaOffset = this.#out.length
		const counts = this.#counts.finish()
		const halfExpiresAtMs = this.#expiries.halfExpiresAtMs()
		const describe = (storedBytes: number): SstMeta => ({
			formatVersion: SST_FORMAT_VERSION,
			codec: this.#codecName,
			keyCount,
			smallestKey: this.#smallestKey,
			largestKey,
			minWriteMs: this.#minWriteMs,
			maxWriteMs: this.#maxWriteMs,
			storedBytes,
			metaOffset,
			halfExpiresAtMs,
			...counts,
		})
		const { section, storedBytes } = settleProperties(metaOffset + filterBytes + indexBytes + FOOTER_BYTES, total => ({
			meta: describe(total),
			blockCount: this.#index.count,
			largestRawBlockBytes: this.#largestRawBlockBytes,
		}))
		invariant(storedBytes <= TABLE_MAX_BYTES, `a table of ${storedBytes} bytes`)
		const bytes = place(storedBytes)
		encodeFilter(this.#keys.hashes, keyCount, this.#filterBitsPerKey, bytes, metaOffset)
		this.#index.encode(bytes, metaOffset + filterBytes)
		bytes.set(section, metaOffset + filterBytes + indexBytes)
		const footer = { metaOffset, filterBytes, indexBytes, propertiesBytes: section.length }
		encodeFooter(footer, bytes, storedBytes - FOOTER_BYTES)
		return describe(storedBytes)
	}

	#countMade(made: MadeEntries): void {
		this.#counts.addMade(made)
		this.#keys.addAll(made.hashes)
		this.#passedKey = made.lastKey
	}

	/** Ends the block at hand when entry `i` of `source`, with a value of so many bytes, does not fit into it. */
	#makePlace(source: Block, i: number, valueBytes: number): void {
		const block = this.#block
		if (block.count === 0) {
			const key = source.keyAt(i)
			this.#beginBlock(key, 0, key.length)
			return
		}
		if (block.relateEntry(source, i) <= 0) invariant(false, 'entry of a block out of order')
		if (block.bytesWith(source.keyBytesAt(i), valueBytes) <= this.#blockBytes) return
		this.#writeBlock()
		const key = source.keyAt(i)
		this.#index.addSeparator(key, 0, key.length, block.sharedBytes, false)
	}

	/** The first key of the table, or the first behind a block that was added whole. */
	#beginBlock(keyBuf: Uint8Array, keyOffset: number, keyBytes: number): void {
		invariant(!this.#isFinished, 'add after finish')
		if (this.#counts.entryCount === 0) {
			this.#smallestKey = new Uint8Array(keyBuf.subarray(keyOffset, keyOffset + keyBytes))
			return
		}
		const last = this.#passedKey
		const common = Math.min(last.length, keyBytes)
		let shared = 0
		while (shared < common && last[shared] === keyBuf[keyOffset + shared]) shared++
		const order = compareRanges(keyBuf, keyOffset + shared, keyOffset + keyBytes, last, shared, last.length)
		invariant(order > 0, 'entry out of order, behind a block')
		this.#index.addSeparator(keyBuf, keyOffset, keyBytes, shared, false)
	}

	/** Encodes the block at hand behind the others and empties it. */
	#writeBlock(): void {
		const shape = this.#block.measure()
		const rawBytes = shape.rawBytes
		if (this.#codec === undefined) {
			const at = this.#out.length
			this.#out.reserve(at + STORED_HEADER_BYTES + rawBytes)
			const end = at + STORED_HEADER_BYTES + rawBytes
			this.#block.encode(shape, this.#out.bytes, at + STORED_HEADER_BYTES)
			this.#block.reset()
			this.#expiries.addBlock(this.#out.bytes.subarray(at + STORED_HEADER_BYTES, end))
			this.#seal(end, CODEC_NONE, rawBytes)
			return
		}
		if (this.#raw.length < rawBytes) this.#raw = new Uint8Array(rawBytes)
		this.#block.encode(shape, this.#raw, 0)
		this.#block.reset()
		this.#storeBlock(new Uint8Array(this.#raw.buffer, 0, rawBytes))
	}

	/** Puts a raw block behind the others, compressed if that is worth it. */
	#storeBlock(raw: Uint8Array): void {
		const payloadAt = this.#out.length + STORED_HEADER_BYTES
		this.#out.reserve(payloadAt + raw.length)
		this.#expiries.addBlock(raw)
		const compressed = this.#codec?.compress(raw)
		const isSmaller = compressed !== undefined && compressed.length <= worthwhileBytes(raw.length)
		const payload = isSmaller ? compressed : raw
		this.#out.bytes.set(payload, payloadAt)
		this.#seal(payloadAt + payload.length, isSmaller ? (this.#codec?.id ?? CODEC_NONE) : CODEC_NONE, raw.length)
	}

	/** The block whose payload ends at `end`, where the output does then, gets its header. */
	#seal(end: number, codecId: number, rawBytes: number): void {
		if (rawBytes > this.#largestRawBlockBytes) this.#largestRawBlockBytes = rawBytes
		sealBlock(this.#out.bytes, this.#out.length, end, codecId, rawBytes)
		this.#endBlock(end)
	}

	/** The output goes to `end` now, where a block ends. */
	#endBlock(end: number): void {
		this.#index.addBlock(end)
		this.#out.length = end
		const filterBytes = filterBytesFor(this.#keys.count, this.#filterBitsPerKey)
		this.#tailBytes = filterBytes + this.#index.encodedBytes + FOOTER_BYTES + 128
	}
}
