/**
 * A decoded block (layout: block-format.ts): an immutable, sorted list of entries over one buffer.
 *
 * Opening it checks everything that a reader relies on: widths, counts, ends, kinds, numbers, and the order of entries.
 * After that no method can read outside the buffer, whatever the bytes were.
 *
 * For scans that must not allocate per entry: `bytes` with `prefixStart`, `prefixBytes`, `suffixStartAt(i)`,
 * `valueStartAt(i)` (also the end of the suffix) and `valueEndAt(i)`. A raw entry (suffix and value) is
 * `bytes[suffixStartAt(i), valueEndAt(i))`.
 */
import { compareRanges } from '../bytes/compare.ts'
import { copyRange } from '../bytes/copy.ts'
import { hashLanes, hashParts } from '../bytes/hash.ts'
import { corrupt } from '../errors.ts'
import { checkEntries } from './block-checks.ts'
import { BLOCK_HEADER_BYTES, FLAG_KINDS, FLAG_WIDE, MIN_EXPIRY_BYTES, readUint } from './block-format.ts'
import { type EntryKind, KEY_MAX_BYTES, KIND_BLOB } from './entry.ts'
import { compareKeysOf } from './key-order.ts'
import {
	isPointOf,
	NO_POINT,
	pointIn,
	pointIndex,
	pointSlots,
	pointStart,
	pointsStart,
	withPoints,
} from './point-index.ts'

/** Objects, typed-array headers and fields of one Block, roughly. */
const OVERHEAD_BYTES = 320

/** What `find` answers for a key that is not there. */
export const NOT_FOUND = -1

/** Searches by halves for each 16 entries, before points are made: by then they have cost as much as making them does. */
const ENTRIES_OF_FIND = 16

/** More than a block is ever searched. */
const NEVER = 0x3fffffff

/** Fields stand in the order of their use by lookups, so that these touch one or two lines of memory of the object. */
export class Block {
	#bytes: Uint8Array
	/**
	 * Where in `#bytes` the points stand (point-index.ts), which are made once the block has been searched a few times, or 0; and
	 * their number less one. They stand with the block because each object more is one more that a lookup waits for.
	 */
	#pointsAt = 0
	#pointMask = 0
	/** Where in `bytes` the prefix of all keys begins, and how long it is. */
	readonly prefixStart: number
	readonly prefixBytes: number
	/** Where the entries begin, where they end and the columns begin, and how wide the column of ends is. */
	readonly #dataStart: number
	readonly #dataEnd: number
	readonly #endWidth: number
	readonly count: number
	/** Where the kind column begins, or −1 when all entries are of `#kind`. */
	readonly #kindStart: number
	readonly #kind: number
	readonly #expiryWidth: number
	/** True when some key has several versions in this block. */
	readonly hasVersions: boolean
	/** How often `find` searches before it makes points. */
	#findsLeft: number
	readonly #seqWidth: number
	readonly #seqStart: number
	readonly #minSeq: number
	readonly #expiryStart: number
	readonly #minExpiresAtMs: number
	/** Of each suffix the first four bytes as a number: a search touches a few lines of memory instead of every suffix it tries. */
	#heads: Uint32Array | undefined
	#wasSought = false
	readonly #rawLength: number
	/** The hash of the whole lanes of the prefix, as u32; −1 until somebody asks for it. */
	#prefixHash = -1

