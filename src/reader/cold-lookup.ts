/**
 * Point lookups that have to fetch: any number of keys at once.
 *
 * Steps: each round walks all keys over everything that is in memory, notes all that is missing, and fetches it in
 * parallel. Round one fetches the ends of tables, round two blocks: two GETs in sequence, however many tables and keys.
 * Only a read of an old version whose newer versions fill the rest of a block takes another round.
 *
 * Invariant: what a round fetched is held until the lookup ends, so that a small cache costs no second fetch.
 */
import { hashKey } from '../bytes/hash.ts'
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import { invariant } from '../errors.ts'
import type { Block } from '../sst/block.ts'
import type { SstTable } from '../sst/sst-table.ts'
import {
	findInBlock,
	type Hit,
	LOOKUP_ABSENT,
	LOOKUP_COLD,
	LOOKUP_FOUND,
	type LookupStatus,
	lookupMemtables,
	NEXT_BLOCK,
} from './lookup.ts'
import type { ReadView } from './read-view.ts'
import { numberInPlan, type SearchPlan, slotForKey } from './search-plan.ts'

/** Blocks that are no further apart than this are read by one GET: about what a request costs in time to transfer. */
const COALESCE_GAP_BYTES = 16_384
/** One GET of coalesced blocks is at the most this long. */
const COALESCE_MAX_BYTES = 1_048_576
/**
 * Of tables up to this size, those of small commits, the blocks come along: few bytes more beside a request less. Most tables of a large L0 do
 * not have the key, as their filters say, so that larger ones would be read for nothing.
 */
const WHOLE_TABLE_MAX_BYTES = 16_384
/** Far more rounds than the versions of one key fill blocks; a bound, so that a bug is not an endless loop. */
const MAX_ROUNDS = 1_000_000

/** One key of a cold lookup. */
export interface ColdKey {
	/** Must not change until the lookup ends. */
	readonly key: Uint8Array
	/** Filled in when `status` is `LOOKUP_FOUND`. */
	readonly hit: Hit
	status: LookupStatus
}

/** What the lookup holds of one table. */
interface Held {
	table: SstTable | undefined
	readonly blocks: Map<number, Block>
}

/** Answers all `keys`: fetches what is missing, in as few rounds as there are. Rejects with the signal's reason on abort. */
export async function lookupCold(
	source: TableSource,
	plan: SearchPlan,
	view: ReadView,
	keys: readonly ColdKey[],
	signal: AbortSignal | undefined,
): Promise<void> {
	const lookup = new ColdLookup(source, plan, view, signal)
	for (let round = 0; round < MAX_ROUNDS; round++) {
		signal?.throwIfAborted()
		for (const cold of keys) if (cold.status === LOOKUP_COLD) lookup.walk(cold)
		if (!lookup.isMissingAnything) return
		await lookup.fetch()
	}
	invariant(false, 'a cold lookup comes to an end')
}

class ColdLookup {
	readonly #source: TableSource
	readonly #plan: SearchPlan
	readonly #view: ReadView
	readonly #signal: AbortSignal | undefined
	readonly #held = new Map<TableSlot, Held>()
	readonly #missingTables = new Set<TableSlot>()
	readonly #missingBlocks = new Map<TableSlot, Set<number>>()

	constructor(source: TableSource, plan: SearchPlan, view: ReadView, signal: AbortSignal | undefined) {
		this.#source = source
		this.#plan = plan
		this.#view = view
		this.#signal = signal
	}

	get isMissingAnything(): boolean {
		return this.#missingTables.size > 0 || this.#missingBlocks.size > 0
	}

