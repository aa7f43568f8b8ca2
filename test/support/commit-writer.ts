/** Writes commits of made-up tables to a writer log, and checkpoints of them: what a follower of manifests needs to see. */
import { claimLog } from '../../src/log/claim.ts'
import type { LogOwner } from '../../src/log/log-owner.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import { checkpointKey, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { type CommitBody, encodeCommitBody } from '../../src/manifest/commit.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { ManifestReplay } from '../../src/manifest/manifest-replay.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { tableOf } from './manifest-arbitraries.ts'
import { manualHost } from './manual-clock.ts'

let writers = 0

export class CommitWriter {
	readonly #owner: LogOwner
	lastSeq: number

	private constructor(owner: LogOwner, lastSeq: number) {
		this.#owner = owner
		this.lastSeq = lastSeq
	}

	static async claim(store: ObjectStore): Promise<CommitWriter> {
		const logs = new DatabaseLogs(store)
		const replay = new ManifestReplay(logs)
		const owner = await claimLog({ log: logs.writer, host: manualHost(++writers), replay })
		return new CommitWriter(owner, replay.manifestAt({ epoch: owner.epoch, slot: 0 }).lastSeq)
	}

	/** One commit of `count` sequence numbers (0: without changes) in a table that rides in it. */
	async commit(count = 1, change: Partial<CommitBody> = {}): Promise<LogPosition> {
		const { epoch, slot } = this.#owner.nextPosition
		const firstSeq = this.lastSeq + 1
		const { id, meta } = tableOf(`w${epoch}-${slot}`, firstSeq, this.lastSeq + count)
		const isEmpty = count === 0
		const body: CommitBody = {
			firstSeq,
			lastSeq: this.lastSeq + count,
			committedAtMs: firstSeq * 10,
			tables: isEmpty ? [] : [{ id, meta, place: { kind: 'inline', section: 0 } }],
			blobPacks: [],
			...change,
		}
		this.lastSeq += count
		const append = this.#owner.append(encodeCommitBody(body), isEmpty ? [] : [new Uint8Array(meta.storedBytes)])
		await append.committed
		return append.position
	}
}

/** A checkpoint of `manifest`, announced nowhere: `maintenanceSlot` orders it. */
export async function writeCheckpoint(store: ObjectStore, manifest: Manifest, maintenanceSlot = 1): Promise<Manifest> {
	const checkpoint = { ...manifest, maintenancePosition: { epoch: 1, slot: maintenanceSlot } }
	await store.createIfAbsent(checkpointKey(checkpoint), encodeCheckpoint(checkpoint))
	return checkpoint
}
