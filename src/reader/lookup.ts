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
import type { TableSource } from '../cache/table-source.ts'
import type { Block } from '../sst/block.ts'
import { type EntryKind, isExpired, KIND_TOMBSTONE } from '../sst/entry.ts'
import type { ReadView } from './read-view.ts'
import { numberInPlan, type SearchPlan, slotForKey } from './search-plan.ts'

/** Something is not in memory. */
export const LOOKUP_COLD = 0
/** No entry of the key is visible. A tombstone and an expired entry are found, and `isVisible` says no. */
export const LOOKUP_ABSENT = 1
export const LOOKUP_FOUND = 2
export type LookupStatus = typeof LOOKUP_COLD | typeof LOOKUP_ABSENT | typeof LOOKUP_FOUND

const NO_BYTES = new Uint8Array(0)

/** The entry that was found. The value is `bytes[start, end)`, a view of memory that is not the caller's. */
export class Hit {
	kind: EntryKind = KIND_TOMBSTONE
	seq = 0
	expiresAtMs = 0
	bytes: Uint8Array = NO_BYTES
	start = 0
	end = 0

	isVisible(nowMs: number): boolean {
		return this.kind !== KIND_TOMBSTONE && !isExpired(this.expiresAtMs, nowMs)
	}

	setFromBlock(block: Block, index: number, seq: number): void {
		this.kind = block.kindAt(index)
		this.seq = seq
		this.expiresAtMs = block.expiresAtMsAt(index)
		this.bytes = block.bytes
		this.start = block.valueStartAt(index)
		this.end = block.valueEndAt(index)
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
			const found = findInBlock(block, key, view.maxSeq)
			if (found === NEXT_BLOCK && table.mayContinue(index, key)) {
				index++
				continue
			}
			if (found >= 0) {
				const seq = block.seqAt(found)
				if (seq > foundSeq) {
					foundSeq = seq
					hit.setFromBlock(block, found, seq)
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
		hit.kind = found.kind
		hit.seq = found.seq
		hit.expiresAtMs = found.expiresAtMs
		hit.bytes = found.value
		hit.start = 0
		hit.end = found.value.length
		return true
	}
	return false
}

const NOT_IN_BLOCK = -1
/** The versions of the key in this block are too new, and reach its end: an older one may begin the next block. */
export const NEXT_BLOCK = -2

/** Index of the newest entry of `key` at or below `maxSeq`, or one of the two constants. */
export function findInBlock(block: Block, key: Uint8Array, maxSeq: number): number {
	const count = block.count
	let index = block.seek(key)
	if (index === count || block.compareKeyAt(index, key) !== 0) return NOT_IN_BLOCK
	while (block.seqAt(index) > maxSeq) {
		index++
		if (index === count) return NEXT_BLOCK
		if (block.compareKeyAt(index, key) !== 0) return NOT_IN_BLOCK
	}
	return index
}
