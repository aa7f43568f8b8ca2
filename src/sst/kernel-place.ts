/** Memory of the merge kernel: how it is given out, and the place where the kernel sees the block of one source. */
import { invariant } from '../errors.ts'
import { Block } from './block.ts'
import * as at from './kernel-layout.ts'
import type { MergePlace } from './merge-cursor.ts'

/** An entry takes two ends of two bytes at least. */
const ENTRY_MIN_BYTES = 4

/** Gives out places one after another, each at a multiple of 16. */
export class Places {
	next: number

	constructor(start: number) {
		this.next = start
	}

	take(bytes: number): number {
		const place = this.next
		this.next = (place + bytes + at.SLACK_BYTES + 15) & ~15
		return place
	}
}

const entriesMax = (rawMaxBytes: number): number => Math.floor(rawMaxBytes / ENTRY_MIN_BYTES)

/** What the place of a source takes whose blocks have so many raw bytes at most. */
export function slotBytesOf(rawMaxBytes: number): number {
	return rawMaxBytes + 24 * entriesMax(rawMaxBytes) + 4 + 4 * (at.SLACK_BYTES + 15)
}

/** Where the kernel sees the block of one source. */
export class KernelPlace implements MergePlace {
	readonly seqs: Float64Array
	readonly #ints: Int32Array
	readonly #slot: number
	readonly #rawAt: number
	readonly #open: () => number

	constructor(ints: Int32Array, slotAt: number, places: Places, rawMaxBytes: number, open: () => number) {
		const entries = entriesMax(rawMaxBytes)
		const buffer = ints.buffer
		const positionsAt = places.take(4 * (2 * entries + 1))
		const seqsAt = places.take(8 * entries)
		this.#ints = ints
		this.#slot = slotAt / 4
		this.#open = open
		this.seqs = new Float64Array(buffer, seqsAt, entries)
		this.#set(at.SLOT_POSITIONS, positionsAt)
		this.#set(at.SLOT_SEQS, seqsAt)
		this.#set(at.SLOT_HEADS, places.take(8 * entries))
		this.#rawAt = places.take(rawMaxBytes)
		this.#set(at.SLOT_BLOCK, this.#rawAt)
	}

	room(rawBytes: number): Uint8Array {
		return new Uint8Array(this.#ints.buffer, this.#rawAt, rawBytes)
	}

	open(raw: Uint8Array, where: string): Block {
		let bytes = raw
		if (raw.buffer !== this.#ints.buffer || raw.byteOffset !== this.#rawAt) {
			bytes = this.room(raw.length)
			bytes.set(raw)
		}
		this.#set(at.SLOT_LENGTH, bytes.length)
		const found = this.#open()
		if (found !== 0) return new Block(bytes, where, found === 2)
		const block = new Block(bytes, where)
		invariant(false, `a block of ${block.count} entries that only the kernel takes for damaged`)
	}

	/** The same in memory of its own: that of `raw`, which the block takes over. */
	openElsewhere(raw: Uint8Array, where: string): Block {
		this.room(raw.length).set(raw)
		this.#set(at.SLOT_LENGTH, raw.length)
		const found = this.#open()
		return found === 0 ? new Block(raw, where) : new Block(raw, where, found === 2)
	}

	enter(start: number, end: number): void {
		this.#set(at.SLOT_AT, start)
		this.#set(at.SLOT_END, end)
		this.setPassable(false)
	}

	/** Whether the kernel may stop for the whole block. */
	setPassable(isPassable: boolean): void {
		this.#set(at.SLOT_PASSABLE, isPassable ? 1 : 0)
	}

	#set(field: number, value: number): void {
		this.#ints[this.#slot + field / 4] = value
	}
}
