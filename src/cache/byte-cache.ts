/**
 * A cache bounded in bytes that a scan does not flush: S3-FIFO ("FIFO Queues are All You Need for Cache Eviction",
 * Yang et al., SOSP 2023). Decoded blocks and parsed tables live in one each.
 *
 * Values stand on shelves, one shelf per table, by number: a hit is an array access and a saturating counter, no hash of
 * a string and no list to reorder. Values and counters stand apart from what evicting needs, because of many entries a hit
 * finds each object that it touches in slow memory. The cache knows all shelves' entries by their queues.
 *
 * Steps: a new entry joins the small queue (a tenth of the capacity), or the main queue when it was evicted not long
 * ago. Over capacity, the oldest of the small queue goes: to main when it was hit, out otherwise; or the oldest of main:
 * to its end when it was hit, out otherwise.
 *
 * Invariants: `bytes` never exceeds `maxBytes` when a method returns; what is larger than the cache is not kept; an entry
 * is on its shelf exactly as long as it counts.
 */
import { invariant } from '../errors.ts'

/** Hits that count towards staying: a counter of two bits, as in the paper. */
const MAX_FREQUENCY = 3
/** Share of the small queue: a tenth, as in the paper. */
const SMALL_DIVISOR = 10
/** A shelf remembers at the most this many evictions before it forgets those that no longer matter. */
const EVICTED_PURGE_COUNT = 1024

interface CacheEntry<Value> {
	readonly bytes: number
	readonly shelf: Shelf<Value>
	readonly index: number
	/** Where it stands, and the next older and younger entries there. */
	queue: Queue<Value>
	previous: CacheEntry<Value> | undefined
	next: CacheEntry<Value> | undefined
}

const NO_FREQUENCIES = new Uint8Array(0)

/** The cached values of one owner, by number. */
export class Shelf<Value> {
	/** What is cached, all of this for `ByteCache` alone to change. */
	readonly values: (Value | undefined)[] = []
	/** How often each was hit, up to `MAX_FREQUENCY`. */
	frequencies: Uint8Array = NO_FREQUENCIES
	readonly entries: (CacheEntry<Value> | undefined)[] = []
	/** When entries were evicted, as bytes evicted from the cache until then: recent ones return to the main queue. */
	readonly evictedAt: Map<number, number> = new Map()
	/** Entries that are cached. */
	count = 0

	/** Makes room for indexes below `count`, so that the array stays one: V8 turns a very sparse one into a dictionary. */
	reserve(count: number): void {
		while (this.entries.length < count) {
			this.entries.push(undefined)
			this.values.push(undefined)
		}
		if (this.frequencies.length >= count) return
		const frequencies = new Uint8Array(count)
		frequencies.set(this.frequencies)
		this.frequencies = frequencies
	}
}

/** First in, first out, but for entries that are taken out of the middle. */
class Queue<Value> {
	#head: CacheEntry<Value> | undefined
	#tail: CacheEntry<Value> | undefined
	bytes = 0

	get oldest(): CacheEntry<Value> | undefined {
		return this.#head
	}

	get hasSeveral(): boolean {
		return this.#head !== this.#tail
	}

	push(entry: CacheEntry<Value>): void {
		entry.queue = this
		entry.previous = this.#tail
		if (this.#tail === undefined) this.#head = entry
		else this.#tail.next = entry
		this.#tail = entry
		this.bytes += entry.bytes
	}

	remove(entry: CacheEntry<Value>): void {
		const { previous, next } = entry
		if (previous === undefined) this.#head = next
		else previous.next = next
		if (next === undefined) this.#tail = previous
		else next.previous = previous
		entry.previous = undefined
		entry.next = undefined
		this.bytes -= entry.bytes
	}
}

export interface CacheStats {
	readonly hits: number
	readonly misses: number
	readonly evictions: number
	readonly entries: number
	readonly bytes: number
	readonly maxBytes: number
}

export class ByteCache<Value> {
	readonly #maxBytes: number
	readonly #small = new Queue<Value>()
	readonly #main = new Queue<Value>()
	#entries = 0
	#hits = 0
	#misses = 0
	#evictions = 0
	#evictedBytes = 0

