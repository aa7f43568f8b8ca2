/**
 * The sorted view of a memtable, made when a scan asks and extended as entries come.
 *
 * The entries up to some point are covered by at most eight runs. A call that needs more sorts what is missing: up to
 * 512 entries here, more in a worker, which is sent copies. A small last run is sorted again together with few new
 * entries; when there would be a ninth run, everything is sorted into one.
 * Calls are served one after the other, so that two scans never sort the same entries.
 */
import type { SortEntriesInput, SortEntriesOutput } from '../../workers/sort-entries.ts'
import { mapRefs, ownBuffers, viewSegments } from '../sst/entry-arena.ts'
import { sortEntries } from '../sst/entry-sort.ts'
import type { Arena, ArenaMark } from './arena.ts'
import type { ArenaPool } from './arena-pool.ts'
import { SortedEntries } from './sorted-entries.ts'

/** Where sorting goes: what this module needs of a `JobPool`. */
export interface SortPool {
	run(
		name: 'sort-entries',
		make: () => { readonly input: SortEntriesInput; readonly transfer: readonly ArrayBuffer[] },
	): Promise<SortEntriesOutput>
}

/** 512 entries take about 0.1 ms: no more than that is sorted on the main thread. */
export const INLINE_SORT_MAX_ENTRIES = 512
/** What a scan has to merge at most. */
export const MAX_RUNS = 8

interface Run {
	/** Entries before it, and the arena at that point. */
	readonly start: number
	readonly startMark: ArenaMark
	readonly entries: SortedEntries
}

export class SortedRuns {
	readonly #arena: Arena
	readonly #pool: ArenaPool
	readonly #baseSeq: number
	#runs: readonly Run[] = []
	/** Entries that the runs cover, and the arena at that point. */
	#covered = 0
	#coveredMark: ArenaMark = []
	/** The calls before this one; never rejects. */
	#turn: Promise<unknown> = Promise.resolve()

	constructor(arena: Arena, pool: ArenaPool, baseSeq: number) {
		this.#arena = arena
		this.#pool = pool
		this.#baseSeq = baseSeq
	}

	get memoryBytes(): number {
		let bytes = 0
		for (const run of this.#runs) bytes += run.entries.memoryBytes
		return bytes
	}

	/** Runs that cover at least the first `count` entries, which is what the arena holds now. */
	upTo(count: number, pool: SortPool): Promise<readonly SortedEntries[]> {
		const mark = this.#arena.mark()
		const turn = this.#turn.then(async () => {
			if (count > this.#covered) await this.#extend(count, mark, pool)
			return this.#runs.map(run => run.entries)
		})
		this.#turn = turn.catch(() => undefined)
		return turn
	}

	release(): void {
		this.#runs = []
		this.#covered = 0
		this.#coveredMark = []
	}

	async #extend(count: number, mark: ArenaMark, pool: SortPool): Promise<void> {
		let kept = this.#runs
		let start = this.#covered
		let startMark = this.#coveredMark
		const last = kept.at(-1)
		if (kept.length >= MAX_RUNS) {
			kept = []
			start = 0
			startMark = []
		}
		if (last !== undefined && count - last.start <= INLINE_SORT_MAX_ENTRIES) {
			kept = this.#runs.slice(0, -1)
			start = last.start
			startMark = last.startMark
		}
		const refs =
			count - start <= INLINE_SORT_MAX_ENTRIES
				? this.#sortHere(startMark, mark, count - start)
				: await this.#sortAway(startMark, mark, count - start, pool)
		const entries = new SortedEntries(refs, this.#arena.words, this.#arena.bytes, this.#baseSeq)
		this.#runs = [...kept, { start, startMark, entries }]
		this.#covered = count
		this.#coveredMark = mark
	}

	#sortHere(from: ArenaMark, to: ArenaMark, entryCount: number): Uint32Array {
		const segments = this.#arena.segmentsBetween(from, to)
		const refs = sortEntries(segments, viewSegments(segments), entryCount)
		return mapRefs(refs, segments)
	}

	async #sortAway(from: ArenaMark, to: ArenaMark, entryCount: number, pool: SortPool): Promise<Uint32Array> {
		const { refs, buffers } = await pool.run('sort-entries', () => {
			const segments = this.#arena.copySegments(from, to)
			return { input: { segments, entryCount }, transfer: ownBuffers(segments) }
		})
		for (const buffer of buffers) this.#pool.give(buffer)
		return refs
	}
}
