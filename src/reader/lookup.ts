/**
 * Point lookups from memory: the newest entry of a key that a view may see, without a promise.
 *
 * Steps: memtables, newest first; then the levels of the search plan that may hold the key, the one with the newest
 * entries first, until no level that is left can hold anything newer than what was found. Where something has to be
 * fetched it gives up, and cold-lookup.ts goes on.
 *
 * Invariants: the newest sequence number at or below the view's wins, wherever it stands; a filter may only say "not
 * here" when that is so.
 */

import { hashKey } from '../bytes/hash.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { MemtableHit } from '../memtable/memtable.ts'
import { type Block, NOT_FOUND } from '../sst/block.ts'
import { type EntryKind, isExpired, KIND_TOMBSTONE } from '../sst/entry.ts'
import type { ReadView } from './read-view.ts'
import { numberInPlan, type SearchPlan, slotForKey } from './search-plan.ts'

/** Something is not in memory. */
export const LOOKUP_COLD = 0
/** No entry of the key is visible. A tombstone and an expired entry are found, and `isVisible` says no. */
export const LOOKUP_ABSENT = 1
export const LOOKUP_FOUND = 2
export type LookupStatus = typeof LOOKUP_COLD | typeof LOOKUP_ABSENT | typeof LOOKUP_FOUND

/** The entry that was found. The value is `bytes[start, end)`, a view of memory that is not the caller's. */
export class Hit {
	bytes: Uint8Array = NO_BYTES
	start = 0
	end = 0
	kind: EntryKind = KIND_TOMBSTONE
	expiresAtMs = 0
	/** Where the sequence number is to be looked up, for the few who want to know it; or itself. */
	#block: Block | undefined
	#index = 0
	#seq = 0

	get seq(): number {
		return this.#block?.seqAt(this.#index) ?? this.#seq
	}

	isVisible(nowMs: number): boolean {
		return this.kind !== KIND_TOMBSTONE && !isExpired(this.expiresAtMs, nowMs)
	}

	setFromBlock(block: Block, index: number): void {
		this.#block = block
		this.#index = index
		this.kind = block.kindAt(index)
		this.expiresAtMs = block.expiresAtMsAt(index)
		this.bytes = block.bytes
		this.start = block.valueStartAt(index)
		this.end = block.valueEndAt(index)
	}

	setFromMemtable({ kind, seq, expiresAtMs, value }: MemtableHit): void {
		this.#block = undefined
		this.#seq = seq
		this.kind = kind
		this.expiresAtMs = expiresAtMs
		this.bytes = value
		this.start = 0
		this.end = value.length
	}
}

/**
 * Answers from memory, and with `readsNow` from what the store gives at once; then `hit` is of use until the next lookup.
 * It is written when the answer is `LOOKUP_FOUND`.
 */
export function lookupCached(
	source: TableSource,
	plan: SearchPlan,
	view: ReadView,
	key: Uint8Array,
	hit: Hit,
	readsNow: boolean,
): LookupStatus {
	if (lookupMemtables(view, key, hit)) return LOOKUP_FOUND
	const number = numberInPlan(plan, key)
	if (number < 0) return LOOKUP_ABSENT
	const hash = hashKey(key, 0, key.length)
	const { maxSeqs, lowest, highest, singles, count } = plan
	let foundSeq = -1
	for (let level = 0; level < count; level++) {
		if (foundSeq >= (maxSeqs[level] as number)) break
		if (number < (lowest[level] as number) || number > (highest[level] as number)) continue
		const slot = singles[level] ?? slotForKey(plan, level, key, number)
		if (slot === undefined) continue
		const table = source.cachedTable(slot)
		if (table === undefined) return LOOKUP_COLD
		if (!table.mayContain(hash)) continue
		for (let index = table.findBlock(key); index >= 0; ) {
			const block =
				source.cachedBlock(slot, table, index) ??
				(readsNow ? source.readBlockNow(slot, table, index, foundSeq < 0) : undefined)
			if (block === undefined) return LOOKUP_COLD
			const found = findInBlock(block, key, hash, table.meta.maxSeq > view.maxSeq ? view.maxSeq : ANY_SEQ)
			if (found === NEXT_BLOCK && table.mayContinue(index, key)) {
				index++
				continue
			}
			if (found >= 0) {
				// Of the only level, or the last one, it does not matter how new it is: that saves a look at slow memory.
				if (foundSeq < 0 && level === count - 1) {
					hit.setFromBlock(block, found)
					return LOOKUP_FOUND
				}
				const seq = block.seqAt(found)
				if (seq > foundSeq) {
					foundSeq = seq
					hit.setFromBlock(block, found)
				}
			}
			break
		}
	}
	return foundSeq < 0 ? LOOKUP_ABSENT : LOOKUP_FOUND
}

export function lookupMemtables(view: ReadView, key: Uint8Array, hit: Hit): boolean {
	for (const memtable of view.memtables) {
		const found = memtable.get(key, view.maxSeq)
		if (found === undefined) continue
		hit.setFromMemtable(found)
		return true
	}
	return false
}

/** The versions of the key in this block are too new, and reach its end: an older one may begin the next block. */
export const NEXT_BLOCK = -2

/** Larger than any sequence number. */
const ANY_SEQ = Number.POSITIVE_INFINITY

/** Index of the newest entry of `key`, whose hash is `hash`, at or below `maxSeq`, or one of the two constants. */
export function findInBlock(block: Block, key: Uint8Array, hash: number, maxSeq: number): number {
	let index = block.find(key, hash)
	if (index < 0 || maxSeq === ANY_SEQ) return index
	while (block.seqAt(index) > maxSeq) {
		index++
		if (index === block.count) return NEXT_BLOCK
		if (block.compareKeyAt(index, key) !== 0) return NOT_FOUND
	}
	return index
}
