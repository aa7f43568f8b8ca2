/**
 * Deletes what nothing needs any more.
 *
 * Steps of `collect`: what failed work of this owner left behind; the floor of changes; removed objects; records of both logs;
 * old checkpoints; once for each epoch that has ended, uploads that nobody refers to. Objects of the state are deleted first
 * and said to be deleted afterwards: a crash between is repaired by whoever comes next, because deleting twice is harmless.
 *
 * Invariants:
 * - Nothing is deleted above an announced checkpoint, nor before the grace period has passed since this owner, or the store's
 *   clock, saw it announced. Reachability decides, never the age of an object.
 * - Pins are listed after the removal of what is deleted was committed, and before the delete.
 * - Where clocks are in doubt, what depends on the time of day stays.
 * - Nothing to do costs no request.
 */
import type { Host } from '../host/host.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import { type CheckpointName, checkpointKey, parseCheckpointKey, readCheckpoint } from '../manifest/checkpoint.ts'
import { DatabaseLogs } from '../manifest/database-logs.ts'
import type { Edit } from '../manifest/edit.ts'
import type { CheckpointPositions, RemovedObject } from '../manifest/manifest.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { checkpointAt, deletableObjects, knownObjects, nextFloor, obsoleteCheckpoints } from './garbage.ts'
import { LogSweep } from './log-sweep.ts'
import type { UnreadablePin } from './maintainer-parts.ts'
import { dueEpochs, findOrphans, listAll } from './orphans.ts'
import type { OwnedState } from './owned-state.ts'
import { PinBoard } from './pin-board.ts'
import { Ripeness } from './ripeness.ts'
import { StoreClock } from './store-clock.ts'
import type { Uploads } from './uploads.ts'

/** Objects in one DELETE and one `deleted` edit. */
const DELETE_BATCH = 1000

export interface CollectorOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly host: Host
	readonly state: OwnedState
	readonly uploads: Uploads
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	/** Default: one of its own. */
	readonly storeClock?: StoreClock | undefined
}

export interface CollectOptions {
	readonly signal?: AbortSignal | undefined
	/** What was removed at or behind this record of the maintenance log is still read in this process. */
	readonly protectedPosition?: LogPosition | undefined
}

export interface Collection {
	readonly objectsDeleted: number
	readonly bytesDeleted: number
	/** True when there is more to do at once. */
	readonly hasMore: boolean
	/** Pins that could not be read when they were looked at last. */
	readonly unreadablePins: readonly UnreadablePin[]
	/** When time alone makes work, from now; `undefined`: never. */
	readonly nextInMs: number | undefined
}

export class Collector {
	readonly #options: CollectorOptions
	readonly #logs: DatabaseLogs
	readonly #clock: StoreClock
	readonly #pins: PinBoard
	readonly #ripeness: Ripeness
	readonly #writerSweep: LogSweep
	readonly #maintenanceSweep: LogSweep
	/** Ascending; listed when one is ripe, and kept up with what this owner writes and deletes. */
	#checkpoints: CheckpointName[] | undefined
	#sweptCheckpoints: CheckpointPositions | undefined
	#sweptFloor: LogPosition = LOG_START
	#isFirst = true
	/** By the wall clock, when this go began: what falls due while it runs has not been looked at. */
	#beganMs = 0
	#deleted = { objects: 0, bytes: 0 }
	#hasMore = false
	/** Something would be deleted if no pin kept it. */
	#isPinned = false

	/** To be made right after the claim: what stands in the state then was there before. */
	constructor(options: CollectorOptions) {
		const { store, host, state, gracePeriodMs } = options
		this.#options = options
		this.#logs = new DatabaseLogs(store)
		this.#clock = options.storeClock ?? new StoreClock(store, host, state)
		this.#pins = new PinBoard(store)
		this.#ripeness = new Ripeness(host.clock, gracePeriodMs)
		this.#writerSweep = new LogSweep(store, this.#logs.writer)
		this.#maintenanceSweep = new LogSweep(store, this.#logs.maintenance)
		this.#ripeness.observe(state.manifest)
	}

