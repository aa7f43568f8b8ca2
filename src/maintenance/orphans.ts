/**
 * Uploads that nobody refers to: what a crash or a takeover left behind.
 *
 * An object of an epoch that has ended, and that the state does not know of, can never become part of it: only the owner of
 * the epoch could have referred to it. Each epoch is looked through by the prefixes of its ids: when it has been over for the
 * grace period, and once more with the epoch that follows it, for an upload that was stalled for longer than that.
 */
import type { Manifest } from '../manifest/manifest.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { knownObjects } from './garbage.ts'

/** Epochs of each log in one go: 3 LISTs for one of a writer, 2 for one of a maintainer. */
const EPOCHS_PER_SWEEP = 20

/** Epochs of each log, up to and with which orphans are looked for. */
export interface SweptEpochs {
	readonly writerEpoch: number
	readonly maintenanceEpoch: number
}

/** What is to be looked through next, of what has `ended`; `undefined`: nothing. */
export function dueEpochs(
	{ sweptWriterEpoch, sweptMaintenanceEpoch }: Manifest,
	ended: SweptEpochs,
): (SweptEpochs & { readonly hasMore: boolean }) | undefined {
	const next = (swept: number, end: number): number => Math.max(swept, Math.min(end, swept + EPOCHS_PER_SWEEP))
	const writerEpoch = next(sweptWriterEpoch, ended.writerEpoch)
	const maintenanceEpoch = next(sweptMaintenanceEpoch, ended.maintenanceEpoch)
	if (writerEpoch === sweptWriterEpoch && maintenanceEpoch === sweptMaintenanceEpoch) return undefined
	const hasMore = writerEpoch < ended.writerEpoch || maintenanceEpoch < ended.maintenanceEpoch
	return { writerEpoch, maintenanceEpoch, hasMore }
}

export async function findOrphans(
	store: ObjectStore,
	manifest: Manifest,
	{ writerEpoch, maintenanceEpoch }: SweptEpochs,
	options: RequestOptions,
): Promise<ObjectInfo[]> {
	const prefixes: string[] = []
	for (let epoch = firstOf(manifest.sweptWriterEpoch, writerEpoch); epoch <= writerEpoch; epoch++) {
		prefixes.push(`sst/w${epoch}-`, `blobs/w${epoch}-`, `blobs/s${epoch}-`)
	}
	for (let epoch = firstOf(manifest.sweptMaintenanceEpoch, maintenanceEpoch); epoch <= maintenanceEpoch; epoch++) {
		prefixes.push(`sst/m${epoch}-`, `blobs/m${epoch}-`)
	}
	const known = knownObjects(manifest)
	const orphans: ObjectInfo[] = []
	for (const prefix of prefixes) {
		for await (const object of listAll(store, prefix, options)) if (!known.has(object.key)) orphans.push(object)
	}
	return orphans
}

/** The first epoch of a log to look through: the last one that was swept, once more, where there is one behind it. */
function firstOf(sweptEpoch: number, endEpoch: number): number {
	return sweptEpoch === endEpoch ? endEpoch + 1 : Math.max(1, sweptEpoch)
}

/** All objects below `prefix`. One LIST a page. */
export async function* listAll(
	store: ObjectStore,
	prefix: string,
	options: RequestOptions,
): AsyncGenerator<ObjectInfo, void, undefined> {
	for (let startAfter: string | undefined; ; ) {
		const page = await store.list({ signal: options.signal, prefix, startAfter })
		yield* page.objects
		if (!page.isTruncated) return
		startAfter = page.objects.at(-1)?.key
	}
}
