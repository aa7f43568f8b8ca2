/**
 * Merges sorted sources into rows: for each key the newest entry that the view may see, unless it is a tombstone or has
 * expired. Forwards and backwards alike.
 *
 * Steps: a binary heap holds the sources by the key that each stands at (or the key that it will not begin before).
 * The top gives its entry and moves on. It works without a promise as long as pages are in memory; where one is missing,
 * `run` answers with a promise to wait for. One source alone bypasses the heap, and so does one that keeps winning, up to
 * the key of the second.
 *
 * Invariants: nothing is given while a source whose next key is unknown has no page; the versions of a key come newest
 * first forwards and oldest first backwards, whatever their sources; a source's error is thrown and never an end.
 */

import { compareBytes } from '../bytes/compare.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { type EntryKind, isExpired, KIND_TOMBSTONE } from '../sst/entry.ts'
import { successor } from './key-range.ts'
import { isSameKey, type ScanPage } from './scan-page.ts'
import { ScanPreparation } from './scan-preparation.ts'
import type { ScanSource } from './scan-source.ts'

/** A source that wins this often in a row is let run to the key of the second. */
const GALLOP_AFTER_WINS = 7

/** Takes the rows of a batch. */
export interface RowSink {
	/** Rows so far. */
	readonly count: number
	/** No more rows fit into this batch. */
	readonly isFull: boolean
	add(page: ScanPage, index: number, kind: EntryKind): void
	/** Takes up to `count` entries of a plain page at once, each `step` further; answers how many: 0 when they are to come one by one. */
	addRun?(page: ScanPage, first: number, step: 1 | -1, count: number): number
}

export interface MergeOptions {
	readonly reverse: boolean
	readonly maxSeq: number
	/** Entries that expired by then are hidden. */
	readonly nowMs: number
	/** Rows that are still wanted. */
	readonly remaining: () => number
}

export class ScanMerge {
	readonly #reverse: boolean
	readonly #maxSeq: number
	readonly #nowMs: number
	readonly #preparation: ScanPreparation
	readonly #heap: ScanSource[] = []
	/** Sources whose next key is unknown until they are filled. */
	#blocked: ScanSource[] = []
	/** Forwards: the entry whose key was decided last. Backwards: the best entry of the key at hand, not given yet. */
	#lastPage: ScanPage | undefined
	#lastIndex = 0
	#wins = 0

	constructor(sources: readonly ScanSource[], options: MergeOptions) {
		this.#reverse = options.reverse
		this.#maxSeq = options.maxSeq
		this.#nowMs = options.nowMs
		this.#preparation = new ScanPreparation(options)
		for (const source of sources) if (!source.isDone) this.#push(source)
	}

	/**
	 * Gives rows to `sink` until it is full (`'full'`), all are given (`'done'`), or something must be fetched (a promise,
	 * which never rejects: call again). @throws what a source threw.
	 */
	run(sink: RowSink): 'full' | 'done' | Promise<unknown> {
		while (!sink.isFull) {
			const waiting = this.#blocked.length > 0 ? this.#unblock() : undefined
			if (waiting !== undefined) return waiting
			const top = this.#heap[0]
			if (top === undefined) {
				this.#givePending(sink)
				return 'done'
			}
			if (top.page === undefined) {
				if (this.#isPendingWhole(top)) {
					this.#givePending(sink)
					continue
				}
				const opening = top.fill()
				if (opening !== undefined) {
					this.#preparation.prepareWith(top, this.#heap)
					return opening
				}
				this.#settleTop(top)
			} else if (this.#heap.length === 1) {
				this.#runAlone(top, top.page, top.end, sink)
			} else if (this.#wins >= GALLOP_AFTER_WINS) {
				this.#gallop(top, top.page, sink)
			} else {
				this.#decide(top.page, top.index, top.maxSeq > this.#maxSeq, sink)
				this.#advance(top, top.page)
			}
		}
		return 'full'
	}

