/**
 * The tables of all runs by what edits call them: by id, by the object that they lie in, by the packs that they use. A view of
 * the runs that is made once for a state that was read, in slices, and carried over by each edit.
 *
 * Nearly all tables lie in the object that is named after them, `sst/<id>`: these are found by their id, and only others stand
 * in an index by object. So a table takes a word, and a share of a bucket.
 */
import { HashBuckets, hashText } from './hash-buckets.ts'
import type { SortedRun, TableRef } from './manifest.ts'
import { PackedTable } from './packed-table.ts'

const FOLDER = 'sst/'
const FOLDER_BYTES = new TextEncoder().encode(FOLDER)
const TABLES_PER_STEP = 4_096

interface PackUsers {
	readonly packId: string
	/** Uses by tables; a pack without any is not kept. */
	readonly uses: number
}

interface Indexes {
	readonly byId: HashBuckets<TableRef>
	/** Those that lie in an object of another name. */
	readonly guests: HashBuckets<TableRef>
	readonly packs: HashBuckets<PackUsers>
}

const known = new WeakMap<readonly SortedRun[], TableIndex>()

export class TableIndex {
	readonly #indexes: Indexes

	private constructor(indexes: Indexes) {
		this.#indexes = indexes
	}

	/** Of `runs`, the array and all that is in it. Made once. */
	static of(runs: readonly SortedRun[]): TableIndex {
		const found = known.get(runs)
		if (found !== undefined) return found
		const steps = TableIndex.inSteps(runs)
		for (;;) {
			const step = steps.next()
			if (step.done === true) return step.value
		}
	}

	/** The same, stopping after every 4,096th table: a millisecond. */
	static *inSteps(runs: readonly SortedRun[]): Generator<void, TableIndex, void> {
		const tables = runs.map(run => run.tables)
		const guests: TableRef[] = []
		const uses = new Map<string, number>()
		let at = 0
		for (const run of tables) {
			for (const table of run) {
				if (!isAtHome(table)) guests.push(table)
				countUses(uses, table, 1)
				if (++at % TABLES_PER_STEP === 0) yield
			}
		}
		const packs = Array.from(uses, ([packId, count]): PackUsers => ({ packId, uses: count }))
		const index = new TableIndex({
			byId: yield* HashBuckets.inSteps(tables, idHashOf),
			guests: yield* HashBuckets.inSteps([guests], objectHashOf),
			packs: yield* HashBuckets.inSteps([packs], packHashOf),
		})
		known.set(runs, index)
		return index
	}

	/** The index of `runs`, which are those of this one without `gone` and with `come`. */
	carry(runs: readonly SortedRun[], gone: readonly TableRef[], come: readonly TableRef[]): void {
		const { byId, guests } = this.#indexes
		const isGuest = (table: TableRef): boolean => !isAtHome(table)
		const indexes = {
			byId: byId.with(gone, come),
			guests: guests.with(gone.filter(isGuest), come.filter(isGuest)),
			packs: this.#packsAfter(gone, come),
		}
		known.set(runs, new TableIndex(indexes))
	}

	/** Tables with this id: one at most, in a state that is sound. */
	withId(id: string): readonly TableRef[] {
		return this.#indexes.byId.at(hashText(id)).filter(table => table.id === id)
	}

	/** Whether a table lies in this object. */
	holds(objectKey: string): boolean {
		const isIn = (table: TableRef): boolean => table.objectKey === objectKey
		if (this.#indexes.guests.at(hashText(objectKey)).some(isIn)) return true
		return objectKey.startsWith(FOLDER) && this.withId(objectKey.slice(FOLDER.length)).some(isIn)
	}

	/** Whether a table uses this pack. */
	uses(packId: string): boolean {
		return this.#usersOf(packId) !== undefined
	}

	#usersOf(packId: string): PackUsers | undefined {
		return this.#indexes.packs.at(hashText(packId)).find(users => users.packId === packId)
	}

	#packsAfter(gone: readonly TableRef[], come: readonly TableRef[]): HashBuckets<PackUsers> {
		const changes = new Map<string, number>()
		for (const table of gone) countUses(changes, table, -1)
		for (const table of come) countUses(changes, table, 1)
		const before: PackUsers[] = []
		const after: PackUsers[] = []
		for (const [packId, change] of changes) {
			const users = this.#usersOf(packId)
			const uses = (users?.uses ?? 0) + change
			if (users !== undefined) before.push(users)
			if (uses > 0) after.push({ packId, uses })
		}
		return this.#indexes.packs.with(before, after)
	}
}

function countUses(counts: Map<string, number>, { meta }: TableRef, change: number): void {
	// Quicker to see of a packed table than that its list is empty.
	if (meta.blobRefCount === 0) return
	for (const { packId } of meta.blobUses) counts.set(packId, (counts.get(packId) ?? 0) + change)
}

function isAtHome(table: TableRef): boolean {
	if (table instanceof PackedTable) return table.isInObjectOf(FOLDER_BYTES)
	return table.objectKey === FOLDER + table.id
}

function idHashOf(table: TableRef): number {
	return table instanceof PackedTable ? table.idHash : hashText(table.id)
}

function objectHashOf(table: TableRef): number {
	return hashText(table.objectKey)
}

function packHashOf({ packId }: PackUsers): number {
	return hashText(packId)
}
