/**
 * How much a table weighs in L0, where a large one weighs 1. Every table of L0 costs a read something whatever its size, but
 * tiny ones are cheap to merge by the hundreds, and a commit of a few bytes must not count as much as one of megabytes.
 */
import type { TableRef } from './manifest.ts'

/** A table of this size or more weighs 1: it is too large to ride in a record by default. */
export const FULL_WEIGHT_BYTES = 1_048_576

/** Of tables with `storedBytes`: bytes beside `fullBytes`, at least `minWeight`, at most 1. */
export function l0Weight(tables: readonly TableRef[], fullBytes: number, minWeight: number): number {
	let weight = 0
	for (const { meta } of tables) weight += Math.min(1, Math.max(minWeight, meta.storedBytes / fullBytes))
	return weight
}
