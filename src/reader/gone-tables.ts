/**
 * Keeps caches free of tables that are live no more, because they were merged away or dropped: nobody will ask for them again, and what is
 * in memory of them, their slots, tables as stored, blocks, would stay until something else needs the room.
 *
 * Steps: each new state is compared with the one before; what is gone is forgotten, at once or, while something open still reads an
 * older state, when that has let go.
 *
 * Invariant: `waiting` has a bound, beyond which the oldest are forgotten all the same: that costs a GET and nothing else.
 */
import type { TableSource } from '../cache/table-source.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import type { Manifest, TableRef } from '../manifest/manifest.ts'
import { type TablesChanged, tablesChanged } from '../manifest/tables-changed.ts'
import type { TableWarmer } from './table-warmer.ts'

/** A merge of a thousand tiny tables, and some. */
const WAITING_MAX_TABLES = 4096

interface GoneTable {
	readonly table: TableRef
	/** States from this one on do not have it. */
	readonly goneAt: LogPosition
}

export class GoneTables {
	readonly #source: TableSource
	readonly #warmer: TableWarmer | undefined
	/** Came with commits that are not in `#seen`. */
	readonly #fresh = new Map<string, TableRef>()
	#waiting: GoneTable[] = []
	#seen: Manifest | undefined

	/** `warmer` is given what is new. */
	constructor(source: TableSource, warmer?: TableWarmer) {
		this.#source = source
		this.#warmer = warmer
	}

	/** Tables that are gone and still read. */
	get waiting(): number {
		return this.#waiting.length
	}

	/** Makes the tables that came in a commit readable without a GET; `follow` is told the state with it, or one behind that. */
	offer({ commit, inlineTables }: LoadedCommit): void {
		for (const table of commit.tables) {
			const bytes = inlineTables.get(table.id)
			// What is there when the database is opened is not new; what rides in records of the log is too small to be worth a file.
			if (this.#seen !== undefined && table.offset === 0) this.#warmer?.add([table])
			if (bytes === undefined) continue
			this.#source.offerTable(table, bytes)
			this.#fresh.set(table.id, table)
		}
	}

	/** `manifest` is the newest state; `held` gives those that something open reads. Answers what has changed, nothing the first time. */
	follow(manifest: Manifest, held: () => Iterable<Manifest>): TablesChanged | undefined {
		const before = this.#seen
		this.#seen = manifest
		// One that was committed and merged away between two looks was never part of a state.
		for (const table of this.#fresh.values()) if (!isInL0(manifest, table)) this.#source.forget(table)
		this.#fresh.clear()
		const isSame =
			before === undefined || comparePositions(before.maintenancePosition, manifest.maintenancePosition) === 0
		if (isSame) return undefined
		const changed = tablesChanged(before, manifest)
		this.#warmer?.add(changed.come.filter(({ id }) => id.startsWith('m')))
		for (const table of changed.gone) this.#waiting.push({ table, goneAt: manifest.maintenancePosition })
		this.release(held)
		return changed
	}

	/** Something that was open may be open no more. */
	release(held: () => Iterable<Manifest>): void {
		if (this.#waiting.length === 0) return
		let oldest: LogPosition | undefined
		for (const { maintenancePosition } of held()) {
			if (oldest === undefined || comparePositions(maintenancePosition, oldest) < 0) oldest = maintenancePosition
		}
		const overflow = this.#waiting.length - WAITING_MAX_TABLES
		this.#waiting = this.#waiting.filter(({ table, goneAt }, i) => {
			if (i >= overflow && oldest !== undefined && comparePositions(goneAt, oldest) > 0) return true
			this.#source.forget(table)
			return false
		})
	}
}

/** By binary search: L0 ascends in sequence numbers. */
function isInL0({ l0 }: Manifest, { id, meta }: TableRef): boolean {
	let [low, high] = [0, l0.length]
	while (low < high) {
		const middle = (low + high) >>> 1
		if ((l0[middle] as TableRef).meta.minSeq < meta.minSeq) low = middle + 1
		else high = middle
	}
	return l0[low]?.id === id
}
