/**
 * Builds a whole SSTable in memory: [data block]… [filter] [block index] [properties] [footer].
 *
 * Steps: `add` entries in order; a block that is full is encoded, compressed and sealed into the output; `finish` writes
 * the sections behind the blocks and gives the table away.
 *
 * Invariants: keys ascend, and sequence numbers descend within a key (checked for every entry); the filter holds each
 * distinct user key once; offsets are u32, so a table ends below 4 GiB.
 */
import { hashKey } from '../bytes/hash.ts'
import { invariant } from '../errors.ts'
import { BlobUseCounter } from './blob-uses.ts'
import { BlockBuilder } from './block-builder.ts'
import { BLOCK_BYTES_MAX } from './block-format.ts'
import { BlockIndexBuilder } from './block-index.ts'
import { CODEC_NONE, type Codec, codecByName } from './codec.ts'
import { type EntryKind, KEY_MAX_BYTES, KIND_BLOB, KIND_TOMBSTONE, VALUE_MAX_BYTES } from './entry.ts'
import { encodeFilter, filterBytesFor } from './filter.ts'
import { encodeFooter, FOOTER_BYTES } from './footer.ts'
import type { CodecName, SstMeta } from './sst-meta.ts'
import { encodeProperties, SST_FORMAT_VERSION } from './sst-properties.ts'
import { STORED_HEADER_BYTES, sealBlock, worthwhileBytes } from './stored-block.ts'

export interface TableOptions {
	readonly codec: CodecName
	/** Raw size at which a block is closed, 64 bytes to 1 MiB. Default 4 KiB for codec `none`, else 16 KiB. */
	readonly blockBytes?: number | undefined
	/** 1 to 32; default 10, at which about 1.3 % of absent keys pass the filter. */
	readonly filterBitsPerKey?: number | undefined
	/** When the oldest and the newest of the entries were (or will be) committed, milliseconds since the Unix epoch. */
	readonly minWriteMs: number
	readonly maxWriteMs: number
}

export interface BuiltTable {
	/** The whole table, the whole of its ArrayBuffer: fit to be transferred. The caller owns it. */
	readonly bytes: Uint8Array<ArrayBuffer>
	readonly meta: SstMeta
}

const BLOCK_BYTES_MIN = 64
const TABLE_MAX_BYTES = 0xffffffff
/** The output buffer of a finished builder waits for the next one of this thread, up to this size: warm pages are 3 × faster. */
const SPARE_MAX_BYTES = 33_554_432

/** Not state of a job: only memory, never read before it is written. */
let spareOutput: Uint8Array | undefined

function takeOutput(): Uint8Array {
	const output = spareOutput ?? new Uint8Array(65_536)
	spareOutput = undefined
	return output
}

export class TableBuilder {
	readonly #codec: Codec | undefined
	readonly #codecName: CodecName
	readonly #blockBytes: number
	readonly #filterBitsPerKey: number
	readonly #minWriteMs: number
	readonly #maxWriteMs: number
	readonly #block: BlockBuilder
	readonly #index = new BlockIndexBuilder()
	#out = takeOutput()
	#outBytes = 0
	/** Raw form of the block at hand, when it is compressed from there. */
	#raw = new Uint8Array(0)
	#largestRawBlockBytes = 0
	#hashes = new Uint32Array(1024)
	#keyCount = 0
	#entryCount = 0
	#tombstoneCount = 0
	#blobRefCount = 0
	readonly #blobUses = new BlobUseCounter()
	#rawBytes = 0
	#minSeq = Number.POSITIVE_INFINITY
	#maxSeq = 0
	#maxExpiresAtMs = 0
	#hasImmortal = false
	#smallestKey: Uint8Array = new Uint8Array(0)
	#isFinished = false

