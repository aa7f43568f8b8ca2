/**
 * Folding edits into a manifest: pure, the same whether record by record or all at once, and before or after later commits.
 *
 * An edit says what becomes of tables; what follows from that is derived here, by everyone alike:
 * - an object that held a live table or an output of a pending merge, and holds none any more, becomes `removed`;
 * - so does a blob pack that lost its last use by a live table;
 * - a pending merge ends when its run is added, all its inputs are taken out at once, or one of them is gone.
 *
 * Invariants, checked here, `ISLE_CORRUPT` naming the record: L0 ascends in sequence numbers; runs are disjoint in them,
 * newest first, all below L0; tables of a run ascend in keys and do not overlap; ids and live objects are unique, and
 * what is removed does not come back; announcements, marks and the floor never go back.
 * Cost: what an edit does not touch is shared and not looked at, but for the tables of L0, which are few, and the list of removed
 * objects; the array of tables of a run that is touched is copied (table-placement.ts, table-index.ts).
 */
import { corrupt, invariant, unreachable } from '../errors.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { Edit, EditRecord } from './edit.ts'
import type {
	BlobPackRef,
	CheckpointPositions,
	CommitMark,
	Manifest,
	PendingMerge,
	RemovedObject,
	TableRef,
} from './manifest.ts'
import { TableIndex } from './table-index.ts'
import { assertKeyOrder, firstOf, replaceTables } from './table-placement.ts'

/**
 * The manifest after `records`, which follow one another from `manifest.maintenancePosition` on. It must have folded in
 * the writer log at least to the position that each of them names.
 */
export function applyEdits(manifest: Manifest, records: readonly EditRecord[]): Manifest {
	return records.reduce(applyRecord, manifest)
}

/** The greatest position of the writer log that one of `records` names; `undefined` when there is none. */
export function neededWriterPosition(records: readonly EditRecord[]): LogPosition | undefined {
	let needed: LogPosition | undefined
	for (const { writerPosition } of records) {
		if (needed === undefined || comparePositions(writerPosition, needed) > 0) needed = writerPosition
	}
	return needed
}

/** Whether `record` is the one that follows the state at `maintenancePosition`: none between them is missing. */
function isNextRecord(maintenancePosition: LogPosition, { position }: EditRecord): boolean {
	if (position.epoch === maintenancePosition.epoch) return position.slot === maintenancePosition.slot
	return position.epoch > maintenancePosition.epoch && position.slot === 0
}

function applyRecord(manifest: Manifest, record: EditRecord): Manifest {
	const { position, writerPosition } = record
	invariant(isNextRecord(manifest.maintenancePosition, record), 'edits are folded in order, once')
	invariant(comparePositions(manifest.writerPosition, writerPosition) >= 0, 'edits are folded behind their commits')
	const where = `edit ${position.epoch}/${position.slot}`
	let state = manifest
	for (const edit of record.edits) state = applyEdit(state, edit, record, where)
	return { ...state, maintenancePosition: { epoch: position.epoch, slot: position.slot + 1 } }
}

function applyEdit(state: Manifest, edit: Edit, record: EditRecord, where: string): Manifest {
	switch (edit.kind) {
		case 'maintainer':
			return { ...state, maintainer: edit.note }
		case 'replace':
			return replace(state, edit, record, where)
		case 'pending':
			return progress(state, edit.merge, record, where)
		case 'abandon':
			return abandon(state, edit.runId, record, where)
		case 'announce':
			return announce(state, edit.checkpoint, edit.mark, record, where)
		case 'floor':
			return moveFloor(state, edit.position, where)
		case 'deleted':
			return forget(state, edit.objectKeys, where)
		case 'swept':
			if (edit.writerEpoch < state.sweptWriterEpoch || edit.maintenanceEpoch < state.sweptMaintenanceEpoch) {
				throw corrupt(where, 'epochs that were swept go back')
			}
			return { ...state, sweptWriterEpoch: edit.writerEpoch, sweptMaintenanceEpoch: edit.maintenanceEpoch }
		case 'dropped':
			return { ...state, droppedAt: { epoch: record.position.epoch, slot: record.position.slot + 1 } }
		default:
			return unreachable(edit)
	}
}

