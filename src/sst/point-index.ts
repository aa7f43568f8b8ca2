/**
 * The entries of a block by the hashes of their keys: a lookup goes to its entry at once, where a search by halves waits for
 * slow memory at every step.
 *
 * An open-addressing table of 32-bit points behind a copy of the block, at most two thirds full. A point says which entry, where its suffix begins, so
 * that it can be read without asking the column of ends first, and seven bits of the hash, so that hardly any other entry
 * is read on the way:
 *
 *     bits 25 to 31  the highest bits of the hash
 *     bits 15 to 24  index of the entry
 *     bits 0 to 14   where its suffix begins in the block; never 0
 *
 * Of the versions of a key only the newest has one. Blocks with more entries or bytes than that have none, and are searched.
 * RocksDB's data block hash index is the same idea; there it is stored with the block.
 */
import type { Block } from './block.ts'

/** A place without a point. */
export const NO_POINT = 0

/** What the bits have room for. */
const ENTRIES_MAX = 1 << 10
const BYTES_MAX = 1 << 15
const TAG_SHIFT = 25

/** How many places the points of such a block have; 0 when it has none. */
export function pointSlots(count: number, dataEnd: number): number {
	return count > ENTRIES_MAX || dataEnd >= BYTES_MAX ? 0 : 2 ** Math.ceil(Math.log2(count * 1.5))
}

/** Where the points behind so many bytes of a raw block begin: so that none lies in two lines of memory. */
export function pointsStart(rawBytes: number): number {
	return (rawBytes + 7) & ~7
}

/** A copy of `raw`, the block of which `pointSlots` is not 0, with its points behind it. */
export function withPoints(block: Block, raw: Uint8Array, slots: number): Uint8Array {
	const start = pointsStart(raw.length)
	const bytes = new Uint8Array(start + 4 * slots)
	bytes.set(raw)
	for (let i = 0; i < block.count; i++) {
		const isOlder = block.hasVersions && i > 0 && block.compareKeysAt(i - 1, block, i) === 0
		if (isOlder) continue
		const hash = block.hashAt(i)
		let at = hash & (slots - 1)
		while (pointIn(bytes, start + 4 * at) !== NO_POINT) at = (at + 1) & (slots - 1)
		const point = ((hash >>> TAG_SHIFT) << TAG_SHIFT) | (i << 15) | block.suffixStartAt(i)
		for (let j = 0; j < 4; j++) bytes[start + 4 * at + j] = point >>> (8 * j)
	}
	return bytes
}

/** The point at `at`, little-endian. */
export function pointIn(bytes: Uint8Array, at: number): number {
	return (
		(bytes[at] as number) |
		((bytes[at + 1] as number) << 8) |
		((bytes[at + 2] as number) << 16) |
		((bytes[at + 3] as number) << 24)
	)
}

/** Whether `point` may be that of a key with this hash. */
export function isPointOf(point: number, hash: number): boolean {
	return (point ^ hash) >>> TAG_SHIFT === 0
}

export function pointIndex(point: number): number {
	return (point >>> 15) & (ENTRIES_MAX - 1)
}

export function pointStart(point: number): number {
	return point & (BYTES_MAX - 1)
}