	/** One go: to be called again while `hasMore`. Not twice at once. @throws what the store and `append` throw. */
	async collect(options: CollectOptions = {}): Promise<Collection> {
		const { uploads } = this.#options
		this.#deleted = { objects: await uploads.deleteLitter(), bytes: 0 }
		this.#hasMore = false
		this.#isPinned = false
		this.#beganMs = this.#options.host.clock.nowMs()
		this.#observe()
		if (this.#isFirst) await this.#judgeInherited(options)
		const removedBeforeMs = await this.#moveFloor(options)
		const { checkpoint: ripe, floor: ripeFloor } = this.#ripeness
		if (ripe !== undefined) await this.#deleteRemoved(ripe, ripeFloor, removedBeforeMs, options)
		if (ripeFloor !== undefined) await this.#sweepLog(this.#writerSweep, ripeFloor, options)
		if (ripe !== undefined) {
			await this.#sweepLog(this.#maintenanceSweep, ripe.maintenancePosition, options)
			await this.#deleteCheckpoints(ripe, options)
		}
		await this.#sweepUploads(ripe, options)
		return {
			objectsDeleted: this.#deleted.objects,
			bytesDeleted: this.#deleted.bytes,
			hasMore: this.#hasMore,
			unreadablePins: this.#pins.unreadable,
			nextInMs: this.#nextInMs(),
		}
	}

	/** Takes note of what is new in the state. */
	#observe(): void {
		const announced = this.#ripeness.observe(this.#options.state.manifest)
		if (announced !== undefined) this.#checkpoints?.push(parseCheckpointKey(checkpointKey(announced)))
	}