	/**
	 * Takes over `bytes` (they must not change any more). `hasVersions` says that somebody else has made all checks, and what
	 * he found.
	 *
	 * @throws ISLE_CORRUPT naming `where`.
	 */
	constructor(bytes: Uint8Array, where: string, hasVersions?: boolean) {
		if (bytes.length < BLOCK_HEADER_BYTES) throw corrupt(where, 'a block that is shorter than its header')
		const flags = bytes[0] as number
		this.#bytes = bytes
		this.#rawLength = bytes.length
		this.#kind = bytes[1] as number
		this.#seqWidth = bytes[2] as number
		this.#expiryWidth = bytes[3] as number
		this.count = readUint(bytes, 4, 4)
		this.prefixBytes = readUint(bytes, 8, 4)
		this.#minSeq = readUint(bytes, 12, 7)
		if ((flags & ~(FLAG_WIDE | FLAG_KINDS)) !== 0) throw corrupt(where, `a block with unknown flags ${flags}`)
		if (this.#seqWidth > 7 || this.#expiryWidth > 7) throw corrupt(where, 'a block with a column that is too wide')
		if (this.#kind > KIND_BLOB || bytes[19] !== 0) throw corrupt(where, 'a block with a bad header')
		const hasExpiry = this.#expiryWidth > 0
		this.prefixStart = BLOCK_HEADER_BYTES + (hasExpiry ? MIN_EXPIRY_BYTES : 0)
		this.#endWidth = flags & FLAG_WIDE ? 4 : 2
		const hasKinds = (flags & FLAG_KINDS) !== 0
		this.#dataStart = this.prefixStart + this.prefixBytes
		const columns = 2 * this.#endWidth + this.#seqWidth + this.#expiryWidth + (hasKinds ? 1 : 0)
		this.#dataEnd = bytes.length - this.count * columns
		if (this.count === 0 || this.prefixBytes > KEY_MAX_BYTES || !(this.#dataStart <= this.#dataEnd)) {
			throw corrupt(where, `a block of ${bytes.length} bytes that cannot hold its ${this.count} entries`)
		}
		this.#minExpiresAtMs = hasExpiry ? readUint(bytes, BLOCK_HEADER_BYTES, 7) : 0
		if (hasExpiry && bytes[BLOCK_HEADER_BYTES + 7] !== 0) throw corrupt(where, 'a block with a bad header')
		this.#seqStart = this.#dataEnd + this.count * 2 * this.#endWidth
		this.#expiryStart = this.#seqStart + this.count * this.#seqWidth
		this.#kindStart = hasKinds ? this.#expiryStart + this.count * this.#expiryWidth : -1
		this.#findsLeft = pointSlots(this.count, this.#dataEnd) === 0 ? NEVER : 1 + Math.floor(this.count / ENTRIES_OF_FIND)
		this.hasVersions = hasVersions ?? this.#verify(where)
	}

	/** Bytes of all keys and values. */
	get rawBytes(): number {
		return this.#dataEnd - this.#dataStart + this.count * this.prefixBytes
	}

	/** Begins with the raw block. Never written to; another array with the same once there are points. */
	get bytes(): Uint8Array {
		return this.#bytes
	}

	/** The raw block and nothing else. */
	get raw(): Uint8Array {
		return this.#pointsAt === 0 ? this.#bytes : this.#bytes.subarray(0, this.#rawLength)
	}

	/** Memory that the block keeps alive, in bytes; with what later searches add. */
	get memoryBytes(): number {
		return this.bytes.buffer.byteLength + 4 * (this.count + pointSlots(this.count, this.#dataEnd)) + OVERHEAD_BYTES
	}

	/** Index of the newest entry of `key`, whose `hashKey` is `hash`; `NOT_FOUND` when there is none. */
	find(key: Uint8Array, hash: number): number {
		if (this.#pointsAt === 0 && !this.#hasPointsAfterFinds()) {
			const index = this.#search(key, this.#heads)
			return index < this.count && this.compareKeyAt(index, key) === 0 ? index : NOT_FOUND
		}
		const bytes = this.bytes
		const pointsAt = this.#pointsAt
		const mask = this.#pointMask
		for (let at = hash & mask; ; at = (at + 1) & mask) {
			const point = pointIn(bytes, pointsAt + 4 * at)
			if (point === NO_POINT) return NOT_FOUND
			if (!isPointOf(point, hash)) continue
			const index = pointIndex(point)
			if (this.#isKeyAt(key, pointStart(point), index)) return index
		}
	}

	/**
	 * Whether entry `i`, whose suffix begins at `start`, has this key. What is read stands in three places of memory, none of
	 * which depends on another, so that they are waited for together.
	 */
	#isKeyAt(key: Uint8Array, start: number, i: number): boolean {
		const { bytes, prefixStart, prefixBytes } = this
		if (start + key.length - prefixBytes !== this.valueStartAt(i)) return false
		for (let at = start, j = prefixBytes; j < key.length; at++, j++) if (bytes[at] !== key[j]) return false
		for (let j = 0; j < prefixBytes; j++) if (bytes[prefixStart + j] !== key[j]) return false
		return true
	}

	/** Index of the first entry whose key is ≥ `key` (its newest version); `count` when there is none. */
	seek(key: Uint8Array): number {
		return this.#search(key, this.#heads ?? this.#headsAfterFirstSeek())
	}

	#search(key: Uint8Array, heads: Uint32Array | undefined): number {
		const bytes = this.bytes
		const prefixStart = this.prefixStart
		const prefixBytes = this.prefixBytes
		const common = Math.min(prefixBytes, key.length)
		for (let i = 0; i < common; i++) {
			const difference = (key[i] as number) - (bytes[prefixStart + i] as number)
			if (difference !== 0) return difference < 0 ? 0 : this.count
		}
		if (key.length < prefixBytes) return 0
		const keyEnd = key.length
		let low = 0
		let high = this.count
		if (heads !== undefined) {
			const keyHead = headOf(key, prefixBytes, keyEnd)
			while (low < high) {
				const middle = (low + high) >>> 1
				const head = heads[middle] as number
				if (head === keyHead) break
				if (head < keyHead) low = middle + 1
				else high = middle
			}
		}
		while (low < high) {
			const middle = (low + high) >>> 1
			const start = this.suffixStartAt(middle)
			if (compareRanges(bytes, start, this.valueStartAt(middle), key, prefixBytes, keyEnd) < 0) low = middle + 1
			else high = middle
		}
		return low
	}

	/** Looks at the memory that `find` will read first, so that it is near when it does. The result means nothing. */
	touch(hash: number): number {
		if (this.#pointsAt === 0) return (this.#heads?.[this.count >>> 1] ?? 0) + (this.bytes[this.#dataEnd] as number)
		return this.bytes[this.#pointsAt + 4 * (hash & this.#pointMask)] as number
	}

	/** The same of what it will read next, when the first is near. */
	touchEntry(hash: number): number {
		if (this.#pointsAt === 0) return 0
		const point = pointIn(this.bytes, this.#pointsAt + 4 * (hash & this.#pointMask))
		return (this.bytes[pointStart(point)] as number) + this.valueStartAt(pointIndex(point))
	}

	/** Negative, zero or positive as the key of entry `i` is smaller than, equal to or larger than `key`. */
	compareKeyAt(i: number, key: Uint8Array): number {
		const bytes = this.bytes
		const prefixStart = this.prefixStart
		const prefixBytes = this.prefixBytes
		const common = Math.min(prefixBytes, key.length)
		for (let j = 0; j < common; j++) {
			const difference = (bytes[prefixStart + j] as number) - (key[j] as number)
			if (difference !== 0) return difference
		}
		if (key.length < prefixBytes) return 1
		return compareRanges(bytes, this.suffixStartAt(i), this.valueStartAt(i), key, prefixBytes, key.length)
	}

	/** Negative, zero or positive as the key of entry `i` compares with that of entry `j` of `other`. */
	compareKeysAt(i: number, other: Block, j: number): number {
		return compareKeysOf(this, i, other, j)
	}

	/** Length of the key of entry `i`. */
	keyBytesAt(i: number): number {
		return this.prefixBytes + this.valueStartAt(i) - this.suffixStartAt(i)
	}

	/** Writes the key of entry `i` into `target` at `at`, where there is room for `keyBytesAt(i)`; returns its end. */
	copyKeyAt(i: number, target: Uint8Array, at: number): number {
		const start = this.suffixStartAt(i)
		const suffixBytes = this.valueStartAt(i) - start
		const suffixAt = at + this.prefixBytes
		copyRange(this.bytes, this.prefixStart, this.prefixBytes, target, at)
		copyRange(this.bytes, start, suffixBytes, target, suffixAt)
		return suffixAt + suffixBytes
	}

	/** The hash of the key of entry `i`, as of `hashKey`. */
	hashAt(i: number): number {
		const { bytes, prefixStart, prefixBytes } = this
		if (this.#prefixHash < 0) this.#prefixHash = hashLanes(bytes, prefixStart, prefixBytes) >>> 0
		return hashParts(bytes, this.#prefixHash, prefixStart, prefixBytes, this.suffixStartAt(i), this.valueStartAt(i))
	}

	/** The key of entry `i`, in memory of its own. */
	keyAt(i: number): Uint8Array {
		const key = new Uint8Array(this.keyBytesAt(i))
		this.copyKeyAt(i, key, 0)
		return key
	}

	/** False: `expiresAtMsAt` is 0 for every entry. */
	get hasExpiry(): boolean {
		return this.#expiryWidth > 0
	}

	/** The kind of all entries, or `undefined` when each says its own. */
	get commonKind(): EntryKind | undefined {
		return this.#kindStart < 0 ? (this.#kind as EntryKind) : undefined
	}

	kindAt(i: number): EntryKind {
		return (this.#kindStart < 0 ? this.#kind : this.bytes[this.#kindStart + i]) as EntryKind
	}

	seqAt(i: number): number {
		const width = this.#seqWidth
		return this.#minSeq + readUint(this.bytes, this.#seqStart + i * width, width)
	}

	/** Writes the sequence numbers of all entries into `target`, where there is room for `count`. */
	copySeqs(target: Float64Array): void {
		const bytes = this.bytes
		const base = this.#minSeq
		const count = this.count
		const width = this.#seqWidth
		let at = this.#seqStart
		if (width > 4) {
			for (let i = 0; i < count; i++, at += width) target[i] = base + readUint(bytes, at, width)
			return
		}
		// The common case, in 32-bit arithmetic.
		for (let i = 0; i < count; i++, at += width) {
			let delta = 0
			for (let j = 0; j < width; j++) delta |= (bytes[at + j] as number) << (8 * j)
			target[i] = base + (delta >>> 0)
		}
	}

	/** 0: never. */
	expiresAtMsAt(i: number): number {
		const width = this.#expiryWidth
		if (width === 0) return 0
		const stored = readUint(this.bytes, this.#expiryStart + i * width, width)
		return stored === 0 ? 0 : this.#minExpiresAtMs + stored - 1
	}

	/** The value of entry `i` as a view: copy it before it leaves the engine. */
	valueViewAt(i: number): Uint8Array {
		const start = this.valueStartAt(i)
		return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + start, this.valueEndAt(i) - start)
	}

	suffixStartAt(i: number): number {
		return i === 0 ? this.#dataStart : this.#positionAt(2 * i - 1)
	}

	/** Where the value begins, which is where the suffix ends. */
	valueStartAt(i: number): number {
		return this.#positionAt(2 * i)
	}

	valueEndAt(i: number): number {
		return this.#positionAt(2 * i + 1)
	}

	/** What number `i` of the column of ends says, as a position in `bytes`. */
	#positionAt(i: number): number {
		const bytes = this.bytes
		const at = this.#dataEnd + i * this.#endWidth
		if (this.#endWidth === 2) return this.#dataStart + ((bytes[at] as number) | ((bytes[at + 1] as number) << 8))
		return this.#dataStart + readUint(bytes, at, 4)
	}

	#hasPointsAfterFinds(): boolean {
		if (this.#findsLeft > 0) {
			this.#findsLeft--
			return false
		}
		const slots = pointSlots(this.count, this.#dataEnd)
		const { raw } = this
		this.#bytes = withPoints(this, raw, slots)
		this.#pointsAt = pointsStart(raw.length)
		this.#pointMask = slots - 1
		return true
	}

	/** A block that is searched once only (a cold read, a scan) does without; one that is searched again pays off. */
	#headsAfterFirstSeek(): Uint32Array | undefined {
		if (!this.#wasSought) {
			this.#wasSought = true
			return undefined
		}
		const heads = new Uint32Array(this.count)
		for (let i = 0; i < heads.length; i++) {
			heads[i] = headOf(this.bytes, this.suffixStartAt(i), this.valueStartAt(i))
		}
		this.#heads = heads
		return heads
	}

	/** Checks columns and order once, so that no reader has to. True when some key has several versions. */
	#verify(where: string): boolean {
		const { bytes, count } = this
		if (this.#minSeq + 256 ** this.#seqWidth > Number.MAX_SAFE_INTEGER) {
			for (let i = 0; i < count; i++) {
				if (!Number.isSafeInteger(this.seqAt(i))) throw corrupt(where, 'a sequence number beyond 2^53')
			}
		}
		if (this.#minExpiresAtMs + 256 ** this.#expiryWidth > Number.MAX_SAFE_INTEGER) {
			for (let i = 0; i < count; i++) {
				if (!Number.isSafeInteger(this.expiresAtMsAt(i))) throw corrupt(where, 'an expiry beyond 2^53')
			}
		}
		if (this.#kindStart >= 0) {
			for (let i = this.#kindStart; i < bytes.length; i++) {
				if ((bytes[i] as number) > KIND_BLOB) throw corrupt(where, `an entry of unknown kind ${bytes[i]}`)
			}
		}
		return checkEntries(this, this.#dataStart, this.#dataEnd, where)
	}
}

/** Four bytes of `bytes[start, end)` as a big-endian number, zeros past its end: ordered as the bytes are, but for ties. */
function headOf(bytes: Uint8Array, start: number, end: number): number {
	let head = 0
	for (let i = start; i < start + 4; i++) head = (head << 8) | (i < end ? (bytes[i] as number) : 0)
	return head >>> 0
}
