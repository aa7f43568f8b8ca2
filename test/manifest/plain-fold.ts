/**
 * A model of what edits do to tables: plain passes over everything, as the rules read (src/manifest/fold-edits.ts). What edits do to
 * anything else is left to the code that is tested.
 */
import { compareBytes } from '../../src/bytes/compare.ts'
import { corrupt } from '../../src/errors.ts'
import type { AddedTable, Edit, EditRecord } from '../../src/manifest/edit.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest, PendingMerge, SortedRun, TableRef } from '../../src/manifest/manifest.ts'

type Replace = Extract<Edit, { kind: 'replace' }>

export function plainFold(manifest: Manifest, record: EditRecord): Manifest {
	const where = `edit ${record.position.epoch}/${record.position.slot}`
	let state = manifest
	for (const edit of record.edits) {
		if (edit.kind === 'replace') state = replace(state, edit, record, where)
		else if (edit.kind === 'pending') state = progress(state, edit.merge, record, where)
		else if (edit.kind === 'abandon') state = abandon(state, edit.runId, record, where)
		else {
			const { maintenancePosition } = state
			state = { ...applyEdits(state, [{ ...record, edits: [edit] }]), maintenancePosition }
		}
	}
	return { ...state, maintenancePosition: { epoch: record.position.epoch, slot: record.position.slot + 1 } }
}

export function liveTables({ l0, runs }: Pick<Manifest, 'l0' | 'runs'>): TableRef[] {
	return [...l0, ...runs.flatMap(run => run.tables)]
}

/** Smallest and largest sequence number. */
export function plainRange({ tables }: SortedRun): readonly [number, number] {
	return [
		tables.reduce((min, { meta }) => Math.min(min, meta.minSeq), Infinity),
		tables.reduce((max, { meta }) => Math.max(max, meta.maxSeq), 0),
	]
}

function replace(before: Manifest, edit: Replace, record: EditRecord, where: string): Manifest {
	const wanted = new Set(edit.remove)
	const taken = liveTables(before).filter(table => wanted.has(table.id))
	if (taken.length !== edit.remove.length) {
		const missing = edit.remove.find(id => !taken.some(table => table.id === id))
		throw corrupt(
			where,
			missing === undefined ? 'a table is removed twice' : `table ${missing} is removed and not there`,
		)
	}
	const rest = {
		l0: before.l0.filter(table => !wanted.has(table.id)),
		runs: before.runs
			.map(run => ({ ...run, tables: run.tables.filter(table => !wanted.has(table.id)) }))
			.filter(run => run.tables.length > 0),
	}
	const placed = edit.add.length === 0 ? rest : place(rest, taken, edit.add, where)
	const added = new Set(edit.add.map(({ table }) => table.id))
	const runIds = new Set(edit.add.map(({ runId }) => runId))
	const lost = taken.filter(table => !added.has(table.id))
	const isOver = ({ runId, inputs }: PendingMerge): boolean =>
		runIds.has(runId) ||
		inputs.some(id => lost.some(table => table.id === id)) ||
		inputs.every(id => taken.some(table => table.id === id))
	const given = before.pendingMerges.filter(isOver).flatMap(merge => merge.outputs)
	const pendingMerges = before.pendingMerges.filter(merge => !isOver(merge))
	assertNotRemoved(
		before,
		edit.add.map(({ table }) => table),
		where,
	)
	const state = { ...before, ...placed, pendingMerges }
	return retirePacks(
		retireObjects(state, [...lost, ...given.filter(table => !added.has(table.id))], record),
		lost,
		edit,
		record,
		where,
	)
}

function place(
	rest: Pick<Manifest, 'l0' | 'runs'>,
	taken: readonly TableRef[],
	added: readonly AddedTable[],
	where: string,
): Pick<Manifest, 'l0' | 'runs'> {
	const ids = new Set<string>()
	for (const { table } of added) {
		if (ids.has(table.id)) throw corrupt(where, `table ${table.id} is added twice`)
		ids.add(table.id)
		const before = taken.find(({ id }) => id === table.id)
		if (before !== undefined && (before.objectKey !== table.objectKey || before.offset !== table.offset)) {
			throw corrupt(where, `table ${table.id} is moved and lies elsewhere`)
		}
	}
	const old = liveTables(rest).find(table => ids.has(table.id))
	if (old !== undefined) throw corrupt(where, `table ${old.id} is added and there already`)
	const to = (id: string | null): TableRef[] => added.filter(({ runId }) => runId === id).map(({ table }) => table)
	const l0 = [...rest.l0, ...to(null)].sort((a, b) => a.meta.minSeq - b.meta.minSeq)
	const fresh = new Set(added.flatMap(({ runId }) => (runId === null ? [] : [runId])))
	for (const { id } of rest.runs) fresh.delete(id)
	const bases: SortedRun[] = [...rest.runs, ...Array.from(fresh, id => ({ id, tables: [] }))]
	const runs = bases.map(run => joined(run, to(run.id), where))
	runs.sort((a, b) => plainRange(b)[1] - plainRange(a)[1])
	assertSeqOrder(l0, runs, where)
	return { l0, runs }
}

