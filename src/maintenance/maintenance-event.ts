/**
 * What maintenance tells whoever listens: one message a happening, on a `node:diagnostics_channel` of its name, always on
 * the thread that opened the database or compactor. Plain data. Publishing costs nothing while nobody subscribes.
 */
import { channel } from 'node:diagnostics_channel'
import type { WorkKind } from './maintainer-parts.ts'

export type MaintainerState = 'resting' | 'waiting' | 'standby' | 'active' | 'fenced' | 'failed' | 'closed'

/** An error as plain data; `code` is undefined for what is no `IsleError`. */
export interface ReportedError {
	readonly code: string | undefined
	readonly message: string
}

/** Channel `isledb:maintenance`: who maintains, and what goes wrong with it. */
export type StateEvent =
	| {
			readonly channel: 'isledb:maintenance'
			readonly kind: 'state'
			readonly from: MaintainerState
			readonly to: MaintainerState
			readonly why: string
			/** Of the maintenance log, when it owns one. */
			readonly epoch: number | undefined
	  }
	/** Something failed and is tried again after `retryInMs`. */
	| {
			readonly channel: 'isledb:maintenance'
			readonly kind: 'trouble'
			readonly error: ReportedError
			readonly retryInMs: number
	  }
	/** It ended without having been asked to (its thread died, or it failed); another one starts after `restartInMs`. */
	| {
			readonly channel: 'isledb:maintenance'
			readonly kind: 'ended'
			readonly error: ReportedError
			readonly restartInMs: number
	  }

/** Channel `isledb:compaction`, and `isledb:retention` for tables that are dropped. */
export interface WorkEvent {
	readonly channel: 'isledb:compaction' | 'isledb:retention'
	readonly kind: 'started' | 'progress' | 'finished' | 'failed' | 'stopped'
	/** Counts up from 1 within a maintainer. */
	readonly id: number
	readonly work: WorkKind
	/** Why the policy chose it. */
	readonly why: string
	readonly tables: number
	readonly bytesTotal: number
	/** Bytes of inputs that are done. */
	readonly bytesDone: number
	readonly bytesWritten: number
	readonly durationMs: number
	readonly error: ReportedError | undefined
}

/** Channel `isledb:collection`: housekeeping that did something. */
export interface CollectionEvent {
	readonly channel: 'isledb:collection'
	readonly kind: 'tended'
	readonly checkpoints: number
	readonly objectsDeleted: number
	readonly bytesDeleted: number
}

/**
 * Channel `isledb:quarantine`: a table or a blob pack that cannot be read is set aside, and everything else goes on; a pin that
 * cannot be read keeps everything that was removed. `released`: it was read again, or (a pin) is gone.
 */
export type QuarantineEvent = { readonly channel: 'isledb:quarantine' } & QuarantineNews

export type QuarantineNews = {
	/** Undefined for a pack and a pin. */
	readonly table: string | undefined
	/** Of the object that holds it. */
	readonly key: string
} & ({ readonly kind: 'quarantined'; readonly error: ReportedError } | { readonly kind: 'released' })

export type MaintenanceEvent = StateEvent | WorkEvent | CollectionEvent | QuarantineEvent

/** Tells the subscribers of the event's channel. `store` names the database. */
export function publishEvent(event: MaintenanceEvent, store: string): void {
	const to = channel(event.channel)
	if (to.hasSubscribers) to.publish({ ...event, store })
}

export function reportedError(error: unknown): ReportedError {
	if (!(error instanceof Error)) return { code: undefined, message: String(error) }
	const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
	return { code, message: error.message }
}
