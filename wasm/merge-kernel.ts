/**
 * The inner loop of a merge in AssemblyScript: which entry comes next, whether it is the newest of its key, whether it stays,
 * and its copy into the block that is made. What happens once a block is the caller's (src/sst/merge-kernel.ts): the
 * kernel stops for it and says what for.
 *
 * It does what workers/merge-tables.ts does with MergeTree, MergeOutput and BlockBuilder, entry by entry in the same order,
 * so that both make the same bytes. The whole state lies in the memory that the caller gives out (kernel-layout.ts).
 */
import {
	BROKEN_FIRST,
	BROKEN_SECOND,
	DROPS_TOMBSTONES,
	ENTRIES_READ,
	ENTRIES_WRITTEN,
	EXPIRE_BEFORE_MS,
	EXPIRED_DROPPED,
	FROM_ADVANCE,
	FROM_APPEND,
	FROM_LOOK,
	FROM_NEXT,
	FROM_TAKE,
	LAST_KEY,
	LOSERS,
	PATIENCE,
	ROOM_BYTES,
	SLOT_AT,
	SLOT_BLOCK,
	SLOT_BYTES,
	SLOT_COUNT,
	SLOT_END,
	SLOT_EXPIRIES,
	SLOT_EXPIRY_WIDTH,
	SLOT_HEADS,
	SLOT_KIND,
	SLOT_KINDS,
	SLOT_MIN_EXPIRES_AT,
	SLOT_PASSABLE,
	SLOT_PREFIX,
	SLOT_PREFIX_BYTES,
	SLOT_SEQS,
	SLOT_TOUCHED,
	SLOTS,
	STATE_START,
	STOP_BLOB,
	STOP_BLOCK,
	STOP_END,
	STOP_FULL,
	STOP_ORDER,
	STOP_PASS,
	STOP_TABLE,
	STOP_TWICE,
	TOMBSTONES_DROPPED,
	TOUCHED,
	TOUCHED_COUNT,
	TREE_HEADS,
	WINNER,
} from '../src/sst/kernel-layout'
import { openBlock, readUint } from './block-reader'
import {
	append,
	beginTable as beginBlocks,
	encodeBlock,
	estimatedBytes,
	isEmpty,
	relate,
	showValue,
	wouldEndSmall,
} from './block-writer'
import { compareKeys, compareWith, copy, KEY_MAX_BYTES, suffixStart, valueEnd, valueStart } from './entry-bytes'

export { decompress } from './lz4'
export { gatherRows } from './row-reader'

const KIND_TOMBSTONE: i32 = 0
const KIND_BLOB: i32 = 2

let slots: usize = 0
let slotCount: i32 = 0
let losers: usize = 0
let treeHeads: usize = 0
let winner: i32 = 0
/** The key that came last: in a block as long as that is at hand, then in memory of its own. */
let lastSlot: usize = 0
let lastAt: i32 = 0
let lastBytes: i32 = 0
let lastHead: f64 = -1
/** Blocks one after another that were not passed because a small one would have ended before them. */
let held: i32 = 0
/** Of the table at hand. */
let hasEntries: bool = false
/** Two sources have the same version of a key. */
let isBroken: bool = false
/** What the entry at hand becomes. */
let kind: i32 = 0
let expiresAtMs: f64 = 0
let valueBytes: i32 = 0

export function open(index: i32, sharedBytes: i32): i32 {
	return openBlock(load<usize>(STATE_START, SLOTS) + index * SLOT_BYTES, sharedBytes)
}

/** The same of a slot that has a block of no merge. */
export function openAlone(slot: usize): i32 {
	const bytes = load<usize>(slot, SLOT_BLOCK)
	// As if all keys shared the prefix of the block: then heads tell keys apart.
	return openBlock(slot, min(load<i32>(bytes, 8), KEY_MAX_BYTES))
}

export function encode(): void {
	const touched = load<usize>(STATE_START, TOUCHED)
	const count = load<i32>(STATE_START, TOUCHED_COUNT)
	for (let i = 0; i < count; i++) {
		store<i32>(slots + load<i32>(touched + ((<usize>i) << 2)) * SLOT_BYTES, 0, SLOT_TOUCHED)
	}
	encodeBlock()
}

export function beginTable(): void {
	hasEntries = false
	beginBlocks()
}

/** Bytes of the block at hand as estimated, 0 when it is empty; for the caller's own decisions. */
export function openBytes(): i32 {
	return isEmpty() ? 0 : estimatedBytes()
}

/** 1 when a table that has entries is full. */
export function isTableFull(): i32 {
	return hasEntries && f64(estimatedBytes()) >= load<f64>(STATE_START, ROOM_BYTES) ? 1 : 0
}

