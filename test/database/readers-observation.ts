/**
 * What the processes of the many-readers test say, line by line: plain data, that a judge can be lied to with.
 *
 * A value is reported as the operation that wrote it, as `ReadersHistory.writerOf` finds it: 0 for no value, -1 for one that
 * nobody ever wrote under that key. Times are milliseconds of the one clock of the machine.
 */

/** Of a row: the key, and which operation wrote its value. */
export type SeenRow = readonly [key: string, writtenBy: number]

export interface SeenRange {
	readonly gte?: string | undefined
	readonly lt?: string | undefined
	readonly reverse?: boolean | undefined
	readonly limit?: number | undefined
}

/** When something was read, and of which states it may have been. */
export interface SeenMoment {
	/** Sequence number of the reader's view before and after. */
	readonly fromSeq: number
	readonly toSeq: number
	readonly fromMs: number
	readonly toMs: number
}

/** What one call gave: of a get or getMany `keys`, of a scan `range`. */
export interface SeenRead extends SeenMoment {
	readonly kind: 'read'
	readonly call: string
	readonly keys?: readonly string[] | undefined
	readonly range?: SeenRange | undefined
	readonly rows: readonly SeenRow[]
	/** The reader had been told that everything up to here is committed, and asked for it. 0: it did not. */
	readonly atLeastSeq: number
	/** How old the state may be; Infinity as undefined. */
	readonly maxStalenessMs?: number | undefined
}

/** One snapshot, all its reads: each read of one call is made several times. */
export interface SeenSnapshot extends SeenMoment {
	readonly kind: 'snapshot'
	readonly lastSeq: number
	readonly calls: readonly {
		readonly keys?: readonly string[] | undefined
		readonly range?: SeenRange | undefined
		/** Rows of each time. */
		readonly times: readonly (readonly SeenRow[])[]
	}[]
}

/** A tail from the start begins, with the rows of a state. */
interface SeenTailRows extends SeenMoment {
	readonly kind: 'tail rows'
	/** The state is that of this number: what cursors say. */
	readonly stateSeq: number
	readonly rows: readonly SeenRow[]
}

export type SeenChange = readonly [
	seq: number,
	key: string,
	kind: 'put' | 'delete',
	writtenBy: number,
	expiresAtMs: number,
]

/** What followed, in the order of the tail, over all its resumptions. */
interface SeenChanges {
	readonly kind: 'changes'
	readonly changes: readonly SeenChange[]
}

/** Something that may happen and was typed. */
interface SeenError {
	readonly kind: 'error'
	readonly call: string
	readonly code: string
	readonly message: string
}

export type Observation = SeenRead | SeenSnapshot | SeenTailRows | SeenChanges | SeenError

/** What the writer says: a flush that was acknowledged, and when each entry that expires was written. */
export type WriterNote =
	| { readonly kind: 'flushed'; readonly position: string; readonly seq: number; readonly atMs: number }
	| { readonly kind: 'expiring'; readonly seq: number; readonly fromMs: number; readonly toMs: number }
