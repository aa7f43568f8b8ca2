/**
 * A position in a log: everything in earlier epochs, and every slot of `epoch` below `slot`, lies before it.
 * It is also the next slot to read or to write. The beginning of a log is (0, 0).
 */
export interface LogPosition {
	readonly epoch: number
	readonly slot: number
}

export const LOG_START: LogPosition = { epoch: 0, slot: 0 }

/** Negative, zero or positive as `a` lies before, at or after `b`. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
	return a.epoch === b.epoch ? a.slot - b.slot : a.epoch - b.epoch
}