	/**
	 * What earlier owners announced may be ripe by the store's clock: whoever runs a minute an hour sees no grace period pass, nor
	 * do owners that take turns each minute. What the newest checkpoint that is old enough calls announced was so before it was
	 * written.
	 */
	async #judgeInherited(options: RequestOptions): Promise<void> {
		const { store, state, gracePeriodMs } = this.#options
		const { announced } = state.manifest
		if (announced !== undefined && gracePeriodMs > 0 && this.#hasWork()) {
			const objects = await this.#listCheckpoints(options)
			const nowMs = await this.#clock.nowMs(options)
			const old = objects.findLast(each => nowMs !== undefined && nowMs - each.lastModifiedMs >= gracePeriodMs)
			const then = old && (await readCheckpoint(store, { ...parseCheckpointKey(old.key), bytes: old.bytes }, options))
			const ripe = old?.key === checkpointKey(announced) ? announced : then?.announced
			if (then !== undefined && ripe !== undefined) this.#ripeness.known(ripe, then.changeFloor)
		}
		this.#isFirst = false
	}

	/** Anything that a ripe checkpoint would let be deleted. */
	#hasWork(): boolean {
		const { manifest, epoch } = this.#options.state
		const isUnswept = manifest.sweptWriterEpoch < manifest.writerPosition.epoch - 1
		return manifest.removed.length > 0 || isUnswept || manifest.sweptMaintenanceEpoch < epoch - 1
	}

	/** Answers the limit of change retention: what was removed later stays, all of it while the wall clock may not decide. */
	async #moveFloor(options: RequestOptions): Promise<number> {
		const { changeRetentionMs, host, state } = this.#options
		const isTimed = changeRetentionMs > 0
		const limitMs = isTimed ? host.clock.nowMs() - changeRetentionMs : Infinity
		const mark = nextFloor(state.manifest, limitMs)
		// Any of them, not the first alone: owners before may have had other clocks.
		const isDue = mark !== undefined || state.manifest.removed.some(({ removedAtMs }) => removedAtMs <= limitMs)
		if (isTimed && !(isDue && (await this.#clock.isTrusted(options)))) return -Infinity
		if (mark !== undefined) {
			await this.#append([{ kind: 'floor', position: mark.position }])
			this.#observe()
		}
		return limitMs
	}

	async #deleteRemoved(
		ripe: CheckpointPositions,
		ripeFloor: LogPosition | undefined,
		removedBeforeMs: number,
		options: CollectOptions,
	): Promise<void> {
		const { state } = this.#options
		const { changeFloor, removed } = state.manifest
		if (removed.length === 0 || comparePositions(removed[0]?.removedAt ?? LOG_START, ripe.maintenancePosition) >= 0)
			return
		this.#checkpoints ??= (await this.#listCheckpoints(options)).map(object => parseCheckpointKey(object.key))
		const limits = {
			ripe,
			past: checkpointAt(this.#checkpoints, changeFloor)?.maintenancePosition,
			protectedPosition: options.protectedPosition,
			removedBeforeMs,
			ripeFloor,
		}
		const candidates = deletableObjects(state.manifest, limits)
		if (candidates.length === 0) return
		const isKept = await this.#lookAtPins(options)
		const doomed = candidates.filter(object => !isKept(object.objectKey))
		this.#isPinned = doomed.length < candidates.length
		for (let from = 0; from < doomed.length; from += DELETE_BATCH) {
			await this.#delete(doomed.slice(from, from + DELETE_BATCH), options)
		}
	}

	async #delete(objects: readonly RemovedObject[], options: RequestOptions): Promise<void> {
		options.signal?.throwIfAborted()
		const objectKeys = objects.map(object => object.objectKey)
		await this.#options.store.deleteMany(objectKeys, options)
		this.#countDeleted(objects)
		await this.#append([{ kind: 'deleted', objectKeys }])
	}

	async #sweepLog(sweep: LogSweep, end: LogPosition, options: RequestOptions): Promise<void> {
		if (!sweep.isDue(end)) return
		const known = knownObjects(this.#options.state.manifest)
		const result = await sweep.sweep(end, key => known.has(key), options)
		this.#deleted.objects += result.deleted
		this.#deleted.bytes += result.bytes
		this.#hasMore ||= result.hasMore
	}

	async #deleteCheckpoints(ripe: CheckpointPositions, options: RequestOptions): Promise<void> {
		const { changeFloor } = this.#options.state.manifest
		if (this.#sweptCheckpoints === ripe && comparePositions(changeFloor, this.#sweptFloor) === 0) return
		// Anew, because one of a maintainer that was fenced may have come late.
		const names = (await this.#listCheckpoints(options)).map(object => parseCheckpointKey(object.key))
		const doomed = new Set(obsoleteCheckpoints(this.#options.state.manifest, names, ripe).map(({ key }) => key))
		if (doomed.size > 0) await this.#options.store.deleteMany([...doomed], options)
		this.#checkpoints = names.filter(({ key }) => !doomed.has(key))
		this.#deleted.objects += doomed.size
		this.#sweptCheckpoints = ripe
		this.#sweptFloor = changeFloor
	}

	/** Uploads of epochs that have ended, which nobody referred to. */
	async #sweepUploads(ripe: CheckpointPositions | undefined, options: CollectOptions): Promise<void> {
		const { state, store } = this.#options
		const seen = this.#ripeness.writerEpoch
		const due = dueEpochs(state.manifest, {
			writerEpoch: Math.max(seen ?? 0, ripe?.writerPosition.epoch ?? 0) - 1,
			// Whoever is the owner saw all earlier epochs end when it began.
			maintenanceEpoch: (seen === undefined ? (ripe?.maintenancePosition.epoch ?? 0) : state.epoch) - 1,
		})
		if (due === undefined) return
		const orphans = await findOrphans(store, state.manifest, due, options)
		if (orphans.length > 0) {
			const isKept = await this.#lookAtPins(options)
			const doomed = orphans.filter(object => !isKept(object.key))
			await store.deleteMany(
				doomed.map(object => object.key),
				options,
			)
			this.#countDeleted(doomed)
		}
		const { writerEpoch, maintenanceEpoch } = due
		await this.#append([{ kind: 'swept', writerEpoch, maintenanceEpoch }])
		this.#hasMore ||= due.hasMore
	}

	async #lookAtPins(options: RequestOptions): Promise<(objectKey: string) => boolean> {
		const { host } = this.#options
		const look = await this.#pins.look(
			async () => ((await this.#clock.isTrusted(options)) ? host.clock.nowMs() : undefined),
			options,
		)
		this.#hasMore ||= look.hasExpired
		return objectKey => look.isKept(objectKey)
	}

	async #listCheckpoints(options: RequestOptions): Promise<ObjectInfo[]> {
		const objects: ObjectInfo[] = []
		for await (const object of listAll(this.#options.store, 'checkpoints/', options)) objects.push(object)
		this.#checkpoints = objects.map(object => parseCheckpointKey(object.key))
		return objects
	}

	async #append(edits: readonly Edit[]): Promise<void> {
		await this.#options.state.append(edits)
		this.#clock.noteWrite()
	}

	#countDeleted(objects: readonly { readonly bytes: number }[]): void {
		const bytes = objects.reduce((sum, object) => sum + object.bytes, this.#deleted.bytes)
		this.#deleted = { objects: this.#deleted.objects + objects.length, bytes }
	}

	#nextInMs(): number | undefined {
		const { changeRetentionMs, host, state } = this.#options
		const { marks, changeFloor, removed } = state.manifest
		const nowMs = host.clock.nowMs()
		const next = marks.find(mark => comparePositions(mark.position, changeFloor) > 0)
		const isAhead = (ms: number): boolean => ms + changeRetentionMs > this.#beganMs
		const removal = removed.find(({ removedAtMs }) => isAhead(removedAtMs))
		const times = [next?.committedAtMs, removal?.removedAtMs].filter(ms => ms !== undefined)
		const waits = times.filter(isAhead).map(ms => Math.max(0, ms + changeRetentionMs - nowMs))
		const ripensInMs = this.#ripeness.nextInMs
		if (ripensInMs !== undefined) waits.push(ripensInMs)
		if (this.#clock.doubtMs > 0) waits.push(this.#clock.doubtMs)
		if (this.#isPinned) waits.push(this.#pins.nextInMs(nowMs))
		return waits.length === 0 ? undefined : Math.min(...waits)
	}
}