/** All slots are filled: finds who comes first. */
export function begin(): void {
	slots = load<usize>(STATE_START, SLOTS)
	slotCount = load<i32>(STATE_START, SLOT_COUNT)
	losers = load<usize>(STATE_START, LOSERS)
	treeHeads = load<usize>(STATE_START, TREE_HEADS)
	lastSlot = 0
	lastBytes = 0
	lastHead = -1
	held = 0
	isBroken = false
	for (let i = 0; i < slotCount; i++) {
		store<i32>(slotOf(i), 0, SLOT_TOUCHED)
		store<f64>(treeHeads + ((<usize>i) << 3), headOf(slotOf(i)))
		// Enters source i into the tree: at an empty node (−1) it waits for the winner of the other side.
		store<i32>(losers + ((<usize>i) << 2), -1)
	}
	winner = 0
	for (let i = 0; i < slotCount; i++) {
		let enters = i
		for (let node = (slotCount + i) >> 1; node >= 1; node >>= 1) {
			const at = losers + ((<usize>node) << 2)
			const other = load<i32>(at)
			if (other < 0) {
				store<i32>(at, enters)
				enters = -1
				break
			}
			if (isBefore(other, enters)) {
				store<i32>(at, enters)
				enters = other
			}
		}
		if (enters >= 0) winner = enters
	}
}

/** The winner's block went to the output whole. The caller opens the next one. */
export function skip(): void {
	const slot = slotOf(winner)
	const last = load<i32>(slot, SLOT_END) - 1
	lastHead = load<f64>(load<usize>(slot, SLOT_HEADS) + ((<usize>last) << 3))
	lastSlot = slot
	lastAt = last
	count(ENTRIES_READ, last + 1)
	count(ENTRIES_WRITTEN, last + 1)
	hasEntries = true
	leave(slot)
}

/** Merges until there is something for the caller to do. */
export function run(from: i32): i32 {
	let stage = from
	while (true) {
		if (stage === FROM_NEXT) {
			replay()
			stage = FROM_LOOK
		}
		if (isBroken) return stop(STOP_TWICE)
		const slot = slotOf(winner)
		const at = load<i32>(slot, SLOT_AT)
		if (stage === FROM_LOOK) {
			if (load<f64>(treeHeads + ((<usize>winner) << 3)) === Infinity) return stop(STOP_END)
			if (at === 0 && load<i32>(slot, SLOT_PASSABLE) !== 0 && passes(slot)) return stop(STOP_PASS)
			stage = FROM_TAKE
		}
		if (stage === FROM_TAKE) {
			stage = FROM_ADVANCE
			count(ENTRIES_READ, 1)
			const head = load<f64>(treeHeads + ((<usize>winner) << 3))
			if (head !== lastHead || !isLastKey(slot, at)) {
				lastSlot = slot
				lastAt = at
				lastHead = head
				if (decide(slot, at)) {
					if (isTableFull()) return stop(STOP_TABLE)
					stage = FROM_APPEND
				}
			}
		}
		if (stage === FROM_APPEND) {
			stage = FROM_ADVANCE
			if (!isEmpty()) {
				const place = relate(slot, at, valueBytes)
				if (place !== 2) return stop(place === 1 ? STOP_FULL : STOP_ORDER)
			}
			append(slot, at, kind, expiresAtMs, valueBytes)
			touch(slot)
			count(ENTRIES_WRITTEN, 1)
			hasEntries = true
			if (kind === KIND_BLOB) {
				showValue(valueBytes)
				return stop(STOP_BLOB)
			}
		}
		stage = FROM_NEXT
		store<i32>(slot, at + 1, SLOT_AT)
		if (at + 1 === load<i32>(slot, SLOT_END)) {
			leave(slot)
			return stop(STOP_BLOCK)
		}
	}
}

function stop(what: i32): i32 {
	store<i32>(STATE_START, winner, WINNER)
	return what
}

function count(field: i32, more: i32): void {
	const at: usize = STATE_START + field
	store<f64>(at, load<f64>(at) + f64(more))
}

function slotOf(index: i32): usize {
	return slots + index * SLOT_BYTES
}

/** Infinite past the last entry. */
function headOf(slot: usize): f64 {
	const at = load<i32>(slot, SLOT_AT)
	if (at === load<i32>(slot, SLOT_END)) return Infinity
	return load<f64>(load<usize>(slot, SLOT_HEADS) + ((<usize>at) << 3))
}

/** Decides what the entry becomes; false when it is dropped. */
function decide(slot: usize, at: i32): bool {
	const kinds = load<usize>(slot, SLOT_KINDS)
	kind = kinds === 0 ? load<i32>(slot, SLOT_KIND) : i32(load<u8>(kinds + at))
	const dropsTombstones = load<i32>(STATE_START, DROPS_TOMBSTONES) !== 0
	if (kind === KIND_TOMBSTONE && dropsTombstones) {
		count(TOMBSTONES_DROPPED, 1)
		return false
	}
	valueBytes = i32(valueEnd(slot, at) - valueStart(slot, at))
	expiresAtMs = 0
	const width = load<i32>(slot, SLOT_EXPIRY_WIDTH)
	if (width > 0) {
		const stored = readUint(load<usize>(slot, SLOT_EXPIRIES) + at * width, width)
		if (stored !== 0) expiresAtMs = f64(load<u64>(slot, SLOT_MIN_EXPIRES_AT) + stored - 1)
		if (kind !== KIND_TOMBSTONE && expiresAtMs !== 0 && expiresAtMs <= load<f64>(STATE_START, EXPIRE_BEFORE_MS)) {
			count(EXPIRED_DROPPED, 1)
			if (dropsTombstones) return false
			kind = KIND_TOMBSTONE
			expiresAtMs = 0
			valueBytes = 0
		}
	}
	return true
}

