/**
 * Compares what lies in a store with what its state needs. Knows the layout and the rules of deletion from the documents,
 * not from the code that deletes: `docs/object-layout.md`, `docs/fenced-log.md`.
 */
import { comparePositions, type LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord } from '../../src/log/record.ts'
import { checkpointKey } from '../../src/manifest/checkpoint.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { decodePin } from '../../src/manifest/pin.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'

export interface Audit {
	/** Needed, and not there. */
	readonly missing: readonly string[]
	/** There, and needed by nothing. */
	readonly orphans: readonly string[]
	/** Needed by nothing but what still waits for its deletion. */
	readonly waiting: readonly string[]
	readonly manifest: Manifest
}

/**
 * Full listing, every pin and every small record: for tests. A pin counts once its maker has looked whether its objects are still
 * there; `isPinValid` says which have: of one whose maker died before that, nothing is missing.
 */
export async function auditStore(store: ObjectStore, isPinValid = (_name: string): boolean => true): Promise<Audit> {
	const present = await listAll(store)
	const manifest = await loadManifest(new DatabaseLogs(store))
	const needed = objectsOfState(manifest)
	for (const key of present.keys()) {
		if (!key.startsWith('pins/')) continue
		needed.add(key)
		const bytes = await store.get(key)
		if (bytes === undefined) continue
		const pin = decodePin(bytes, key)
		for (const object of objectsOfState(pin.manifest)) {
			if (present.has(object) || isPinValid(pin.name)) needed.add(object)
		}
	}
	const checkpoints = [...present.keys()].filter(key => key.startsWith('checkpoints/')).sort()
	for (const key of neededCheckpoints(checkpoints, manifest)) needed.add(key)
	for (const key of present.keys()) if (await isNeededRecord(store, key, manifest)) needed.add(key)
	const waiting = new Set(manifest.removed.map(object => object.objectKey))
	return {
		missing: [...needed].filter(key => !present.has(key)),
		orphans: [...present.keys()].filter(key => !needed.has(key) && !waiting.has(key)),
		waiting: [...waiting].filter(key => present.has(key) && !needed.has(key)),
		manifest,
	}
}

async function listAll(store: ObjectStore): Promise<Map<string, number>> {
	const present = new Map<string, number>()
	let startAfter: string | undefined
	for (;;) {
		const page = await store.list({ startAfter })
		for (const { key, bytes } of page.objects) present.set(key, bytes)
		if (!page.isTruncated) return present
		startAfter = page.objects.at(-1)?.key
	}
}

function objectsOfState({ l0, runs, blobPacks, pendingMerges }: Manifest): Set<string> {
	const tables = [l0, ...runs.map(run => run.tables), ...pendingMerges.map(merge => merge.outputs)].flat()
	return new Set([...tables, ...blobPacks].map(object => object.objectKey))
}

/** The newest, the one that is announced, and for each mark the one from which the past there is read. */
function neededCheckpoints(keys: readonly string[], { marks, changeFloor, announced }: Manifest): string[] {
	const positions = keys.map(key => {
		const [, , , epoch, slot] = /^checkpoints\/(\d+)-(\d+)_(\d+)-(\d+)$/.exec(key) ?? []
		return { key, at: { epoch: Number(epoch), slot: Number(slot) } }
	})
	const points: LogPosition[] = [changeFloor, ...marks.map(mark => mark.position)]
	const atPoints = points.flatMap(point => positions.findLast(({ at }) => comparePositions(at, point) <= 0)?.key ?? [])
	// A newer one may stand that its maintainer did not live to announce: it is read, and the announced one stays.
	const last = announced === undefined ? [] : [...keys.slice(-1), checkpointKey(announced)]
	return [...new Set([...atPoints, ...last])]
}

/** Seals; what is not below the floor of changes; what is not below the announced checkpoint. */
async function isNeededRecord(store: ObjectStore, key: string, manifest: Manifest): Promise<boolean> {
	const match = /^(log|maintenance)\/(\d{16})\/(\d{16})$/.exec(key)
	if (match === null) return false
	const position = { epoch: Number(match[2]), slot: Number(match[3]) }
	const end = match[1] === 'log' ? manifest.changeFloor : manifest.announced?.maintenancePosition
	if (end === undefined || comparePositions(position, end) >= 0) return true
	const bytes = await store.get(key)
	return bytes !== undefined && decodeRecord(bytes, position, key).kind === 'seal'
}
