/** What maintenance has done, in numbers that only grow. */

export interface WorkTotals {
	/** Merges, moves, drops and rewrites that were finished. */
	readonly works: number
	readonly failures: number
	readonly bytesRead: number
	readonly bytesWritten: number
	/** Tables that went without a rewrite. */
	readonly tablesDropped: number
	readonly checkpoints: number
	readonly objectsDeleted: number
	readonly bytesDeleted: number
}

export const NO_TOTALS: WorkTotals = {
	works: 0,
	failures: 0,
	bytesRead: 0,
	bytesWritten: 0,
	tablesDropped: 0,
	checkpoints: 0,
	objectsDeleted: 0,
	bytesDeleted: 0,
}

export function addTotals(a: WorkTotals, b: Partial<WorkTotals>): WorkTotals {
	return combine(a, b, 1)
}

export function subtractTotals(a: WorkTotals, b: WorkTotals): WorkTotals {
	return combine(a, b, -1)
}

function combine(a: WorkTotals, b: Partial<WorkTotals>, sign: 1 | -1): WorkTotals {
	return {
		works: a.works + sign * (b.works ?? 0),
		failures: a.failures + sign * (b.failures ?? 0),
		bytesRead: a.bytesRead + sign * (b.bytesRead ?? 0),
		bytesWritten: a.bytesWritten + sign * (b.bytesWritten ?? 0),
		tablesDropped: a.tablesDropped + sign * (b.tablesDropped ?? 0),
		checkpoints: a.checkpoints + sign * (b.checkpoints ?? 0),
		objectsDeleted: a.objectsDeleted + sign * (b.objectsDeleted ?? 0),
		bytesDeleted: a.bytesDeleted + sign * (b.bytesDeleted ?? 0),
	}
}
