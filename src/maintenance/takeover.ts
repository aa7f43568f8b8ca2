/**
 * When a standby becomes the maintainer: pure.
 *
 * There are no heartbeats: an owner that has nothing to do says nothing, and is left alone. It is taken over
 * - at once, when there is work and nobody who would do it: no owner yet, one that left, one that lived with a writer
 *   which has been fenced, or one that was this very maintainer (its thread has died);
 * - when work that it said it does stays undone for `takeoverAfterMs`, by the standby's own clock, with no new record.
 *
 * Work of a kind that the owner does not do is no reason: a maintainer that merges and one that retains, given to two
 * processes, would fence each other out for ever.
 */
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { MaintainerNote, Manifest } from '../manifest/manifest.ts'

/** What a standby remembers between two looks. */
export interface Watch {
	readonly position: LogPosition
	/** Since when work of the owner is seen undone, on the standby's monotonic clock. */
	readonly undoneSinceMs: number | undefined
}

export interface StandbyView {
	readonly manifest: Manifest
	readonly policies: readonly string[]
	/** Of the writer in whose process it runs; 0 when it runs alone. */
	readonly writerEpoch: number
	/** The epoch of the maintenance log that this maintainer owned last; 0: none. */
	readonly lastOwnedEpoch: number
	readonly monotonicMs: number
	readonly takeoverAfterMs: number
	readonly watch: Watch | undefined
	readonly hasWork: () => boolean
	/** By an owner of these policies. */
	readonly isUndone: (policies: readonly string[]) => boolean
}

export type StandbyVerdict =
	| { readonly kind: 'wait-for-database' }
	| { readonly kind: 'claim'; readonly why: string }
	/** `lookAgainInMs`: when this verdict may change although nothing is written. */
	| { readonly kind: 'watch'; readonly watch: Watch; readonly lookAgainInMs: number | undefined }

export function judgeTakeover(view: StandbyView): StandbyVerdict {
	const { manifest, watch, monotonicMs, takeoverAfterMs } = view
	if (comparePositions(manifest.writerPosition, LOG_START) === 0) return { kind: 'wait-for-database' }
	const position = manifest.maintenancePosition
	const vacancy = vacancyOf(view)
	if (vacancy !== undefined) {
		if (view.hasWork()) return { kind: 'claim', why: vacancy }
		return { kind: 'watch', watch: { position, undoneSinceMs: undefined }, lookAgainInMs: undefined }
	}
	const shared = view.policies.filter(policy => manifest.maintainer?.policies.includes(policy))
	if (!view.isUndone(shared)) {
		return { kind: 'watch', watch: { position, undoneSinceMs: undefined }, lookAgainInMs: undefined }
	}
	const isSilent = watch !== undefined && comparePositions(watch.position, position) === 0
	const undoneSinceMs = (isSilent ? watch.undoneSinceMs : undefined) ?? monotonicMs
	const leftMs = undoneSinceMs + takeoverAfterMs - monotonicMs
	if (leftMs <= 0) return { kind: 'claim', why: `the owner left work undone for ${takeoverAfterMs} ms` }
	return { kind: 'watch', watch: { position, undoneSinceMs }, lookAgainInMs: leftMs }
}

/** Policies of `own` that the owner does not run. */
export function unservedPolicies(own: readonly string[], note: MaintainerNote | undefined): readonly string[] {
	return own.filter(policy => !note?.policies.includes(policy))
}

/** A writer's maintainer goes when the writer does; a note without policies says that its owner has left. */
export function isVacant(manifest: Manifest, writerEpoch: number): boolean {
	const note = manifest.maintainer
	if (note === undefined || note.policies.length === 0) return true
	if (note.writerEpoch === 0) return false
	return note.writerEpoch === writerEpoch || note.writerEpoch < manifest.writerPosition.epoch
}

function vacancyOf({ manifest, writerEpoch, lastOwnedEpoch }: StandbyView): string | undefined {
	const { maintainer: note, maintenancePosition } = manifest
	if (note === undefined) return 'there was no owner'
	if (lastOwnedEpoch > 0 && maintenancePosition.epoch === lastOwnedEpoch) return 'the owner was this maintainer'
	if (!isVacant(manifest, writerEpoch)) return undefined
	return note.policies.length === 0 ? 'the owner has left' : 'the writer of the owner is gone'
}