function replace(
	before: Manifest,
	edit: Extract<Edit, { kind: 'replace' }>,
	record: EditRecord,
	where: string,
): Manifest {
	const { l0, runs, removed } = replaceTables(before, edit, where)
	const added = new Set(edit.add.map(({ table }) => table.id))
	const addedRuns = new Set(edit.add.map(({ runId }) => runId))
	const lost = [...removed.values()].filter(table => !added.has(table.id))
	const isOver = (merge: PendingMerge): boolean => {
		const { inputs } = namesOf(merge)
		if (addedRuns.has(merge.runId) || lost.some(({ id }) => inputs.has(id))) return true
		return inputs.size <= removed.size && merge.inputs.every(id => removed.has(id))
	}
	const given = before.pendingMerges.filter(isOver).flatMap(merge => merge.outputs)
	const pendingMerges = before.pendingMerges.filter(merge => !isOver(merge))
	const gone = [...lost, ...given.filter(table => !added.has(table.id))]
	assertNotRemoved(
		before,
		edit.add.map(({ table }) => table),
		where,
	)
	const state = { ...before, l0, runs, pendingMerges }
	return retirePacks(retireObjects(state, gone, record), lost, edit, record, where)
}

function progress(before: Manifest, merge: PendingMerge, record: EditRecord, where: string): Manifest {
	const { inputs } = namesOf(merge)
	const outputs = new Set(merge.outputs.map(table => table.id))
	if (inputs.size !== merge.inputs.length || outputs.size !== merge.outputs.length) {
		throw corrupt(where, `merge ${merge.runId} names a table twice`)
	}
	const { l0, runs } = before
	const index = TableIndex.of(runs)
	const made = l0.find(({ id }) => outputs.has(id)) ?? firstOf(runs, index, [...outputs])
	if (made !== undefined) throw corrupt(where, `merge ${merge.runId} has made table ${made.id}, which is live`)
	const found = l0.filter(({ id }) => inputs.has(id)).length + merge.inputs.flatMap(id => index.withId(id)).length
	if (found !== inputs.size) throw corrupt(where, `merge ${merge.runId} takes tables that are not there`)
	assertKeyOrder(merge.outputs, `merge ${merge.runId}`, where, merge.resumeKey)
	assertNotRemoved(before, merge.outputs, where)
	const at = before.pendingMerges.findIndex(({ runId }) => runId === merge.runId)
	const earlier = before.pendingMerges[at]
	const pendingMerges = earlier === undefined ? [...before.pendingMerges, merge] : before.pendingMerges.with(at, merge)
	const gone = (earlier?.outputs ?? []).filter(table => !outputs.has(table.id))
	return retireObjects({ ...before, pendingMerges }, gone, record)
}

function abandon(before: Manifest, runId: string, record: EditRecord, where: string): Manifest {
	const merge = before.pendingMerges.find(pending => pending.runId === runId)
	if (merge === undefined) throw corrupt(where, `merge ${runId} is given up and not under way`)
	const pendingMerges = before.pendingMerges.filter(pending => pending !== merge)
	return retireObjects({ ...before, pendingMerges }, merge.outputs, record)
}

function announce(
	before: Manifest,
	checkpoint: CheckpointPositions,
	mark: CommitMark,
	record: EditRecord,
	where: string,
): Manifest {
	const { announced, marks } = before
	const last = marks.at(-1)
	const isFit =
		comparePositions(checkpoint.maintenancePosition, record.position) <= 0 &&
		comparePositions(checkpoint.writerPosition, record.writerPosition) <= 0 &&
		comparePositions(mark.position, checkpoint.writerPosition) === 0
	if (!isFit) throw corrupt(where, 'a checkpoint is announced that cannot be')
	// A deletion below an announced checkpoint is safe only while no later one covers less.
	const goesBack =
		announced !== undefined &&
		(comparePositions(checkpoint.maintenancePosition, announced.maintenancePosition) <= 0 ||
			comparePositions(checkpoint.writerPosition, announced.writerPosition) < 0)
	if (goesBack) throw corrupt(where, 'an announced checkpoint goes back')
	const isNewMark = last === undefined || comparePositions(mark.position, last.position) > 0
	return { ...before, announced: checkpoint, marks: isNewMark ? [...marks, mark] : marks }
}

function moveFloor(before: Manifest, position: LogPosition, where: string): Manifest {
	const { announced, changeFloor, marks } = before
	if (comparePositions(position, changeFloor) < 0) throw corrupt(where, 'the floor of changes goes back')
	if (!marks.some(mark => comparePositions(mark.position, position) === 0)) {
		throw corrupt(where, 'a floor of changes that is not at a mark')
	}
	invariant(announced !== undefined, 'a mark comes with an announcement')
	return {
		...before,
		changeFloor: position,
		marks: marks.filter(mark => comparePositions(mark.position, position) >= 0),
	}
}

