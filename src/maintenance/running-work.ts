/** A work under way: what the session keeps of it, what is shown, and what is told. */
import type { PlannedWork, WorkKind } from './maintainer-parts.ts'
import { reportedError, type WorkEvent } from './maintenance-event.ts'

export interface Running {
	readonly id: number
	readonly work: PlannedWork
	readonly startedMs: number
	bytesDone: number
	/** Resolves when it has ended, in whatever way. */
	ended: Promise<void>
}

/** A work under way, as `stats` shows it. */
export interface RunningWork {
	readonly id: number
	readonly work: WorkKind
	readonly why: string
	readonly tables: number
	readonly bytesTotal: number
	readonly bytesDone: number
	/** By the monotonic clock of its thread. */
	readonly startedMs: number
}

export function shownRunning({ id, work, startedMs, bytesDone }: Running): RunningWork {
	const { kind, why, tables, bytes } = work
	return { id, work: kind, why, tables: tables.length, bytesTotal: bytes, bytesDone, startedMs }
}

export function workEvent(
	{ id, work, bytesDone }: Running,
	what: Pick<WorkEvent, 'kind' | 'bytesWritten' | 'durationMs'> & { readonly error: unknown },
): WorkEvent {
	return {
		channel: work.kind === 'drop' ? 'isledb:retention' : 'isledb:compaction',
		kind: what.kind,
		id,
		work: work.kind,
		why: work.why,
		tables: work.tables.length,
		bytesTotal: work.bytes,
		bytesDone,
		bytesWritten: what.bytesWritten,
		durationMs: what.durationMs,
		error: what.error === undefined ? undefined : reportedError(what.error),
	}
}
