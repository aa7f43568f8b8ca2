/**
 * One sorted input of a scan, page by page, in the direction of the scan.
 *
 * A source is in one of three states. With a `page`, it stands at entry `index` of it. Without one it either is `isDone`,
 * or has a `head`: a key that nothing it still holds lies before (in the direction of the scan), so that a merge need not
 * open what it has not reached yet.
 */
import type { Block } from '../sst/block.ts'
import { keyNumber } from './key-number.ts'
import type { KeyRange } from './key-range.ts'
import { ScanPage } from './scan-page.ts'

/** What the sources of one scan share. */
export interface ScanBounds {
	/** Inclusive; undefined is the beginning. */
	readonly lower: Uint8Array | undefined
	/** Exclusive; undefined is the end. */
	readonly upper: Uint8Array | undefined
	readonly reverse: boolean
	/** Bytes that all keys of the scan share at the front. */
	readonly skip: number
}

export function boundsOf(range: KeyRange, skip: number): ScanBounds {
	return { lower: range.lower, upper: range.upper, reverse: range.reverse, skip }
}

export abstract class ScanSource {
	readonly bounds: ScanBounds
	page: ScanPage | undefined
	/** The current entry of `page`. */
	index = 0
	/** Where `page` ends, in the direction of the scan: one past its last entry that is within the bounds. */
	end = 0
	/** Number of the current key, or of `head`. */
	number = 0
	/** While there is no page: nothing that follows lies before this key. Undefined: it must be filled to know. */
	head: Uint8Array | undefined
	isDone = false
	/** A block was entered: those that follow lie behind the bound where the scan begins. */
	#hasBegun = false
	/** Entries above the view's sequence number may be among these. */
	abstract readonly maxSeq: number

	constructor(bounds: ScanBounds) {
		this.bounds = bounds
	}

	/**
	 * Takes the next page, when there is none. Undefined: done at once (there is a page, a new head, or the end). A promise:
	 * something has to be fetched; call again when it has resolved. It rejects with what went wrong.
	 */
	abstract fill(): Promise<void> | undefined

	/**
	 * While something is fetched: a key that nothing of it lies behind, in the direction of the scan. Sources that begin
	 * before it will be asked soon. Undefined when that is not known.
	 */
	get horizon(): Uint8Array | undefined {
		return undefined
	}

	/** Starts what `fill` will need, without waiting. */
	abstract prepare(): void

	/** Enters a block; returns false when none of its entries that lie ahead is within the bounds. */
	protected enter(block: Block): boolean {
		const { lower, upper, reverse, skip } = this.bounds
		const { count } = block
		const isBehindLower = lower === undefined || (reverse ? block.compareKeyAt(0, lower) >= 0 : this.#hasBegun)
		const isBeforeUpper = upper === undefined || (reverse ? this.#hasBegun : block.compareKeyAt(count - 1, upper) < 0)
		const first = isBehindLower ? 0 : block.seek(lower)
		const end = isBeforeUpper ? count : block.seek(upper)
		if (first >= end) return false
		this.#hasBegun = true
		this.page = new ScanPage(block, skip, reverse ? -1 : 1)
		this.index = reverse ? end - 1 : first
		this.end = reverse ? first - 1 : end
		this.head = undefined
		this.number = this.page.numberAt(this.index)
		return true
	}

	protected waitAt(head: Uint8Array): void {
		this.page = undefined
		this.head = head
		this.number = keyNumber(head, this.bounds.skip)
	}

	protected finish(): void {
		this.page = undefined
		this.head = undefined
		this.isDone = true
	}
}