function forget(before: Manifest, objectKeys: readonly string[], where: string): Manifest {
	const deleted = new Set(objectKeys)
	const removed = before.removed.filter(object => !deleted.has(object.objectKey))
	if (before.removed.length - removed.length !== objectKeys.length) {
		throw corrupt(where, 'an object is deleted that was not removed before')
	}
	return { ...before, removed }
}

/** Objects of `gone` in which nothing of `state` lies. */
function retireObjects(state: Manifest, gone: readonly TableRef[], { position, committedAtMs }: EditRecord): Manifest {
	if (gone.length === 0) return state
	const bytes = new Map<string, number>()
	for (const { objectKey, offset, meta } of gone) {
		bytes.set(objectKey, Math.max(bytes.get(objectKey) ?? 0, offset + meta.storedBytes))
	}
	const index = TableIndex.of(state.runs)
	const names = state.pendingMerges.map(namesOf)
	for (const { objectKey } of state.l0) bytes.delete(objectKey)
	for (const key of bytes.keys()) {
		if (index.holds(key) || names.some(({ objectKeys }) => objectKeys.has(key))) bytes.delete(key)
	}
	const retired = Array.from(
		bytes,
		([objectKey, size]): RemovedObject => ({
			objectKey,
			bytes: size,
			removedAt: position,
			removedAtMs: committedAtMs,
		}),
	)
	return { ...state, removed: [...state.removed, ...retired] }
}

/** Packs that only `lost` tables used. Those that an edit adds stand first, those of commits last: so both commute. */
function retirePacks(
	state: Manifest,
	lost: readonly TableRef[],
	edit: Extract<Edit, { kind: 'replace' }>,
	{ position, committedAtMs }: EditRecord,
	where: string,
): Manifest {
	const unused = new Set(lost.flatMap(table => table.meta.blobUses.map(use => use.packId)))
	if (unused.size === 0 && edit.addPacks.length === 0) return state
	assertPacksNew(state.blobPacks, edit, where)
	const index = TableIndex.of(state.runs)
	for (const packId of unused) if (index.uses(packId)) unused.delete(packId)
	for (const table of state.l0) for (const { packId } of table.meta.blobUses) unused.delete(packId)
	const retired = state.blobPacks
		.filter(pack => unused.has(pack.id))
		.map(({ objectKey, bytes }) => ({ objectKey, bytes, removedAt: position, removedAtMs: committedAtMs }))
	return {
		...state,
		blobPacks: [...edit.addPacks, ...state.blobPacks.filter(pack => !unused.has(pack.id))],
		removed: [...state.removed, ...retired],
	}
}

function assertPacksNew(
	blobPacks: readonly BlobPackRef[],
	{ add, addPacks }: Extract<Edit, { kind: 'replace' }>,
	where: string,
): void {
	if (addPacks.length === 0) return
	const isUsed = new Set(add.flatMap(({ table }) => table.meta.blobUses.map(use => use.packId)))
	const known = new Set(blobPacks.map(pack => pack.id))
	for (const { id } of addPacks) {
		if (known.has(id) || !isUsed.has(id)) throw corrupt(where, `blob pack ${id} is added twice or for no table`)
		known.add(id)
	}
}

/** What was removed may be deleted at any time: nothing may refer to it again. */
function assertNotRemoved({ removed }: Manifest, tables: readonly TableRef[], where: string): void {
	const keys = new Set(tables.map(table => table.objectKey))
	const back = removed.find(object => keys.has(object.objectKey))
	if (back !== undefined) throw corrupt(where, `\`${back.objectKey}\` comes back after it was removed`)
}

interface MergeNames {
	readonly inputs: ReadonlySet<string>
	/** Of outputs. */
	readonly objectKeys: ReadonlySet<string>
}

const mergeNames = new WeakMap<PendingMerge, MergeNames>()

/** Made once for each record of its progress: there may be many of them. */
function namesOf(merge: PendingMerge): MergeNames {
	let names = mergeNames.get(merge)
	if (names === undefined) {
		names = { inputs: new Set(merge.inputs), objectKeys: new Set(merge.outputs.map(table => table.objectKey)) }
		mergeNames.set(merge, names)
	}
	return names
}
