/**
 * A trade of toys for the loop of a maintainer: one world with a maintenance log and work that is given by hand, shared by any
 * number of maintainers. It counts what a store would be asked.
 */
import { IsleError } from '../../src/errors.ts'
import type {
	FollowedLogs,
	MaintenanceTrade,
	OwnedLog,
	PlannedWork,
	WorkDesk,
	WorkOutcome,
} from '../../src/maintenance/maintainer-parts.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'

/** Work that is there until it is done, whoever does it. */
export interface ToyWork {
	readonly name: string
	readonly policy: string
	readonly bytes: number
	/** Ends when this does; aborted at once by the signal. */
	readonly until?: Promise<void> | undefined
	readonly error?: unknown
	/** It finds that its time has not come, and is not planned again. */
	readonly isPostponed?: boolean
	/** It does not look whether its time is over: only the signal ends it. */
	readonly isPatient?: boolean
}

/** From this size on a toy is large. */
const TOY_LARGE_BYTES = 1000

export class ToyWorld {
	manifest: Manifest = { ...EMPTY_MANIFEST, writerPosition: { epoch: 1, slot: 5 } }
	requests = 0
	readonly works: ToyWork[] = []
	/** Names of works as they begin and end. */
	readonly events: string[] = []
	/** Thrown by the next request. */
	trouble: unknown
	/** Housekeeping that is due, in objects that it would delete. */
	garbage = 0

	request(): void {
		this.requests++
		if (this.trouble !== undefined) throw this.trouble
	}

	commit(): void {
		const { epoch, slot } = this.manifest.writerPosition
		this.manifest = { ...this.manifest, writerPosition: { epoch, slot: slot + 1 } }
	}

	/** Another writer takes over. */
	sealWriter(): void {
		this.manifest = { ...this.manifest, writerPosition: { epoch: this.manifest.writerPosition.epoch + 1, slot: 0 } }
	}

	append(epoch: number, edits: readonly Edit[]): EditRecord {
		this.request()
		const { maintenancePosition, writerPosition } = this.manifest
		if (maintenancePosition.epoch !== epoch) throw new IsleError('ISLE_FENCED', 'another owner has taken the log over')
		for (const edit of edits)
			if (edit.kind === 'maintainer') this.manifest = { ...this.manifest, maintainer: edit.note }
		const { slot } = maintenancePosition
		this.manifest = { ...this.manifest, maintenancePosition: { epoch, slot: slot + 1 } }
		return { position: maintenancePosition, writerPosition, committedAtMs: 0, edits }
	}

	claim(): number {
		this.request()
		const epoch = this.manifest.maintenancePosition.epoch + 1
		this.manifest = { ...this.manifest, maintenancePosition: { epoch, slot: 0 } }
		return epoch
	}
}

class ToyOwner implements OwnedLog {
	readonly #world: ToyWorld
	readonly epoch: number
	failure: Error | undefined

	constructor(world: ToyWorld, epoch: number) {
		this.#world = world
		this.epoch = epoch
	}

	get manifest(): Manifest {
		return this.#world.manifest
	}

	async follow(): Promise<void> {
		this.#world.request()
	}

	async append(edits: readonly Edit[]): Promise<EditRecord> {
		try {
			return this.#world.append(this.epoch, edits)
		} catch (error) {
			if (error instanceof IsleError && error.code === 'ISLE_FENCED') this.failure = error
			throw error
		}
	}
}

export function toyTrade(world: ToyWorld, policies: readonly string[], writerEpoch = 0): MaintenanceTrade {
	return {
		policies,
		hasWork: () => world.works.some(work => policies.includes(work.policy)),
		isUndone: (_manifest, _nowMs, some) => world.works.some(work => some.includes(work.policy)),
		nextDueMs: () => undefined,
		async claim() {
			const owner = new ToyOwner(world, world.claim())
			await owner.append([{ kind: 'maintainer', note: { policies, writerEpoch } }])
			return { owner, desk: toyDesk(world, policies, owner) }
		},
		async openFollower(): Promise<FollowedLogs> {
			world.request()
			let { manifest } = world
			return {
				get manifest() {
					return manifest
				},
				async poll() {
					world.request()
					manifest = world.manifest
				},
			}
		},
	}
}

function toyDesk(world: ToyWorld, policies: readonly string[], owner: OwnedLog): WorkDesk {
	return {
		memory: { mergeBytes: 0, tableBytes: 0 },
		plan({ busy, quarantined, isLargeAllowed }): PlannedWork | undefined {
			const work = world.works.find(
				({ name, policy, bytes }) =>
					policies.includes(policy) &&
					!busy.has(name) &&
					!quarantined.has(name) &&
					(isLargeAllowed || bytes < TOY_LARGE_BYTES),
			)
			return work && planned(world, owner, work)
		},
		nextDueMs: () => undefined,
		async tend({ isLast }) {
			if (isLast || world.garbage > 0) world.request()
			const objectsDeleted = world.garbage
			world.garbage = 0
			return {
				checkpoints: isLast ? 1 : 0,
				objectsDeleted,
				bytesDeleted: objectsDeleted,
				unreadablePins: [],
				nextDueMs: undefined,
			}
		},
	}
}

function planned(world: ToyWorld, owner: OwnedLog, work: ToyWork): PlannedWork {
	return {
		kind: 'merge',
		why: `${work.name} is due`,
		tables: [work.name],
		reads: [work.name],
		bytes: work.bytes,
		async run({ signal, isOver, onProgress }): Promise<WorkOutcome> {
			world.events.push(`begin ${work.name}`)
			onProgress(work.bytes / 2)
			try {
				await Promise.race([work.until, aborted(signal), ...(work.isPatient ? [] : [over(isOver)])])
				if (isOver()) {
					world.events.push(`pause ${work.name}`)
					return { kind: 'paused', bytesRead: 0, bytesWritten: 0, tablesDropped: 0 }
				}
				signal.throwIfAborted()
				if (work.error !== undefined) throw work.error
				if (work.isPostponed !== true) await owner.append([])
			} catch (error) {
				world.events.push(`${signal.aborted ? 'stop' : 'fail'} ${work.name}`)
				throw error
			}
			world.works.splice(world.works.indexOf(work), 1)
			if (work.isPostponed === true) {
				world.events.push(`postpone ${work.name}`)
				return { kind: 'postponed', bytesRead: 0, bytesWritten: 0, tablesDropped: 0 }
			}
			world.events.push(`end ${work.name}`)
			return { kind: 'done', bytesRead: work.bytes, bytesWritten: work.bytes, tablesDropped: 0 }
		},
	}
}

function aborted(signal: AbortSignal): Promise<void> {
	return new Promise((_, reject) => {
		if (signal.aborted) reject(signal.reason)
		signal.addEventListener('abort', () => reject(signal.reason), { once: true })
	})
}

/** Looks at every turn of the event loop. */
async function over(isOver: () => boolean): Promise<void> {
	while (!isOver()) await new Promise(resolve => setImmediate(resolve))
}