/** True when the whole block of the winner lies before all other sources and is not held back. */
function passes(slot: usize): bool {
	if (isLastKey(slot, 0)) return false
	const rival = runnerUp()
	if (rival >= 0 && load<f64>(treeHeads + ((<usize>rival) << 3)) !== Infinity) {
		const other = slotOf(rival)
		if (compareKeys(slot, load<i32>(slot, SLOT_END) - 1, other, load<i32>(other, SLOT_AT)) >= 0) {
			held = 0
			return false
		}
	}
	if (wouldEndSmall() && ++held < load<i32>(STATE_START, PATIENCE)) return false
	held = 0
	return true
}

function isLastKey(slot: usize, at: i32): bool {
	if (lastSlot !== 0) return compareKeys(lastSlot, lastAt, slot, at) === 0
	if (lastBytes === 0) return false
	const key = load<usize>(STATE_START, LAST_KEY)
	return compareWith(key, lastBytes, key, lastBytes, slot, at) === 0
}

/** The block of `slot` is about to go: what is still needed of it is kept. */
function leave(slot: usize): void {
	if (lastSlot !== slot) return
	const key = load<usize>(STATE_START, LAST_KEY)
	const split = load<i32>(slot, SLOT_PREFIX_BYTES)
	const start = suffixStart(slot, lastAt)
	const suffixBytes = i32(valueStart(slot, lastAt) - start)
	copy(key, load<usize>(slot, SLOT_PREFIX), split)
	copy(key + split, start, suffixBytes)
	lastBytes = split + suffixBytes
	lastSlot = 0
}

/** Notes that the block at hand has an entry of `slot`. */
function touch(slot: usize): void {
	if (load<i32>(slot, SLOT_TOUCHED) !== 0) return
	store<i32>(slot, 1, SLOT_TOUCHED)
	const touched = load<i32>(STATE_START, TOUCHED_COUNT)
	store<i32>(load<usize>(STATE_START, TOUCHED) + ((<usize>touched) << 2), winner)
	store<i32>(STATE_START, touched + 1, TOUCHED_COUNT)
}

/** The winner has moved to another entry, or to its end: finds who comes next. */
function replay(): void {
	let best = winner
	store<f64>(treeHeads + ((<usize>best) << 3), headOf(slotOf(best)))
	let head = load<u64>(treeHeads + ((<usize>best) << 3))
	for (let node = (slotCount + best) >> 1; node >= 1; node >>= 1) {
		const at = losers + ((<usize>node) << 2)
		const loser = load<i32>(at)
		const other = load<u64>(treeHeads + ((<usize>loser) << 3))
		// Nobody can foretell who wins, so that a branch would be a wrong guess every other time: both are swapped, by 0 or whole.
		let swaps = i32(other < head)
		if (other === head) swaps = i32(isTieBefore(loser, best))
		const swapped = (loser ^ best) & -swaps
		store<i32>(at, loser ^ swapped)
		best ^= swapped
		head ^= (other ^ head) & -i64(swaps)
	}
	winner = best
}

/** The source that would come next if the winner had ended; −1 when there is no other. */
function runnerUp(): i32 {
	let best = -1
	for (let node = (slotCount + winner) >> 1; node >= 1; node >>= 1) {
		const loser = load<i32>(losers + ((<usize>node) << 2))
		if (best < 0 || isBefore(loser, best)) best = loser
	}
	return best
}

function isBefore(a: i32, b: i32): bool {
	const first = load<f64>(treeHeads + ((<usize>a) << 3))
	const second = load<f64>(treeHeads + ((<usize>b) << 3))
	return first < second || (first === second && isTieBefore(a, b))
}

/** The heads are equal: whole keys decide, then sequence numbers. */
function isTieBefore(a: i32, b: i32): bool {
	const first = slotOf(a)
	const second = slotOf(b)
	const i = load<i32>(first, SLOT_AT)
	const j = load<i32>(second, SLOT_AT)
	if (i === load<i32>(first, SLOT_END) || j === load<i32>(second, SLOT_END)) return false
	const order = compareKeys(first, i, second, j)
	if (order !== 0) return order < 0
	const seq = load<f64>(load<usize>(first, SLOT_SEQS) + ((<usize>i) << 3))
	const other = load<f64>(load<usize>(second, SLOT_SEQS) + ((<usize>j) << 3))
	if (seq === other) {
		isBroken = true
		store<i32>(STATE_START, a, BROKEN_FIRST)
		store<i32>(STATE_START, b, BROKEN_SECOND)
	}
	return seq > other
}
