/** A prefix with a writer, and followers of it that have a store of their own before the shared one. */

import { openWriterLog } from '../../src/manifest/database-logs.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { CommitWriter, writeCheckpoint } from './commit-writer.ts'
import { type ManualHost, manualHost } from './manual-clock.ts'
import { ScriptedStore } from './scripted-store.ts'
import { deleteCommitsBelow } from './text-log.ts'

export const GRACE_MS = 1_000

export interface Followed {
	readonly store: ScriptedStore
	readonly host: ManualHost
	readonly follower: ManifestFollower
	readonly loaded: string[]
}

/** A follower with a store of its own before the shared one, so that its requests are counted apart. */
export async function follow(shared: ObjectStore, gracePeriodMs: number = GRACE_MS): Promise<Followed> {
	const store = new ScriptedStore(shared)
	const host = manualHost()
	const loaded: string[] = []
	const follower = await ManifestFollower.open({
		store,
		host,
		gracePeriodMs,
		onLoaded: ({ commit }) => loaded.push(`${commit.position.epoch}/${commit.position.slot}`),
	})
	store.calls.length = 0
	return { store, host, follower, loaded }
}

export async function replayed(store: ObjectStore): Promise<Manifest> {
	return (await ManifestFollower.open({ store, host: manualHost() })).manifest
}

/** Folds everything into a checkpoint and deletes the commits below it at once. */
export async function collect(store: ObjectStore, maintenanceSlot = 1): Promise<Manifest> {
	const checkpoint = await writeCheckpoint(store, await replayed(store), maintenanceSlot)
	await deleteCommitsBelow(openWriterLog(store), store, checkpoint.writerPosition)
	return checkpoint
}

export async function sharedStore(commits: number): Promise<{ shared: ScriptedStore; writer: CommitWriter }> {
	const shared = new ScriptedStore()
	const writer = await CommitWriter.claim(shared)
	for (let index = 0; index < commits; index++) await writer.commit()
	return { shared, writer }
}
