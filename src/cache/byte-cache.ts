/**
 * A cache bounded in bytes that a scan does not flush: S3-FIFO ("FIFO Queues are All You Need for Cache Eviction",
 * Yang et al., SOSP 2023). Decoded blocks and parsed tables live in one each.
 *
 * Values stand on shelves, one shelf per table, by number: a hit is an array access and a saturating counter, no hash of
 * a string and no list to reorder. The cache knows all shelves' entries by their queues.
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
	readonly value: Value
	readonly bytes: number
	frequency: number
	readonly shelf: Shelf<Value>
	readonly index: number
	/** Where it stands, and the next older and younger entries there. */
	queue: Queue<Value>
	previous: CacheEntry<Value> | undefined
	next: CacheEntry<Value> | undefined
}

/** The cached values of one owner, by number. */
export class Shelf<Value> {
	/** What is cached. For `ByteCache` alone to change. */
	readonly entries: (CacheEntry<Value> | undefined)[] = []
	/** When entries were evicted, as bytes evicted from the cache until then: recent ones return to the main queue. */
	readonly evictedAt: Map<number, number> = new Map()
	/** Entries that are cached. */
	count = 0

	/** Makes room for indexes below `count`, so that the array stays one: V8 turns a very sparse one into a dictionary. */
	reserve(count: number): void {
		while (this.entries.length < count) this.entries.push(undefined)
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
		const entry = shelf.entries[index]
		if (entry === undefined) {
			this.#misses++
			return undefined
		}
		if (entry.frequency < MAX_FREQUENCY) entry.frequency++
		this.#hits++
		return entry.value
	}

	/** The same, without counting as a use: for scans that look ahead, and for tests. */
	peek(shelf: Shelf<Value>, index: number): Value | undefined {
		return shelf.entries[index]?.value
	}

	/** Keeps `value`, which weighs `bytes`. What is there already stays. */
	put(shelf: Shelf<Value>, index: number, value: Value, bytes: number): void {
		if (bytes > this.#maxBytes || shelf.entries[index] !== undefined) return
		const evictedAt = shelf.evictedAt.get(index)
		const isRecent = evictedAt !== undefined && this.#evictedBytes - evictedAt <= this.#maxBytes
		if (evictedAt !== undefined) shelf.evictedAt.delete(index)
		const queue = isRecent ? this.#main : this.#small
		const entry = { value, bytes, frequency: 0, shelf, index, queue, previous: undefined, next: undefined }
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
		entry.queue.remove(entry)
		if (entry.frequency > 0) {
			entry.frequency = takeSmall ? 0 : entry.frequency - 1
			this.#main.push(entry)
			return
		}
		this.#evictions++
		this.#entries--
		this.#evictedBytes += entry.bytes
		entry.shelf.entries[entry.index] = undefined
		entry.shelf.count--
		this.#remember(entry.shelf, entry.index)
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