	#unblock(): Promise<unknown> | undefined {
		const blocked = this.#blocked
		this.#blocked = []
		const waits: Promise<void>[] = []
		for (const source of blocked) {
			const wait = source.fill()
			if (wait !== undefined) {
				this.#blocked.push(source)
				waits.push(wait)
			} else if (!source.isDone) this.#push(source)
		}
		return waits.length === 0 ? undefined : Promise.all(waits)
	}

	/** Decides about one entry. */
	#decide(page: ScanPage, index: number, mayBeTooNew: boolean, sink: RowSink): void {
		const lastPage = this.#lastPage
		const isSame = lastPage !== undefined && isSameKey(lastPage, this.#lastIndex, page, index)
		if (isSame && !this.#reverse) return
		const isTooNew = mayBeTooNew && page.block.seqAt(index) > this.#maxSeq
		if (this.#reverse) {
			if (!isSame) this.#givePending(sink)
			if (isTooNew) return
			this.#lastPage = page
			this.#lastIndex = index
		} else if (!isTooNew) {
			this.#lastPage = page
			this.#lastIndex = index
			this.#give(page, index, sink)
		}
	}

	#give(page: ScanPage, index: number, sink: RowSink): void {
		const kind = page.block.kindAt(index)
		if (kind === KIND_TOMBSTONE || isExpired(page.block.expiresAtMsAt(index), this.#nowMs)) return
		sink.add(page, index, kind)
	}

	/** Backwards: whether no version follows of the key at hand, because everything that is left lies behind it. */
	#isPendingWhole(top: ScanSource): boolean {
		const page = this.#lastPage
		if (!this.#reverse || page === undefined || top.head === undefined) return false
		return page.block.compareKeyAt(this.#lastIndex, top.head) > 0
	}

	/** Backwards, the newest version of a key is known when the next key begins. */
	#givePending(sink: RowSink): void {
		const page = this.#lastPage
		if (!this.#reverse || page === undefined) return
		this.#lastPage = undefined
		this.#give(page, this.#lastIndex, sink)
	}

	/** Gives the entries of `page` up to `stop`: no other source has keys there. */
	#runAlone(source: ScanSource, page: ScanPage, stop: number, sink: RowSink): void {
		const step = this.#reverse ? -1 : 1
		const mayBeTooNew = source.maxSeq > this.#maxSeq
		let index = source.index
		if (page.isPlain && !mayBeTooNew && !sink.isFull) index = this.#giveRun(page, index, stop, sink)
		for (; index !== stop && !sink.isFull; index += step) this.#decide(page, index, mayBeTooNew, sink)
		source.index = index
		if (index === source.end) this.#leavePage(source)
		else if (this.#heap.length > 1) this.#moveOn(source, page)
	}

	/** Gives entries of a plain page up to `stop` without looking at each, as far as the sink likes. Answers which is the next. */
	#giveRun(page: ScanPage, from: number, stop: number, sink: RowSink): number {
		if (sink.addRun === undefined) return from
		if (!this.#reverse) {
			const lastPage = this.#lastPage
			const isSame = lastPage !== undefined && isSameKey(lastPage, this.#lastIndex, page, from)
			const first = isSame ? from + 1 : from
			const count = sink.addRun(page, first, 1, stop - first)
			if (count === 0) return from
			this.#lastPage = page
			this.#lastIndex = first + count - 1
			return first + count
		}
		// The newest version of the first key may stand in the page before, and of the last one in the next.
		this.#decide(page, from, false, sink)
		const count = sink.isFull ? 0 : sink.addRun(page, from, -1, from - stop - 1)
		this.#lastIndex = from - count
		return from - count - 1
	}

	/** Lets the top run to the key at which the second begins. */
	#gallop(top: ScanSource, page: ScanPage, sink: RowSink): void {
		this.#wins = 0
		const left = this.#heap[1] as ScanSource
		const right = this.#heap[2]
		const second = right !== undefined && this.#isBefore(right, left) ? right : left
		const key = second.page === undefined ? second.head : second.page.block.keyAt(second.index)
		const { block } = page
		let stop = top.index
		if (key !== undefined && this.#reverse) stop = Math.max(top.end, block.seek(successor(key)) - 1)
		else if (key !== undefined) stop = Math.min(top.end, block.seek(key))
		const isAhead = this.#reverse ? stop < top.index : stop > top.index
		if (isAhead) {
			this.#runAlone(top, page, stop, sink)
			return
		}
		this.#decide(page, top.index, top.maxSeq > this.#maxSeq, sink)
		this.#advance(top, page)
	}

	#advance(top: ScanSource, page: ScanPage): void {
		top.index += this.#reverse ? -1 : 1
		if (top.index === top.end) this.#leavePage(top)
		else this.#moveOn(top, page)
	}

	#moveOn(top: ScanSource, page: ScanPage): void {
		top.number = page.numberAt(top.index)
		this.#siftDown(0)
		if (this.#heap[0] === top) this.#wins++
		else this.#wins = 0
	}

	#leavePage(top: ScanSource): void {
		top.page = undefined
		top.head = undefined
		if (top.fill() === undefined) {
			this.#settleTop(top)
			return
		}
		this.#popTop()
		this.#blocked.push(top)
	}

	/** The top has a new page or head, or is done: finds its place. */
	#settleTop(top: ScanSource): void {
		if (top.isDone) this.#popTop()
		else this.#siftDown(0)
		this.#wins = 0
	}

	#popTop(): void {
		const heap = this.#heap
		const last = heap.pop()
		if (last === undefined || heap.length === 0) return
		heap[0] = last
		this.#siftDown(0)
	}

	#push(source: ScanSource): void {
		const heap = this.#heap
		let at = heap.length
		heap.push(source)
		while (at > 0) {
			const parent = (at - 1) >>> 1
			const other = heap[parent] as ScanSource
			if (!this.#isBefore(source, other)) break
			heap[at] = other
			at = parent
		}
		heap[at] = source
	}

	#siftDown(from: number): void {
		const heap = this.#heap
		const count = heap.length
		const source = heap[from] as ScanSource
		let at = from
		for (;;) {
			let child = 2 * at + 1
			if (child >= count) break
			if (child + 1 < count && this.#isBefore(heap[child + 1] as ScanSource, heap[child] as ScanSource)) child++
			const other = heap[child] as ScanSource
			if (!this.#isBefore(other, source)) break
			heap[at] = other
			at = child
		}
		heap[at] = source
	}

	#isBefore(a: ScanSource, b: ScanSource): boolean {
		if (a.number !== b.number) return a.number < b.number !== this.#reverse
		return this.#compareTie(a, b) < 0
	}

	/** Numbers are equal: by keys, then by sequence numbers; a source without a page comes before one that has the same key. */
	#compareTie(a: ScanSource, b: ScanSource): number {
		const order = compareKeys(a, b)
		if (order !== 0) return this.#reverse ? -order : order
		if (a.page === undefined || b.page === undefined) return a.page === undefined ? -1 : 1
		const newer = b.page.block.seqAt(b.index) - a.page.block.seqAt(a.index)
		return this.#reverse ? -newer : newer
	}
}

function compareKeys(a: ScanSource, b: ScanSource): number {
	if (a.page !== undefined) {
		if (b.page !== undefined) return a.page.block.compareKeysAt(a.index, b.page.block, b.index)
		return a.page.block.compareKeyAt(a.index, b.head ?? NO_BYTES)
	}
	if (b.page !== undefined) return -b.page.block.compareKeyAt(b.index, a.head ?? NO_BYTES)
	return compareBytes(a.head ?? NO_BYTES, b.head ?? NO_BYTES)
}