	/** @throws RangeError for options out of their range, ISLE_UNSUPPORTED for an unknown codec. */
	constructor(options: TableOptions) {
		this.#codec = codecByName(options.codec)
		this.#codecName = options.codec
		this.#blockBytes = options.blockBytes ?? (this.#codec === undefined ? 4096 : 16_384)
		this.#filterBitsPerKey = options.filterBitsPerKey ?? 10
		this.#minWriteMs = options.minWriteMs
		this.#maxWriteMs = options.maxWriteMs
		expectInteger('blockBytes', this.#blockBytes, BLOCK_BYTES_MIN, BLOCK_BYTES_MAX)
		expectInteger('filterBitsPerKey', this.#filterBitsPerKey, 1, 32)
		expectInteger('minWriteMs', this.#minWriteMs, 0, Number.MAX_SAFE_INTEGER)
		expectInteger('maxWriteMs', this.#maxWriteMs, this.#minWriteMs, Number.MAX_SAFE_INTEGER)
		this.#block = new BlockBuilder(this.#blockBytes)
	}

	/** What the finished table will take, to within a few per cent. */
	get estimatedBytes(): number {
		const tail = filterBytesFor(this.#keyCount, this.#filterBitsPerKey) + this.#index.encodedBytes
		return this.#outBytes + this.#block.estimatedBytes + tail + FOOTER_BYTES + 128
	}

	get entryCount(): number {
		return this.#entryCount
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
			invariant(!this.#isFinished, 'add after finish')
			this.#smallestKey = new Uint8Array(keyBuf.subarray(keyOffset, keyOffset + keyBytes))
		}
		block.append(keyBuf, keyOffset, keyBytes, seq, kind, expiresAtMs, valueBuf, valueOffset, valueBytes)
		if (order !== 0) this.#addHash(hashKey(keyBuf, keyOffset, keyOffset + keyBytes))
		this.#entryCount++
		this.#rawBytes += keyBytes + valueBytes
		if (kind === KIND_TOMBSTONE) this.#tombstoneCount++
		else if (kind === KIND_BLOB) this.#addBlobRef(valueBuf.subarray(valueOffset, valueOffset + valueBytes))
		if (seq < this.#minSeq) this.#minSeq = seq
		if (seq > this.#maxSeq) this.#maxSeq = seq
		if (expiresAtMs === 0) this.#hasImmortal = true
		else if (expiresAtMs > this.#maxExpiresAtMs) this.#maxExpiresAtMs = expiresAtMs
	}

	/** Ends the table. At least one entry must have been added; the builder is of no use afterwards. */
	finish(): BuiltTable {
		invariant(this.#entryCount > 0 && !this.#isFinished, 'finish of an empty or finished table')
		this.#isFinished = true
		const largestKey = this.#block.lastKey()
		this.#writeBlock()
		const filterBytes = filterBytesFor(this.#keyCount, this.#filterBitsPerKey)
		const indexBytes = this.#index.encodedBytes
		const metaOffset = this.#outBytes
		const blobUses = this.#blobUses.finish()
		const describe = (storedBytes: number): SstMeta => ({
			formatVersion: SST_FORMAT_VERSION,
			codec: this.#codecName,
			entryCount: this.#entryCount,
			keyCount: this.#keyCount,
			tombstoneCount: this.#tombstoneCount,
			blobRefCount: this.#blobRefCount,
			blobUses,
			smallestKey: this.#smallestKey,
			largestKey,
			minSeq: this.#minSeq,
			maxSeq: this.#maxSeq,
			minWriteMs: this.#minWriteMs,
			maxWriteMs: this.#maxWriteMs,
			maxExpiresAtMs: this.#hasImmortal ? 0 : this.#maxExpiresAtMs,
			rawBytes: this.#rawBytes,
			storedBytes,
			metaOffset,
		})
		// The properties hold the size of the table, which holds them: their varints settle after a round or two.
		let storedBytes = metaOffset + filterBytes + indexBytes + FOOTER_BYTES
		let properties: Uint8Array = new Uint8Array(0)
		for (let before = -1; before !== storedBytes; ) {
			before = storedBytes
			properties = encodeProperties({
				meta: describe(storedBytes),
				blockCount: this.#index.count,
				largestRawBlockBytes: this.#largestRawBlockBytes,
			})
			storedBytes = metaOffset + filterBytes + indexBytes + properties.length + FOOTER_BYTES
		}
		invariant(storedBytes <= TABLE_MAX_BYTES, `a table of ${storedBytes} bytes`)
		const bytes = new Uint8Array(storedBytes)
		bytes.set(this.#out.subarray(0, metaOffset))
		this.#releaseOutput()
		encodeFilter(this.#hashes, this.#keyCount, this.#filterBitsPerKey, bytes, metaOffset)
		this.#index.encode(bytes, metaOffset + filterBytes)
		bytes.set(properties, metaOffset + filterBytes + indexBytes)
		const footer = { metaOffset, filterBytes, indexBytes, propertiesBytes: properties.length }
		encodeFooter(footer, bytes, storedBytes - FOOTER_BYTES)
		return { bytes, meta: describe(storedBytes) }
	}

	/** Encodes the block at hand behind the others and empties it. */
	#writeBlock(): void {
		const shape = this.#block.measure()
		const rawBytes = shape.rawBytes
		const at = this.#outBytes
		const payloadAt = at + STORED_HEADER_BYTES
		if (rawBytes > this.#largestRawBlockBytes) this.#largestRawBlockBytes = rawBytes
		this.#reserve(payloadAt + rawBytes)
		let end = payloadAt + rawBytes
		let codecId = CODEC_NONE
		if (this.#codec === undefined) {
			this.#block.encode(shape, this.#out, payloadAt)
		} else {
			if (this.#raw.length < rawBytes) this.#raw = new Uint8Array(rawBytes)
			this.#block.encode(shape, this.#raw, 0)
			const raw = new Uint8Array(this.#raw.buffer, 0, rawBytes)
			const compressed = this.#codec.compress(raw)
			if (compressed.length <= worthwhileBytes(rawBytes)) {
				codecId = this.#codec.id
				end = payloadAt + compressed.length
				this.#out.set(compressed, payloadAt)
			} else {
				this.#out.set(raw, payloadAt)
			}
		}
		sealBlock(this.#out, at, end, codecId, rawBytes)
		this.#index.addBlock(end)
		this.#outBytes = end
		this.#block.reset()
	}

	#addBlobRef(encodedRef: Uint8Array): void {
		this.#blobUses.add(encodedRef, 'an entry of kind blob')
		this.#blobRefCount++
	}

	#addHash(hash: number): void {
		if (this.#keyCount === this.#hashes.length) {
			const hashes = new Uint32Array(this.#hashes.length * 2)
			hashes.set(this.#hashes)
			this.#hashes = hashes
		}
		this.#hashes[this.#keyCount++] = hash
	}

	#reserve(bytes: number): void {
		if (bytes <= this.#out.length) return
		invariant(bytes <= TABLE_MAX_BYTES, `a table of ${bytes} bytes`)
		const out = new Uint8Array(Math.max(bytes, this.#out.length * 2))
		out.set(this.#out.subarray(0, this.#outBytes))
		this.#out = out
	}

	#releaseOutput(): void {
		const isLarger = this.#out.length > (spareOutput?.length ?? 0)
		if (isLarger && this.#out.length <= SPARE_MAX_BYTES) spareOutput = this.#out
		this.#out = new Uint8Array(0)
	}
}

function expectInteger(name: string, value: number, min: number, max: number): void {
	if (!Number.isSafeInteger(value) || value < min || value > max) {
		throw new RangeError(`Expected \`${name}\` to be an integer from ${min} to ${max}, got ${value}`)
	}
}
