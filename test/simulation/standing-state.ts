/**
 * The state that stands in a store in which nothing happens any more: the newest checkpoint, and both logs behind it, slot by slot.
 * Nobody writes meanwhile, so that nothing has to be confirmed.
 */
import type { LogPosition } from '../../src/log/log-position.ts'
import type { LogRecord } from '../../src/log/record.ts'
import { decodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { decodeEditRecord } from '../../src/manifest/edit-codec.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { decodePin, objectsOf } from '../../src/manifest/pin.ts'
import type { Creation, VirtualObjects } from './virtual-objects.ts'

/** Of a log record: see docs/object-layout.md. */
const KIND_OFFSET = 6
const KIND_SEAL = 2

/** What the state needs and is not there; of a pin that `isPinValid` says nothing of, nothing is missing. */
export function missingObjects(objects: VirtualObjects, isPinValid: (name: string) => boolean): string[] {
	const needed = neededObjects(standingManifest(objects))
	for (const key of objects.keys('pins/')) {
		const pin = decodePin(bytesOf(objects, key), key)
		if (isPinValid(pin.name)) for (const object of objectsOf(pin.manifest)) needed.add(object)
	}
	return [...needed].filter(key => !objects.has(key))
}

/** With the outputs of merges that are under way. */
function neededObjects(manifest: Manifest): Set<string> {
	const needed = objectsOf(manifest)
	for (const { outputs } of manifest.pendingMerges) for (const { objectKey } of outputs) needed.add(objectKey)
	return needed
}

export function standingManifest(objects: VirtualObjects): Manifest {
	const newest = objects.keys('checkpoints/').sort().at(-1)
	const base = newest === undefined ? EMPTY_MANIFEST : decodeCheckpoint(bytesOf(objects, newest), newest)
	const log = readOn(objects, 'log', base.writerPosition)
	const commits = log.records.map(([record, key]) => objects.records.commit(record, key))
	const maintenance = readOn(objects, 'maintenance', base.maintenancePosition)
	const edits = maintenance.records.map(([record, key]) => decodeEditRecord(record, key))
	const manifest = applyEdits({ ...applyCommits(base, commits), writerPosition: log.end }, edits)
	// Behind the last record there may be the seal of a maintainer that died before it wrote one.
	return { ...manifest, maintenancePosition: maintenance.end }
}

/** What follows `from`, seals left out. */
function readOn(
	objects: VirtualObjects,
	folder: string,
	from: LogPosition,
): { readonly records: readonly (readonly [LogRecord, key: string])[]; readonly end: LogPosition } {
	const records: (readonly [LogRecord, string])[] = []
	let end = from
	for (;;) {
		const key = `${folder}/${digits(end.epoch)}/${digits(end.slot)}`
		const bytes = objects.bytesOf(key)
		if (bytes === undefined) return { records, end }
		const record = objects.records.record(bytes, end, key)
		if (record.kind === 'commit') records.push([record, key])
		end = record.kind === 'seal' ? { epoch: end.epoch + 1, slot: 0 } : { epoch: end.epoch, slot: end.slot + 1 }
	}
}

/** All that were ever put into the epoch of a log. */
export function sealsOf({ creations }: VirtualObjects, folder: 'log' | 'maintenance', epoch: number): Creation[] {
	const within = `${folder}/${digits(epoch)}/`
	return [...creations.values()].filter(({ key, bytes }) => key.startsWith(within) && bytes[KIND_OFFSET] === KIND_SEAL)
}

function bytesOf(objects: VirtualObjects, key: string): Uint8Array {
	const bytes = objects.bytesOf(key)
	if (bytes === undefined) throw new Error(`not there any more: ${key}`)
	return bytes
}

function digits(value: number): string {
	return String(value).padStart(16, '0')
}
