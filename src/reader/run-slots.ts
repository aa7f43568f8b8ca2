/**
 * What lookups know of the tables of a run: their slots, and where they end, as numbers. Kept as long as the run is part of some
 * manifest: a plan for a new commit looks at L0 alone.
 *
 * Both are found out as they are asked for, and kept in pages of 256 tables, so that a run that an edit has made anew costs nothing.
 */
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { SortedRun, TableRef } from '../manifest/manifest.ts'
import { compareLargestKey } from '../manifest/packed-table.ts'
import { keyNumber } from './key-number.ts'

const PAGE_BITS = 8
const PAGE_TABLES = 1 << PAGE_BITS
/** A slot takes two kilobytes, whether anything of its table is in memory or not. */
const SWEEP_MIN_SLOTS = 4_096

const known = new WeakMap<TableSource, WeakMap<SortedRun, RunSlots>>()

export class RunSlots {
	readonly #tables: readonly TableRef[]
	readonly #source: TableSource
	readonly #pages: (TableSlot | undefined)[][] = []
	/** Slots that are there, and at how many of them the idle ones are let go. */
	#slotCount = 0
	#sweepAt = SWEEP_MIN_SLOTS
	#ends: RunEnds | undefined

	private constructor(tables: readonly TableRef[], source: TableSource) {
		this.#tables = tables
		this.#source = source
		// Filled, so that V8 keeps it an array however few are ever asked for.
		for (let index = 0; index < tables.length; index += PAGE_TABLES) this.#pages.push([])
	}

	/** Of `run`, in `source`. Made once. */
	static of(run: SortedRun, source: TableSource): RunSlots {
		let runs = known.get(source)
		if (runs === undefined) {
			runs = new WeakMap()
			known.set(source, runs)
		}
		let slots = runs.get(run)
		if (slots === undefined) {
			slots = new RunSlots(run.tables, source)
			runs.set(run, slots)
		}
		return slots
	}

	at(index: number): TableSlot {
		const page = this.#pages[index >>> PAGE_BITS] as (TableSlot | undefined)[]
		return page[index & (PAGE_TABLES - 1)] ?? this.#make(index)
	}

	/** Of keys behind `skip` bytes. */
	endsBehind(skip: number): RunEnds {
		if (this.#ends?.skip !== skip) this.#ends = new RunEnds(this.#tables, skip)
		return this.#ends
	}

	#make(index: number): TableSlot {
		if (this.#slotCount >= this.#sweepAt) this.#letIdleGo()
		const slot = this.#source.slot(this.#tables[index] as TableRef)
		const page = this.#pages[index >>> PAGE_BITS] as (TableSlot | undefined)[]
		for (let at = page.length; at < PAGE_TABLES; at++) page.push(undefined)
		page[index & (PAGE_TABLES - 1)] = slot
		this.#slotCount++
		return slot
	}

	/** Slots of tables of which nothing is in memory any more: the source makes another one when they are asked for again. */
	#letIdleGo(): void {
		let left = 0
		for (const page of this.#pages) {
			for (const [at, slot] of page.entries()) {
				if (slot?.isIdle === true) page[at] = undefined
				else if (slot !== undefined) left++
			}
		}
		this.#slotCount = left
		this.#sweepAt = Math.max(SWEEP_MIN_SLOTS, left * 2)
	}
}

/** `keyNumber`s of the largest keys of tables; NaN where it was not needed yet. */
export class RunEnds {
	readonly skip: number
	readonly #tables: readonly TableRef[]
	/** Of the last table of each page. */
	readonly #pageEnds: Float64Array
	readonly #pages: (Float64Array | undefined)[] = []

	constructor(tables: readonly TableRef[], skip: number) {
		this.skip = skip
		this.#tables = tables
		this.#pageEnds = new Float64Array(Math.ceil(tables.length / PAGE_TABLES)).fill(Number.NaN)
		for (let page = 0; page < this.#pageEnds.length; page++) this.#pages.push(undefined)
	}

	/** The first table that ends at `key`, whose number is `number`, or behind it; their count when none does. */
	firstFrom(key: Uint8Array, number: number): number {
		const count = this.#tables.length
		const pageEnds = this.#pageEnds
		let low = 0
		let high = pageEnds.length
		while (low < high) {
			const middle = (low + high) >>> 1
			const end = pageEnds[middle] as number
			if (end < number || (!(end > number) && this.#isPageBelow(middle, key, number))) low = middle + 1
			else high = middle
		}
		if (low === pageEnds.length) return count
		const start = low << PAGE_BITS
		const ends = this.#page(low)
		low = 0
		// The last one of the page does.
		high = Math.min(count - start, PAGE_TABLES) - 1
		while (low < high) {
			const middle = (low + high) >>> 1
			const end = ends[middle] as number
			if (end < number || (!(end > number) && this.#isBelow(ends, middle, start + middle, key, number)))
				low = middle + 1
			else high = middle
		}
		return start + low
	}

	/** Of the last table of a page. */
	#isPageBelow(page: number, key: Uint8Array, number: number): boolean {
		const last = Math.min(this.#tables.length, (page + 1) << PAGE_BITS) - 1
		return this.#isBelow(this.#pageEnds, page, last, key, number)
	}

	/** Whether table `index` ends before `key`, where its number, `numbers[at]`, is not known yet or the same: then keys are compared. */
	#isBelow(numbers: Float64Array, at: number, index: number, key: Uint8Array, number: number): boolean {
		let end = numbers[at] as number
		if (Number.isNaN(end)) {
			end = keyNumber((this.#tables[index] as TableRef).meta.largestKey, this.skip)
			numbers[at] = end
		}
		return end < number || (end === number && compareLargestKey(this.#tables[index] as TableRef, key) < 0)
	}

	#page(page: number): Float64Array {
		let ends = this.#pages[page]
		if (ends === undefined) {
			ends = new Float64Array(PAGE_TABLES).fill(Number.NaN)
			this.#pages[page] = ends
		}
		return ends
	}
}