	/** `maxBytes` 0 keeps nothing. */
	constructor(maxBytes: number) {
		invariant(Number.isSafeInteger(maxBytes) && maxBytes >= 0, `capacity of ${maxBytes} bytes`)
		this.#maxBytes = maxBytes
	}

	get bytes(): number {
		return this.#small.bytes + this.#main.bytes
	}

	get(shelf: Shelf<Value>, index: number): Value | undefined {
		const value = shelf.values[index]
		if (value === undefined) {
			this.#misses++
			return undefined
		}
		const { frequencies } = shelf
		const frequency = frequencies[index] as number
		if (frequency < MAX_FREQUENCY) frequencies[index] = frequency + 1
		this.#hits++
		return value
	}

	/** The same, without counting as a use: for scans that look ahead, and for tests. */
	peek(shelf: Shelf<Value>, index: number): Value | undefined {
		return shelf.values[index]
	}

	/** Keeps `value`, which weighs `bytes`. What is there already stays. */
	put(shelf: Shelf<Value>, index: number, value: Value, bytes: number): void {
		if (bytes > this.#maxBytes || shelf.entries[index] !== undefined) return
		const evictedAt = shelf.evictedAt.get(index)
		const isRecent = evictedAt !== undefined && this.#evictedBytes - evictedAt <= this.#maxBytes
		if (evictedAt !== undefined) shelf.evictedAt.delete(index)
		const queue = isRecent ? this.#main : this.#small
		const entry = { bytes, shelf, index, queue, previous: undefined, next: undefined }
		shelf.reserve(index + 1)
		shelf.values[index] = value
		shelf.frequencies[index] = 0
		shelf.entries[index] = entry
		shelf.count++
		this.#entries++
		queue.push(entry)
		while (this.bytes > this.#maxBytes) this.#evictOne()
	}

	/** Forgets everything on `shelf`. */
	deleteShelf(shelf: Shelf<Value>): void {
		for (const entry of shelf.entries) {
			if (entry === undefined) continue
			entry.queue.remove(entry)
			this.#entries--
		}
		shelf.entries.fill(undefined)
		shelf.values.fill(undefined)
		shelf.evictedAt.clear()
		shelf.count = 0
	}

	stats(): CacheStats {
		return {
			hits: this.#hits,
			misses: this.#misses,
			evictions: this.#evictions,
			entries: this.#entries,
			bytes: this.bytes,
			maxBytes: this.#maxBytes,
		}
	}

	/** Each call takes an entry out or lowers a frequency, so that `put` comes to an end. */
	#evictOne(): void {
		// The newest entry alone is no reason to throw it out again, however large it is.
		const isSmallOver = this.#small.bytes * SMALL_DIVISOR > this.#maxBytes && this.#small.hasSeveral
		const takeSmall = isSmallOver || this.#main.bytes === 0
		const entry = takeSmall ? this.#small.oldest : this.#main.oldest
		if (entry === undefined) return
		const { shelf, index } = entry
		entry.queue.remove(entry)
		const frequency = shelf.frequencies[index] as number
		if (frequency > 0) {
			shelf.frequencies[index] = takeSmall ? 0 : frequency - 1
			this.#main.push(entry)
			return
		}
		this.#evictions++
		this.#entries--
		this.#evictedBytes += entry.bytes
		shelf.entries[index] = undefined
		shelf.values[index] = undefined
		shelf.count--
		this.#remember(shelf, index)
	}

	#remember(shelf: Shelf<Value>, index: number): void {
		const evictedAt = shelf.evictedAt
		// Deleted first, so that the map's order is the order of evictions.
		evictedAt.delete(index)
		evictedAt.set(index, this.#evictedBytes)
		if (evictedAt.size < EVICTED_PURGE_COUNT) return
		for (const [oldest, at] of evictedAt) {
			if (this.#evictedBytes - at <= this.#maxBytes) break
			evictedAt.delete(oldest)
		}
	}
}
