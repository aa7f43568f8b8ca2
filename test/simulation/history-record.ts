/** What was seen to happen in a history, by the clients that did it. Judged at the end: see `judge.ts`. */

import type { IsleErrorCode } from '../../src/errors.ts'
import type { LogPosition } from '../../src/log/log-position.ts'

export interface Mutation {
	readonly id: number
	readonly key: string
	/** Undefined: the key was deleted. */
	readonly value: string | undefined
	/** Whether the value lies in a pack: only then it is read piece by piece. */
	readonly isApart: boolean
	/** By the writer's clock; 0: never. */
	readonly expiresAtMs: number
	/** By the writer's clock. */
	readonly writtenAtMs: number
	readonly seq: number
	/** Mutations of one batch have one number. */
	readonly batch: number
	readonly calledAt: number
	/** When it was known to be durable; infinity: never. */
	durableAt: number
	/** The same as true time. */
	durableMs: number
}

/** A database from its opening to its end. */
export interface WriterLife {
	readonly process: string
	readonly epoch: number
	/** The last sequence number that it found when it opened. */
	readonly baseSeq: number
	/** In order: the first has the number `baseSeq` + 1. */
	readonly mutations: Mutation[]
	/** Whether the last one is of a stream on its way, of which nobody knows when it is accepted. */
	isLastUnsure: boolean
}

/** Which state of the past was asked for: at a position, at the change of a cursor, or all that was committed by a time. */
export type PastState =
	| { readonly kind: 'position'; readonly position: LogPosition }
	| { readonly kind: 'seq'; readonly seq: number }
	/** A writer answers from what it knows: it may have been fenced without knowing it. */
	| { readonly kind: 'time'; readonly timeMs: number; readonly writerEpoch: number | undefined }

/** A stream of the value ended because the value is gone. */
export const GONE: unique symbol = Symbol('the value is gone')
export type SeenValue = string | undefined | typeof GONE

export interface Reading {
	readonly what: string
	/** Undefined: read in a process that only reads. */
	readonly life: WriterLife | undefined
	readonly readerName: string
	/** Of the keys that were asked for. */
	readonly values: ReadonlyMap<string, SeenValue>
	/** Everything that was durable when it was called is seen. */
	readonly isStrong: boolean
	/** What was durable before this time is seen. */
	readonly durableBeforeMs?: number | undefined
	/** What stands below this position is seen. */
	readonly atLeast?: LogPosition | undefined
	/** Of the mutations so many at least are seen. */
	readonly leastSeq?: number | undefined
	/** The one state that may be seen. */
	readonly past?: PastState | undefined
	readonly calledAt: number
	readonly returnedAt: number
	/** What the process took for the time, at least and at most. */
	readonly nowMs: readonly [from: number, to: number]
	/** True time at the end. */
	readonly trueMs: number
	/** Mutations that the life had accepted at the call, and at the return. */
	readonly accepted: readonly [from: number, to: number]
	/** Readings of one snapshot: the state is the same. */
	readonly snapshot: number | undefined
}

export interface SeenChange {
	readonly seq: number
	readonly key: string
	readonly value: string | undefined
	readonly expiresAtMs: number
	/** The last row of a state has the cursor of a change: alone it cannot be told from one, when it is the newest mutation. */
	readonly isRow: boolean | 'perhaps'
}

/** What one tail saw from its beginning to where it was left, and from where. */
export interface TailSession {
	/** The sequence number behind which it began; of rows that of their state. Undefined: from the start. */
	readonly after: { readonly seq: number; readonly rowKey: string | undefined } | undefined
	readonly changes: readonly SeenChange[]
	readonly nowMs: readonly [from: number, to: number]
	readonly trueMs: number
}

export interface HistoryRecord {
	readonly lives: WriterLife[]
	readonly readings: Reading[]
	readonly tails: TailSession[]
	/** What was wrong at once. */
	readonly faults: string[]
	/** Of the errors that clients met. */
	readonly errors: Partial<Record<IsleErrorCode, number>>
}
