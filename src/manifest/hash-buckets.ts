/**
 * An immutable set of things that are found by a hash: a change gives another set, which shares with this one all buckets that
 * it did not touch.
 *
 * Linear hashing (Litwin, VLDB 1980): as the set grows its buckets are split one at a time, in their order, so that no change
 * costs a pass over all of it. A set that shrinks keeps its buckets, of which each takes a word.
 */
import { hashKey } from '../bytes/hash.ts'
import { invariant } from '../errors.ts'

/** On average. A bucket takes six words beside its items. */
const ITEMS_PER_BUCKET = 16
const STEP_ITEMS = 4_096
const NOTHING: readonly never[] = []

const encoder = new TextEncoder()

export class HashBuckets<Item> {
	readonly #hashOf: (item: Item) => number
	readonly #buckets: readonly (readonly Item[])[]
	readonly #size: number

	private constructor(hashOf: (item: Item) => number, buckets: readonly (readonly Item[])[], size: number) {
		this.#hashOf = hashOf
		this.#buckets = buckets
		this.#size = size
	}

	/** Of all of `lists`, stopping after every 4,096th item: half a millisecond. `hashOf` gives a u32, always the same. */
	static *inSteps<Item>(
		lists: readonly (readonly Item[])[],
		hashOf: (item: Item) => number,
	): Generator<void, HashBuckets<Item>, void> {
		const size = lists.reduce((sum, { length }) => sum + length, 0)
		const count = Math.max(1, Math.ceil(size / ITEMS_PER_BUCKET))
		// Sorted by counting, so that each bucket is made once, of the size that it has.
		const places = new Uint32Array(size)
		const ends = new Uint32Array(count + 1)
		let at = 0
		for (const items of lists) {
			for (const item of items) {
				const place = placeOf(hashOf(item), count)
				places[at++] = place
				ends[place + 1] = (ends[place + 1] as number) + 1
				if (at % STEP_ITEMS === 0) yield
			}
		}
		for (let place = 0; place < count; place++) ends[place + 1] = (ends[place + 1] as number) + (ends[place] as number)
		const next = ends.slice()
		// oxlint-disable-next-line unicorn/no-new-array -- filled below, in another order
		const sorted = new Array<Item>(size)
		at = 0
		for (const items of lists) {
			for (const item of items) {
				const place = places[at++] as number
				sorted[next[place] as number] = item
				next[place] = (next[place] as number) + 1
				if (at % STEP_ITEMS === 0) yield
			}
		}
		const buckets: (readonly Item[])[] = []
		for (let place = 0; place < count; place++) {
			buckets.push(sorted.slice(ends[place], ends[place + 1]))
			if (place % STEP_ITEMS === STEP_ITEMS - 1) yield
		}
		return new HashBuckets(hashOf, buckets, size)
	}

	/** Everything with this hash, in the order in which it came, among other things. */
	at(hash: number): readonly Item[] {
		return this.#buckets[placeOf(hash, this.#buckets.length)] as readonly Item[]
	}

	/** Without `gone`, which are in it, and with `come`. */
	with(gone: readonly Item[], come: readonly Item[]): HashBuckets<Item> {
		if (gone.length === 0 && come.length === 0) return this
		const buckets = this.#buckets.slice()
		for (const item of gone) {
			const place = placeOf(this.#hashOf(item), buckets.length)
			const bucket = buckets[place] as readonly Item[]
			const at = bucket.indexOf(item)
			invariant(at !== -1, 'what is taken out of a set is in it')
			buckets[place] = bucket.toSpliced(at, 1)
		}
		for (const item of come) {
			const place = placeOf(this.#hashOf(item), buckets.length)
			buckets[place] = (buckets[place] as readonly Item[]).concat([item])
		}
		const size = this.#size + come.length - gone.length
		while (buckets.length * ITEMS_PER_BUCKET < size) this.#split(buckets)
		return new HashBuckets(this.#hashOf, buckets, size)
	}

	/** Adds a bucket, and moves to it what belongs there now. */
	#split(buckets: (readonly Item[])[]): void {
		const place = buckets.length
		const from = placeOf(place, place)
		const moves = (item: Item): boolean => placeOf(this.#hashOf(item), place + 1) === place
		const items = buckets[from] as readonly Item[]
		// Copied: what `filter` answers has room to grow.
		buckets[from] = items.filter(item => !moves(item)).slice()
		buckets.push(NOTHING)
		buckets[place] = items.filter(moves).slice()
	}
}

/** As many low bits of `hash` as name all of `count` buckets; what belongs to one that is not there yet is where it will be split off. */
function placeOf(hash: number, count: number): number {
	const mask = (1 << (32 - Math.clz32(count - 1))) - 1
	const place = hash & mask
	return place < count ? place : place & (mask >>> 1)
}

/** `hashKey` of the UTF-8 of `text`. */
export function hashText(text: string): number {
	const bytes = encoder.encode(text)
	return hashKey(bytes, 0, bytes.length)
}