function joined(run: SortedRun, added: readonly TableRef[], where: string): SortedRun {
	const tables = [...run.tables]
	const sorted = added.toSorted((a, b) => compareBytes(a.meta.smallestKey, b.meta.smallestKey))
	for (const [i, table] of sorted.entries()) {
		const { smallestKey, largestKey } = table.meta
		const at = i + run.tables.filter(({ meta }) => compareBytes(meta.smallestKey, smallestKey) < 0).length
		const [before, next] = [tables[at - 1], tables[at]]
		if (before !== undefined && compareBytes(before.meta.largestKey, smallestKey) >= 0) {
			throw corrupt(where, `tables ${before.id} and ${table.id} of run ${run.id} overlap`)
		}
		if (next !== undefined && compareBytes(next.meta.smallestKey, largestKey) <= 0) {
			throw corrupt(where, `tables ${table.id} and ${next.id} of run ${run.id} overlap`)
		}
		tables.splice(at, 0, table)
	}
	return { id: run.id, tables }
}

function assertSeqOrder(l0: readonly TableRef[], runs: readonly SortedRun[], where: string): void {
	let bound = Infinity
	for (const { meta, id } of l0.toReversed()) {
		if (meta.maxSeq >= bound) throw corrupt(where, `table ${id} of L0 overlaps the next one in sequence numbers`)
		bound = meta.minSeq
	}
	for (const run of runs) {
		const [min, max] = plainRange(run)
		if (max >= bound) throw corrupt(where, `run ${run.id} overlaps what is newer in sequence numbers`)
		bound = min
	}
}

function progress(before: Manifest, merge: PendingMerge, record: EditRecord, where: string): Manifest {
	const inputs = new Set(merge.inputs)
	const outputs = new Set(merge.outputs.map(table => table.id))
	if (inputs.size !== merge.inputs.length || outputs.size !== merge.outputs.length) {
		throw corrupt(where, `merge ${merge.runId} names a table twice`)
	}
	const live = liveTables(before)
	const made = live.find(table => outputs.has(table.id))
	if (made !== undefined) throw corrupt(where, `merge ${merge.runId} has made table ${made.id}, which is live`)
	if (live.filter(table => inputs.has(table.id)).length !== inputs.size) {
		throw corrupt(where, `merge ${merge.runId} takes tables that are not there`)
	}
	for (const [i, table] of merge.outputs.entries()) {
		const next = merge.outputs[i + 1]
		if (next !== undefined && compareBytes(table.meta.largestKey, next.meta.smallestKey) >= 0) {
			throw corrupt(where, `tables ${table.id} and ${next.id} of merge ${merge.runId} overlap`)
		}
	}
	const last = merge.outputs.at(-1)
	if (last !== undefined && compareBytes(last.meta.largestKey, merge.resumeKey) >= 0) {
		throw corrupt(where, `table ${last.id} of merge ${merge.runId} reaches beyond where it goes on`)
	}
	assertNotRemoved(before, merge.outputs, where)
	const earlier = before.pendingMerges.find(({ runId }) => runId === merge.runId)
	const pendingMerges =
		earlier === undefined
			? [...before.pendingMerges, merge]
			: before.pendingMerges.map(other => (other === earlier ? merge : other))
	const gone = (earlier?.outputs ?? []).filter(table => !outputs.has(table.id))
	return retireObjects({ ...before, pendingMerges }, gone, record)
}

function abandon(before: Manifest, runId: string, record: EditRecord, where: string): Manifest {
	const merge = before.pendingMerges.find(pending => pending.runId === runId)
	if (merge === undefined) throw corrupt(where, `merge ${runId} is given up and not under way`)
	const pendingMerges = before.pendingMerges.filter(pending => pending !== merge)
	return retireObjects({ ...before, pendingMerges }, merge.outputs, record)
}

function assertNotRemoved({ removed }: Manifest, tables: readonly TableRef[], where: string): void {
	const back = removed.find(object => tables.some(table => table.objectKey === object.objectKey))
	if (back !== undefined) throw corrupt(where, `\`${back.objectKey}\` comes back after it was removed`)
}

function retireObjects(state: Manifest, gone: readonly TableRef[], { position, committedAtMs }: EditRecord): Manifest {
	const held = new Set(
		[...liveTables(state), ...state.pendingMerges.flatMap(merge => merge.outputs)].map(table => table.objectKey),
	)
	const removed = [...state.removed]
	for (const objectKey of new Set(gone.map(table => table.objectKey))) {
		if (held.has(objectKey)) continue
		const ends = gone
			.filter(table => table.objectKey === objectKey)
			.map(({ offset, meta }) => offset + meta.storedBytes)
		removed.push({ objectKey, bytes: Math.max(...ends), removedAt: position, removedAtMs: committedAtMs })
	}
	return { ...state, removed }
}

function retirePacks(
	state: Manifest,
	lost: readonly TableRef[],
	edit: Replace,
	{ position, committedAtMs }: EditRecord,
	where: string,
): Manifest {
	const usedBy = (tables: readonly TableRef[]): Set<string> =>
		new Set(tables.flatMap(({ meta }) => meta.blobUses.map(use => use.packId)))
	const [wasUsed, isUsed] = [usedBy(lost), usedBy(liveTables(state))]
	const isAdded = usedBy(edit.add.map(({ table }) => table))
	const known = new Set(state.blobPacks.map(pack => pack.id))
	for (const { id } of edit.addPacks) {
		if (known.has(id) || !isAdded.has(id)) throw corrupt(where, `blob pack ${id} is added twice or for no table`)
		known.add(id)
	}
	const isRetired = ({ id }: { readonly id: string }): boolean => wasUsed.has(id) && !isUsed.has(id)
	const retired = state.blobPacks
		.filter(isRetired)
		.map(({ objectKey, bytes }) => ({ objectKey, bytes, removedAt: position, removedAtMs: committedAtMs }))
	return {
		...state,
		blobPacks: [...edit.addPacks, ...state.blobPacks.filter(pack => !isRetired(pack))],
		removed: [...state.removed, ...retired],
	}
}
