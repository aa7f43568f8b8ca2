/** What may be deleted: pure decisions of the collector, from the state and what is known of time. */

import { comparePositions, type LogPosition } from '../log/log-position.ts'
import { type CheckpointName, checkpointKey } from '../manifest/checkpoint.ts'
import type { CheckpointPositions, CommitMark, Manifest, RemovedObject } from '../manifest/manifest.ts'
import { objectsOf } from '../manifest/pin.ts'

export interface DeletionLimits {
	/** The newest announced checkpoint whose grace period has passed. */
	readonly ripe: CheckpointPositions | undefined
	/** Where the checkpoint stands from which the past is read at the floor of changes: what was removed later is part of it. */
	readonly past: LogPosition | undefined
	/** Readers of this process need what was removed from here on. */
	readonly protectedPosition: LogPosition | undefined
	/** Removed at or before this, by the wall clock: older than change retention. */
	readonly removedBeforeMs: number
	/** Records of the writer log from here on may be read. */
	readonly ripeFloor: LogPosition | undefined
}

/** The removed objects that nothing in the logs and in this process needs any more; pins are not looked at. */
export function deletableObjects({ removed }: Manifest, limits: DeletionLimits): readonly RemovedObject[] {
	const { ripe, past, protectedPosition, removedBeforeMs, ripeFloor } = limits
	if (ripe === undefined || past === undefined) return []
	return removed.filter(({ objectKey, removedAt, removedAtMs }) => {
		if (comparePositions(removedAt, ripe.maintenancePosition) >= 0) return false
		if (comparePositions(removedAt, past) >= 0 || removedAtMs > removedBeforeMs) return false
		if (protectedPosition !== undefined && comparePositions(removedAt, protectedPosition) >= 0) return false
		const slot = writerSlotOf(objectKey)
		return slot === undefined || (ripeFloor !== undefined && comparePositions(slot, ripeFloor) < 0)
	})
}

/** Where the floor of changes may go: the newest mark whose commit is older than `beforeMs`. `undefined`: where it is. */
export function nextFloor({ marks, changeFloor }: Manifest, beforeMs: number): CommitMark | undefined {
	const mark = marks.findLast(({ committedAtMs }) => committedAtMs <= beforeMs)
	return mark === undefined || comparePositions(mark.position, changeFloor) <= 0 ? undefined : mark
}

/** The newest checkpoint at or below `position` of the writer log: where reading the past at `position` begins. */
export function checkpointAt(names: readonly CheckpointName[], position: LogPosition): CheckpointName | undefined {
	return names.findLast(({ writerPosition }) => comparePositions(writerPosition, position) <= 0)
}

/** Checkpoints before the ripe one that no mark within change retention needs. `names` ascend. */
export function obsoleteCheckpoints(
	{ marks, changeFloor }: Manifest,
	names: readonly CheckpointName[],
	ripe: CheckpointPositions,
): readonly CheckpointName[] {
	const ripeKey = checkpointKey(ripe)
	const points = [changeFloor, ...marks.map(mark => mark.position)]
	const needed = new Set(points.map(position => checkpointAt(names, position)?.key))
	return names.filter(({ key }) => key < ripeKey && !needed.has(key))
}

/** All objects outside the logs that the state knows of: live, being made, or removed and not yet deleted. */
export function knownObjects(manifest: Manifest): Set<string> {
	const keys = objectsOf(manifest)
	for (const { outputs } of manifest.pendingMerges) for (const table of outputs) keys.add(table.objectKey)
	for (const { objectKey } of manifest.removed) keys.add(objectKey)
	return keys
}

const WRITER_RECORD = /^log\/(\d{16})\/(\d{16})$/

/** The slot of a table that rides in a record of the writer log. */
function writerSlotOf(objectKey: string): LogPosition | undefined {
	const match = WRITER_RECORD.exec(objectKey)
	return match === null ? undefined : { epoch: Number(match[1]), slot: Number(match[2]) }
}