	/** Looks `cold.key` up in all that is in memory; settles its status, or notes everything that it still needs. */
	walk(cold: ColdKey): void {
		const { key, hit } = cold
		if (lookupMemtables(this.#view, key, hit)) {
			cold.status = LOOKUP_FOUND
			return
		}
		const plan = this.#plan
		const number = numberInPlan(plan, key)
		let foundSeq = -1
		let isComplete = true
		const hash = hashKey(key, 0, key.length)
		for (let level = 0; number >= 0 && level < plan.count; level++) {
			if (foundSeq >= (plan.maxSeqs[level] as number)) break
			const slot = slotForKey(plan, level, key, number)
			if (slot === undefined) continue
			const held = this.#hold(slot)
			if (held.table === undefined) {
				this.#missingTables.add(slot)
				isComplete = false
				continue
			}
			if (!held.table.mayContain(hash)) continue
			const seq = this.#walkTable(slot, held.table, held.blocks, key, hash, foundSeq, hit)
			if (seq === undefined) isComplete = false
			else foundSeq = Math.max(foundSeq, seq)
		}
		if (isComplete) cold.status = foundSeq < 0 ? LOOKUP_ABSENT : LOOKUP_FOUND
	}

	/** The sequence number of what was found (and written to `hit`) above `foundSeq`, −1 for nothing, undefined for a missing block. */
	#walkTable(
		slot: TableSlot,
		table: SstTable,
		blocks: Map<number, Block>,
		key: Uint8Array,
		hash: number,
		foundSeq: number,
		hit: Hit,
	): number | undefined {
		let index = table.findBlock(key)
		if (index < 0) return -1
		for (;;) {
			let block = blocks.get(index)
			if (block === undefined) {
				block = this.#source.cachedBlock(slot, table, index)
				if (block === undefined) {
					this.#miss(slot, index)
					return undefined
				}
				blocks.set(index, block)
			}
			const found = findInBlock(block, key, hash, this.#view.maxSeq)
			if (found === NEXT_BLOCK && table.mayContinue(index, key)) {
				index++
				continue
			}
			if (found < 0) return -1
			const seq = block.seqAt(found)
			if (seq > foundSeq) hit.setFromBlock(block, found)
			return seq
		}
	}

	/** Fetches everything that is missing, in parallel. */
	async fetch(): Promise<void> {
		const work: Promise<void>[] = []
		for (const slot of this.#missingTables) work.push(this.#fetchTable(slot))
		for (const [slot, indexes] of this.#missingBlocks) {
			const held = this.#hold(slot)
			invariant(held.table !== undefined, 'blocks are missed of open tables only')
			for (const [first, count] of coalesce(held.table, indexes)) {
				work.push(this.#fetchBlocks(slot, held.table, held.blocks, first, count))
			}
		}
		this.#missingTables.clear()
		this.#missingBlocks.clear()
		await (work.length === 1 ? work[0] : Promise.all(work))
	}

	async #fetchTable(slot: TableSlot): Promise<void> {
		const table = await this.#source.openTable(slot, this.#signal, WHOLE_TABLE_MAX_BYTES)
		const held = this.#held.get(slot)
		if (held !== undefined) held.table = table
	}

	async #fetchBlocks(
		slot: TableSlot,
		table: SstTable,
		blocks: Map<number, Block>,
		first: number,
		count: number,
	): Promise<void> {
		const fetched = await this.#source.readBlocks(slot, table, first, count, this.#signal)
		for (const [i, block] of fetched.entries()) blocks.set(first + i, block)
	}

	#miss(slot: TableSlot, index: number): void {
		const indexes = this.#missingBlocks.get(slot)
		if (indexes === undefined) this.#missingBlocks.set(slot, new Set([index]))
		else indexes.add(index)
	}

	#hold(slot: TableSlot): Held {
		let held = this.#held.get(slot)
		if (held === undefined) {
			held = { table: undefined, blocks: new Map() }
			this.#held.set(slot, held)
		}
		held.table ??= this.#source.cachedTable(slot)
		return held
	}
}

/** Groups blocks into reads of neighbours, as [first, count]. A small gap is read along. */
function coalesce(table: SstTable, indexes: Iterable<number>): [first: number, count: number][] {
	const sorted = [...indexes].sort((a, b) => a - b)
	const reads: [first: number, count: number][] = []
	let first = -1
	let last = -1
	for (const index of sorted) {
		if (first >= 0) {
			const lastRange = table.blockRange(last)
			const range = table.blockRange(index)
			const gap = range.offset - lastRange.offset - lastRange.bytes
			const total = range.offset + range.bytes - table.blockRange(first).offset
			if (gap <= COALESCE_GAP_BYTES && total <= COALESCE_MAX_BYTES) {
				last = index
				continue
			}
			reads.push([first, last - first + 1])
		}
		first = index
		last = index
	}
	if (first >= 0) reads.push([first, last - first + 1])
	return reads
}
