/**
 * What of a merge needs no work: whole tables that go into the new run as they are, by reference.
 *
 * A table passes when no other input has keys in its range and it holds nothing that the merge would drop. Between the tables
 * that pass lie the key ranges that must be merged. Small tables do not pass: merged with their neighbours they become fewer.
 */
import { compareBytes } from '../bytes/compare.ts'
import type { PendingMerge, TableRef } from '../manifest/manifest.ts'
import { type Chain, firstAtOrBehind, type KeyRange } from './merge-ranges.ts'

export type Segment =
	| { readonly kind: 'pass'; readonly table: TableRef }
	| { readonly kind: 'merge'; readonly range: KeyRange }

/**
 * The segments of a merge from `lower` on, in key order. `isSound` says of a table that nothing in it is to be dropped and
 * that it is large enough to stay alone.
 */
export function planSegments(
	chains: readonly Chain[],
	lower: Uint8Array | null,
	isSound: (table: TableRef) => boolean,
): readonly Segment[] {
	const passing = chains
		.flatMap(chain => chain.filter(table => isSound(table) && isAlone(table, chain, chains)))
		.filter(table => lower === null || compareBytes(table.meta.smallestKey, lower) >= 0)
		.sort((a, b) => compareBytes(a.meta.smallestKey, b.meta.smallestKey))
	const segments: Segment[] = []
	let from = lower
	for (const table of passing) {
		pushRange(segments, chains, { lower: from, upper: table.meta.smallestKey })
		segments.push({ kind: 'pass', table })
		from = keyBehind(table.meta.largestKey)
	}
	pushRange(segments, chains, { lower: from, upper: null })
	return segments
}

/** What an earlier attempt has done: tables that passed (they are alone in their keys and not among what was made), and bytes. */
export function doneBefore(
	chains: readonly Chain[],
	{ outputs, resumeKey }: PendingMerge,
): { readonly passed: readonly TableRef[]; readonly doneBytes: number } {
	const passed: TableRef[] = []
	let doneBytes = 0
	for (const chain of chains) {
		for (const table of chain) {
			const range = { lower: table.meta.smallestKey, upper: keyBehind(table.meta.largestKey) }
			if (compareBytes(range.upper, resumeKey) > 0) continue
			doneBytes += table.meta.storedBytes
			// One that was merged and of which nothing is left is kept as it was: that is not wrong.
			if (isAlone(table, chain, chains) && !overlaps(outputs, range)) passed.push(table)
		}
	}
	return { passed, doneBytes }
}

function pushRange(segments: Segment[], chains: readonly Chain[], range: KeyRange): void {
	if (chains.some(chain => overlaps(chain, range))) segments.push({ kind: 'merge', range })
}

function isAlone(table: TableRef, own: Chain, chains: readonly Chain[]): boolean {
	const range = { lower: table.meta.smallestKey, upper: keyBehind(table.meta.largestKey) }
	return chains.every(chain => chain === own || !overlaps(chain, range))
}

/** True when a table of `chain` may hold keys of `range`. */
export function overlaps(chain: Chain, range: KeyRange): boolean {
	const first = chain[range.lower === null ? 0 : firstAtOrBehind(chain, range.lower)]
	if (first === undefined) return false
	return range.upper === null || compareBytes(first.meta.smallestKey, range.upper) < 0
}

/** The smallest key that is greater than `key`. */
export function keyBehind(key: Uint8Array): Uint8Array {
	const behind = new Uint8Array(key.length + 1)
	behind.set(key)
	return behind
}
