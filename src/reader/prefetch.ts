/**
 * Warms the caches for a range of keys: the ends of its tables, then its blocks, as many as a budget of bytes allows.
 *
 * Steps: the tables of every level that may hold keys of the range are opened, newest level first; then their blocks within
 * the range are read in stretches of neighbours, in the same order. What is in memory already costs nothing.
 *
 * Invariants: what is asked for adds up to `maxBytes` at the most, because sizes are known before anything is read; at the
 * most `concurrency` requests are under way; the first failure ends it.
 */
import { describe, integerOption, refuseUnknownOptions } from '../arguments.ts'
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import { metaRange, type SstTable } from '../sst/sst-table.ts'
import type { KeyRange } from './key-range.ts'
import type { ReadOptions } from './read-core.ts'
import { firstTableBeyond, firstTableFrom, type SearchPlan, type TableChain } from './search-plan.ts'

export interface PrefetchOptions extends ReadOptions {
	/** Bytes to fetch at the most, as they are stored. Default 64 MiB; 1 to 1 TiB. Caches keep what fits into them. */
	readonly maxBytes?: number | undefined
	/** Requests under way at once. Default 8; 1 to 256. */
	readonly concurrency?: number | undefined
	/** Called after each request. What it throws ends the prefetch. */
	readonly onProgress?: ((progress: PrefetchProgress) => void) | undefined
}

export interface PrefetchProgress {
	/** Tables of the range that were looked at so far, and how many there are. */
	readonly tables: number
	readonly tablesTotal: number
	/** Blocks that were fetched so far. */
	readonly blocks: number
	/** Bytes that were fetched so far, as they are stored. */
	readonly bytes: number
}

export interface PrefetchResult extends PrefetchProgress {
	/** False: the budget was used up before everything was in memory. */
	readonly isComplete: boolean
}

export interface PrefetchSettings {
	readonly maxBytes: number
	readonly concurrency: number
	readonly blocks: boolean
	readonly onProgress: ((progress: PrefetchProgress) => void) | undefined
	readonly signal: AbortSignal | undefined
}

/** What one prefetch has come to, over all views that it needed. */
export interface PrefetchTotals {
	blocks: number
	bytes: number
	/** Of what was asked for, whether or not it has arrived. */
	spentBytes: number
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024
/** 2^40: more is a mistake. */
const MAX_BYTES_MAX = 1_099_511_627_776
const CONCURRENCY_MAX = 256
/** One GET of neighbouring blocks is at the most this long: it takes about as long as a round trip. */
const STRETCH_MAX_BYTES = 1_048_576
const RANGE_NAMES: readonly string[] = ['gt', 'gte', 'lt', 'lte', 'prefix']
const OPTION_NAMES: readonly (keyof PrefetchOptions)[] = ['maxBytes', 'concurrency', 'onProgress', 'signal']

/** @throws TypeError, RangeError naming the option. */
export function prefetchSettings(range: object, options: PrefetchOptions): PrefetchSettings {
	refuseUnknownOptions('range of prefetch', range, RANGE_NAMES)
	refuseUnknownOptions('options of prefetch', options, OPTION_NAMES)
	const { onProgress, signal } = options
	if (onProgress !== undefined && typeof onProgress !== 'function') {
		throw new TypeError(`Expected \`onProgress\` to be a function, got ${describe(onProgress)}`)
	}
	return {
		maxBytes: integerOption('maxBytes', options.maxBytes, DEFAULT_MAX_BYTES, 1, MAX_BYTES_MAX),
		concurrency: integerOption('concurrency', options.concurrency, 8, 1, CONCURRENCY_MAX),
		blocks: true,
		onProgress,
		signal,
	}
}

/** Prefetches `range` of what `plan` searches. `totals` goes on from an earlier attempt. @throws what reading throws. */
export async function prefetch(
	source: TableSource,
	plan: SearchPlan,
	range: Pick<KeyRange, 'lower' | 'upper'>,
	settings: PrefetchSettings,
	totals: PrefetchTotals,
): Promise<PrefetchResult> {
	const work = new Prefetch(source, partsWithin(plan, range), range, settings, totals)
	return await work.run()
}

/** Tables `first` to `end` of a level; `end` is not one of them. */
interface ChainPart {
	readonly chain: TableChain
	readonly first: number
	readonly end: number
}

interface Opened {
	readonly slot: TableSlot
	/** Undefined: it is on its way. */
	readonly table: SstTable | undefined
}

class Prefetch {
	readonly #source: TableSource
	readonly #parts: readonly ChainPart[]
	readonly #range: Pick<KeyRange, 'lower' | 'upper'>
	readonly #settings: PrefetchSettings
	readonly #totals: PrefetchTotals
	readonly #failing = new AbortController()
	readonly #signal: AbortSignal
	/** Newest level first. */
	readonly #opened: Opened[] = []
	#looked = 0
	#isComplete = true

