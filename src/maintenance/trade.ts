/**
 * The trade of a maintainer on a real store: the policies, the executor, checkpoints and the collector, put together.
 *
 * What is due is a pure question to a manifest, for whoever watches; what is done is done by the owner of the log, through a
 * desk of his own.
 */
import type { Host } from '../host/host.ts'
import type { EditRecord } from '../manifest/edit.ts'
import { MaintenanceOwner } from '../manifest/maintenance-owner.ts'
import type { Manifest, TableRef } from '../manifest/manifest.ts'
import { ManifestFollower } from '../manifest/manifest-follower.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { sinceAnnounced } from './checkpoint-keeper.ts'
import type { ClaimedWork, FollowedLogs, MaintenanceTrade } from './maintainer-parts.ts'
import type { MaintenanceSettings } from './options.ts'
import { OwnerDesk } from './owner-desk.ts'
import { choose, nextDueMs } from './policy.ts'
import { chooseCheckpoint, nextCheckpointMs, type SinceCheckpoint } from './policy-checkpoint.ts'
import { RecentTables } from './recent-tables.ts'

export interface TradeOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly host: Host
	readonly settings: MaintenanceSettings
	/** Of the writer that it lives with; 0: it is alone. */
	readonly writerEpoch: number
	/**
	 * Told of each small table that it has made, whole and as stored, before the edit that makes it live: what reads on the same
	 * thread may keep the bytes, and not change them.
	 */
	readonly onTable?: ((ref: TableRef, bytes: Uint8Array) => void) | undefined
	/** Told each record that it commits, in order. */
	readonly onEdited: (record: EditRecord) => void
}

/** A standby that nothing is due for reads the maintenance log along this often: a minute. */
const WATCH_MAINTENANCE_MS = 60_000

export function createTrade(options: TradeOptions): MaintenanceTrade {
	const { store, pool, host, settings, writerEpoch, onEdited, onTable } = options
	const judge = createDueJudge(settings)
	return {
		...judge,
		async claim({ signal }: RequestOptions): Promise<ClaimedWork> {
			const note = { policies: judge.policies, writerEpoch }
			const recent = new RecentTables()
			const owner = await MaintenanceOwner.claim({
				store,
				host,
				note,
				signal,
				onLoaded: loaded => recent.addCommit(loaded),
				onRecord(record) {
					for (const edit of record.edits) if (edit.kind === 'replace') recent.forget(edit.remove)
					onEdited(record)
				},
			})
			const desk = new OwnerDesk({
				store,
				pool,
				host,
				settings,
				owner,
				offered: ref => recent.get(ref),
				offeredBytes: () => recent.bytes,
				onTable(ref, bytes) {
					const kept = recent.addMade(ref, bytes)
					if (kept !== undefined) onTable?.(ref, kept)
				},
			})
			return { owner, desk }
		},
		async openFollower({ signal }: RequestOptions): Promise<FollowedLogs> {
			const { gracePeriodMs } = settings
			const parts = { store, host, gracePeriodMs, maintenancePollMs: WATCH_MAINTENANCE_MS }
			const follower = await ManifestFollower.open(parts, { signal })
			return new Standby(follower, judge, host)
		},
	}
}

/**
 * What a maintainer follows that does not own the log. A class, for an object with an accessor of its own has a shape of its own, which V8
 * keeps with all that the accessor holds until its next full collection.
 */
class Standby implements FollowedLogs {
	readonly #follower: ManifestFollower
	readonly #judge: DueJudge
	readonly #host: Host

	constructor(follower: ManifestFollower, judge: DueJudge, host: Host) {
		this.#follower = follower
		this.#judge = judge
		this.#host = host
	}

	get manifest(): Manifest {
		return this.#follower.manifest
	}

	poll(request: RequestOptions = {}): Promise<void> {
		const { policies } = this.#judge
		// Whether its owner does what is due is in the maintenance log.
		if (this.#judge.isUndone(this.manifest, this.#host.clock.nowMs(), policies)) this.#follower.expectEdits()
		return this.#follower.poll(request)
	}
}

/** The pure part: what is due in a manifest. */
export type DueJudge = Pick<MaintenanceTrade, 'policies' | 'hasWork' | 'isUndone' | 'nextDueMs'>

export function createDueJudge(settings: MaintenanceSettings): DueJudge {
	const policies = [...(settings.compaction ? ['merge'] : []), ...(settings.retention ? [settings.retention.mode] : [])]
	return {
		policies,
		hasWork: (manifest, nowMs) =>
			choose(manifest, nowMs, settings) !== undefined ||
			chooseCheckpoint(manifest, nowMs, settings, sinceLastMark(manifest, nowMs), false) !== undefined ||
			isPast(nextGarbageMs(manifest, settings), nowMs),
		// Garbage is not looked at: its owner may have a reason to let it lie, a pin or somebody who still reads it.
		isUndone: (manifest, nowMs, some) =>
			choose(manifest, nowMs, {
				...settings,
				compaction: some.includes('merge') ? settings.compaction : undefined,
				retention: settings.retention && some.includes(settings.retention.mode) ? settings.retention : undefined,
			}) !== undefined,
		nextDueMs(manifest, nowMs) {
			const due = [
				nextDueMs(manifest, nowMs, settings),
				nextCheckpointMs(manifest, settings, sinceLastMark(manifest, nowMs)),
				nextGarbageMs(manifest, settings),
			]
			const times = due.filter(time => time !== undefined)
			return times.length === 0 ? undefined : Math.min(...times)
		},
	}
}

/** Who does not own the log does not know when the last checkpoint was announced, but how old it is. */
function sinceLastMark(manifest: Manifest, nowMs: number): SinceCheckpoint {
	return sinceAnnounced(manifest, manifest.marks.at(-1)?.committedAtMs ?? nowMs)
}

/** When the first of what was removed may be deleted, unless somebody needs it for longer. */
function nextGarbageMs({ removed }: Manifest, settings: MaintenanceSettings): number | undefined {
	const [first] = removed
	const { changeRetentionMs, gracePeriodMs } = settings
	return first === undefined ? undefined : first.removedAtMs + Math.max(changeRetentionMs, gracePeriodMs)
}

function isPast(timeMs: number | undefined, nowMs: number): boolean {
	return timeMs !== undefined && timeMs <= nowMs
}