	constructor(
		source: TableSource,
		parts: readonly ChainPart[],
		range: Pick<KeyRange, 'lower' | 'upper'>,
		settings: PrefetchSettings,
		totals: PrefetchTotals,
	) {
		this.#source = source
		this.#parts = parts
		this.#range = range
		this.#settings = settings
		this.#totals = totals
		const { signal } = settings
		this.#signal = signal === undefined ? this.#failing.signal : AbortSignal.any([signal, this.#failing.signal])
	}

	async run(): Promise<PrefetchResult> {
		await this.#inParallel(this.#openings())
		if (this.#settings.blocks) await this.#inParallel(this.#stretches())
		return { ...this.#progress(), isComplete: this.#isComplete }
	}

	/** Works off `requests`, which are made one by one as places become free. */
	async #inParallel(requests: Iterator<() => Promise<void>>): Promise<void> {
		const worker = async (): Promise<void> => {
			for (;;) {
				this.#signal.throwIfAborted()
				const next = requests.next()
				if (next.done === true) return
				await next.value()
				this.#settings.onProgress?.(this.#progress())
			}
		}
		const workers = Array.from({ length: this.#settings.concurrency }, async () => {
			try {
				await worker()
			} catch (error) {
				this.#failing.abort(error)
				throw error
			}
		})
		// None is left running when another one fails.
		const ends = await Promise.allSettled(workers)
		this.#settings.signal?.throwIfAborted()
		for (const end of ends) if (end.status === 'rejected') throw this.#failing.signal.reason
	}

	/** Ends with the first table that does not fit: a slot in memory for each of very many would cost more than it saves. */
	*#openings(): Generator<() => Promise<void>, void, void> {
		for (const { chain, first, end } of this.#parts) {
			for (let index = first; index < end; index++) {
				const slot = chain.slotAt(index)
				const at = this.#opened.length
				const opened: Opened = { slot, table: this.#source.cachedTable(slot) }
				const { bytes } = metaRange(slot.ref.meta)
				if (opened.table === undefined && !this.#spend(bytes)) return
				this.#opened.push(opened)
				if (opened.table !== undefined) {
					this.#looked++
					continue
				}
				yield async () => {
					const table = await this.#source.openTable(slot, this.#signal)
					this.#opened[at] = { slot, table }
					this.#totals.bytes += bytes
					this.#looked++
				}
			}
		}
	}

	*#stretches(): Generator<() => Promise<void>, void, void> {
		const { lower = null, upper = null } = this.#range
		for (const { slot, table } of this.#opened) {
			if (table === undefined) continue
			const { first, end } = table.blocksBetween(lower, upper)
			for (let index = first; index < end; ) {
				if (this.#source.hasBlock(slot, index)) {
					index++
					continue
				}
				const { count, bytes } = this.#stretchAt(slot, table, index, end)
				if (count === 0) {
					// A smaller block elsewhere may still fit.
					this.#isComplete = false
					break
				}
				this.#spend(bytes)
				const from = index
				yield async () => {
					await this.#source.readBlocks(slot, table, from, count, this.#signal)
					this.#totals.bytes += bytes
					this.#totals.blocks += count
				}
				index += count
			}
		}
	}

	/** Neighbours from `first` on that are not in memory, as many as fit. */
	#stretchAt(slot: TableSlot, table: SstTable, first: number, end: number): { count: number; bytes: number } {
		const left = this.#settings.maxBytes - this.#totals.spentBytes
		let count = 0
		let bytes = 0
		for (let index = first; index < end && !this.#source.hasBlock(slot, index); index++, count++) {
			const more = table.blockRange(index).bytes
			if (bytes + more > left || (count > 0 && bytes + more > STRETCH_MAX_BYTES)) break
			bytes += more
		}
		return { count, bytes }
	}

	#spend(bytes: number): boolean {
		if (this.#totals.spentBytes + bytes > this.#settings.maxBytes) {
			this.#isComplete = false
			return false
		}
		this.#totals.spentBytes += bytes
		return true
	}

	#progress(): PrefetchProgress {
		const { blocks, bytes } = this.#totals
		const tablesTotal = this.#parts.reduce((sum, { first, end }) => sum + end - first, 0)
		return { tables: this.#looked, tablesTotal, blocks, bytes }
	}
}

/** The tables that may hold keys of the range, newest level first. */
function partsWithin(plan: SearchPlan, { lower, upper }: Pick<KeyRange, 'lower' | 'upper'>): ChainPart[] {
	return plan.levels.map(chain => {
		const first = lower === undefined ? 0 : firstTableFrom(chain, lower)
		const end = upper === undefined ? chain.tables.length : firstTableBeyond(chain, upper)
		return { chain, first, end: Math.max(first, end) }
	})
}
