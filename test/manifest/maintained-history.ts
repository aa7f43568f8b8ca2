/**
 * One random history of a database that is maintained: writers, real owners of the maintenance log that merge tables, announce
 * checkpoints and delete what was removed, and readers of both logs. Replies are lost, PUTs come twice, late, processes
 * crash, maintainers are fenced at any point; the grace period is 0 or longer. A planted bug makes one of them go wrong.
 */
import { isIsleError } from '../../src/errors.ts'
import type { Clock } from '../../src/host/clock.ts'
import { claimLog } from '../../src/log/claim.ts'
import { comparePositions, type LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord } from '../../src/log/record.ts'
import { checkpointKey } from '../../src/manifest/checkpoint.ts'
import { encodeCommitBody } from '../../src/manifest/commit.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { type AnnouncedCheckpoint, MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { loadManifest, ManifestReplay } from '../../src/manifest/manifest-replay.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { LogOracle } from '../support/log-oracle.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { createUntilThere, Scheduler } from '../support/scheduled-store.ts'

export type Bug =
	| 'none'
	| 'deleteBeforeTheEdit'
	| 'deleteLiveRecords'
	| 'deleteWithoutGrace'
	| 'readerDoesNotLook'
	| 'readerSkipsEdits'

/** In steps of the scheduler; a history has about a thousand. */
const GRACES_MS = [0, 0, 60, 200]
const LONG_GRACE_MS = 2_000
/** A reader that pauses gives away this many turns at the most; others take some five steps for each. */
const PAUSE_MAX_TURNS = 40
const FAULTS = { lostReplies: 0.02, lateDuplicates: 0.15 }
const NO_FAULTS = { lostReplies: 0, lateDuplicates: 0 }
/** Clocks differ by less than the factor 2 that half the grace period leaves. */
const SLOWEST = 0.8
const FASTEST = 1.25
const RENEWALS_MAX = 20

export class MaintainedHistory {
	readonly #scheduler: Scheduler
	readonly #bug: Bug
	readonly #graceMs: number
	readonly oracle: LogOracle = new LogOracle()
	/** What each table holds, in order. */
	readonly #values = new Map<string, readonly string[]>()
	#minted = 0
	merges = 0
	deletions = 0

	constructor(seed: number, bug: Bug) {
		this.#scheduler = new Scheduler(seed)
		this.#bug = bug
		const graceMs = GRACES_MS[this.#scheduler.pick(GRACES_MS.length)] ?? 0
		this.#graceMs = bug === 'deleteWithoutGrace' ? LONG_GRACE_MS : graceMs
	}

	async run(): Promise<void> {
		const roles: readonly [string, (me: string) => Promise<void>][] = [
			['writer A', this.#writer],
			['writer B', this.#writer],
			['maintainer 1', this.#maintainer],
			['maintainer 2', this.#maintainer],
			['reader 1', this.#reader],
			['reader 2', this.#reader],
		]
		for (const [name, role] of roles) {
			this.#scheduler.start(
				name,
				() => role(name),
				error => this.#check(error, name),
			)
		}
		await this.#scheduler.run(30_000)
		this.#scheduler.start(
			'final',
			async () => {
				const manifest = await loadManifest(new DatabaseLogs(this.#scheduler.storeOf('final', NO_FAULTS)))
				this.oracle.judge(this.#valuesOf(manifest))
				const missing = this.#missingOf(manifest)
				if (missing !== undefined) this.oracle.problems.push(`the final state misses ${missing}`)
			},
			error => this.oracle.problems.push(`final: ${String(error)}`),
		)
		await this.#scheduler.run(20_000)
	}

	#check(error: unknown, name: string): void {
		for (const code of ['ISLE_FENCED', 'ISLE_UNAVAILABLE', 'ISLE_INDETERMINATE'] as const) {
			if (isIsleError(error, code)) return
		}
		this.oracle.problems.push(`${name}: ${String(error)}`)
	}

	#clockOf(me: string): Clock {
		return this.#scheduler.hostOf(me, SLOWEST + this.#scheduler.random.next() * (FASTEST - SLOWEST)).clock
	}

	#valuesOf({ runs, l0 }: Manifest): string[] {
		const tables = [...runs.toReversed().flatMap(run => run.tables), ...l0]
		return tables.flatMap(table => this.#values.get(table.id) ?? [`nothing known of ${table.id}`])
	}

	#missingOf({ runs, l0 }: Manifest): string | undefined {
		const tables = [...l0, ...runs.flatMap(run => run.tables)]
		return tables.find(table => !this.#scheduler.objects.has(table.objectKey))?.objectKey
	}

	#writer = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const store = scheduler.storeOf(me, FAULTS)
		for (let life = 0; life < 3; life++) {
			const logs = new DatabaseLogs(store)
			const replay = new ManifestReplay(logs)
			const owner = await claimLog({ log: logs.writer, host: scheduler.hostOf(me), replay })
			const known = replay.manifestAt(owner.nextPosition)
			this.oracle.claim(me, owner.epoch, this.#valuesOf(known))
			let { lastSeq } = known
			for (let commit = 0; commit < 4 + scheduler.pick(6); commit++) {
				const sent = this.oracle.send(`${me}.${life}.${this.#minted++}`, owner.epoch)
				const table = tableOf(`w${owner.epoch}-${this.#minted++}`, ++lastSeq, lastSeq)
				this.#values.set(table.id, [sent.value])
				const isInline = scheduler.chance(0.5)
				if (!isInline) await createUntilThere(store, table.objectKey)
				const place = isInline
					? ({ kind: 'inline', section: 0 } as const)
					: ({ kind: 'object', objectKey: table.objectKey } as const)
				const tables = [{ id: table.id, meta: table.meta, place }]
				const body = { firstSeq: lastSeq, lastSeq, committedAtMs: lastSeq, tables, blobPacks: [] }
				const sections = isInline ? [new Uint8Array(table.meta.storedBytes)] : []
				await owner.append(encodeCommitBody(body), sections).committed.then(
					() => this.oracle.acknowledge(sent),
					error => isIsleError(error, 'ISLE_FENCED') && this.oracle.fence(sent),
				)
				if (owner.failure !== undefined) throw owner.failure
				if (scheduler.chance(0.02)) await scheduler.crash(me)
			}
		}
	}

	#maintainer = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const clock = this.#clockOf(me)
		const store = scheduler.storeOf(me, FAULTS)
		for (let life = 0; life < 3; life++) {
			const owner = await this.#claim(me, store, clock)
			const ripening: { readonly announced: AnnouncedCheckpoint; readonly sinceMs: number }[] = []
			for (let round = 0; round < 14; round++) {
				await owner.follow().catch(error => this.#unlessUnavailable(error))
				const action = scheduler.pick(10)
				const graceMs = this.#bug === 'deleteWithoutGrace' ? 0 : this.#graceMs
				if (action < 5) await this.#merge(owner, store)
				else if (action < 8) ripening.push({ announced: await owner.checkpoint(), sinceMs: clock.monotonicMs() })
				else {
					const ripe = ripening.findLast(({ sinceMs }) => clock.monotonicMs() - sinceMs >= graceMs)
					if (ripe !== undefined) await this.#collect(owner, store, ripe.announced)
				}
				if (scheduler.chance(0.02)) await scheduler.crash(me)
			}
		}
	}

	async #claim(me: string, store: ObjectStore, clock: Clock): Promise<MaintenanceOwner> {
		const note = { policies: [me], writerEpoch: 0 }
		for (;;) {
			try {
				const host = { clock, random: this.#scheduler.random }
				return await MaintenanceOwner.claim({ store, host, note })
			} catch (error) {
				// There is no database yet.
				if (!isIsleError(error, 'ISLE_NOT_FOUND')) throw error
				await clock.yieldToIo()
			}
		}
	}

	/** A prefix of L0, with or without the newest run, becomes a run of one table. */
	async #merge(owner: MaintenanceOwner, store: ObjectStore): Promise<void> {
		const scheduler = this.#scheduler
		const { l0, runs } = owner.manifest
		const inputs: TableRef[] = l0.slice(0, 1 + scheduler.pick(l0.length + 1))
		if (scheduler.chance(0.5) || inputs.length === 0) inputs.unshift(...(runs[0]?.tables ?? []))
		if (inputs.length === 0) return
		const id = owner.nextTableId()
		const seqs = inputs.flatMap(table => [table.meta.minSeq, table.meta.maxSeq])
		const table = tableOf(id, Math.min(...seqs), Math.max(...seqs))
		const byAge = inputs.toSorted((a, b) => a.meta.minSeq - b.meta.minSeq)
		this.#values.set(
			id,
			byAge.flatMap(input => this.#values.get(input.id) ?? []),
		)
		await createUntilThere(store, table.objectKey)
		if (this.#bug === 'deleteBeforeTheEdit') {
			for (const { objectKey } of inputs) if (objectKey.startsWith('sst/')) await store.delete(objectKey)
		}
		const remove = inputs.map(input => input.id)
		await owner.append([{ kind: 'replace', remove, add: [{ runId: id, table }], addPacks: [] }])
		this.merges++
	}

	/** What was removed below an announced checkpoint; records of both logs below it; older checkpoints. In any order. */
	async #collect(owner: MaintenanceOwner, store: ObjectStore, announced: AnnouncedCheckpoint): Promise<void> {
		const { maintenancePosition, writerPosition } = announced
		if (comparePositions(writerPosition, owner.manifest.changeFloor) > 0) {
			await owner.append([{ kind: 'floor', position: writerPosition }])
		}
		const removed = owner.manifest.removed
			.filter(object => comparePositions(object.removedAt, maintenancePosition) < 0)
			.map(object => object.objectKey)
		const { l0, runs, removed: waiting } = owner.manifest
		const kept = new Set([...l0, ...runs.flatMap(run => run.tables), ...waiting].map(object => object.objectKey))
		const doomed = [
			...removed,
			...this.#records('log/', writerPosition).filter(key => this.#bug === 'deleteLiveRecords' || !kept.has(key)),
			...this.#records('maintenance/', maintenancePosition),
			...[...this.#scheduler.objects.keys()].filter(
				key => key.startsWith('checkpoints/') && key < checkpointKey(announced),
			),
		]
		const deleted = new Set<string>()
		while (doomed.length > 0) {
			const [key] = doomed.splice(this.#scheduler.pick(doomed.length), 1)
			if (key === undefined || this.#scheduler.chance(0.2)) continue
			await store.delete(key)
			deleted.add(key)
			this.deletions++
		}
		const objectKeys = removed.filter(key => deleted.has(key))
		if (objectKeys.length > 0) await owner.append([{ kind: 'deleted', objectKeys }])
	}

	/** Commits of a log below `end`; seals are never deleted. */
	#records(folder: string, end: LogPosition): string[] {
		return [...this.#scheduler.objects].flatMap(([key, bytes]) => {
			if (!key.startsWith(folder)) return []
			const [, epoch, slot] = key.split('/')
			const position = { epoch: Number(epoch), slot: Number(slot) }
			const isOld = comparePositions(position, end) < 0
			return isOld && decodeRecord(bytes, position, key).kind === 'commit' ? [key] : []
		})
	}

	#unlessUnavailable(error: unknown): void {
		if (!isIsleError(error, 'ISLE_UNAVAILABLE')) throw error
	}

	#reader = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const clock = this.#clockOf(me)
		const follower = await ManifestFollower.open({
			store: this.#storeOfReader(me),
			host: { clock, random: scheduler.random },
			gracePeriodMs: this.#graceMs,
			maintenancePollMs: scheduler.pick(80),
		})
		for (let round = 0; round < 25; round++) {
			const turns = scheduler.chance(0.3) ? scheduler.pick(PAUSE_MAX_TURNS) : 0
			for (let turn = 0; turn < turns; turn++) await clock.yieldToIo()
			const before = [...this.oracle.acknowledged]
			try {
				await (scheduler.chance(0.3) ? follower.refresh() : follower.poll())
				this.oracle.view(me, this.#valuesOf(follower.manifest), before)
				await this.#read(me, follower)
			} catch (error) {
				this.#unlessUnavailable(error)
			}
		}
	}

	/** As reads do it: a missing object is a reason to refresh, and may not be part of the newest state. */
	async #read(me: string, follower: ManifestFollower): Promise<void> {
		for (let renewal = 0; renewal < RENEWALS_MAX; renewal++) {
			const { manifest } = follower
			const missing = this.#missingOf(manifest)
			if (missing === undefined) return
			await follower.refresh()
			if (follower.manifest === manifest) this.oracle.problems.push(`${me} misses ${missing} in the newest state`)
		}
	}

	#storeOfReader(me: string): ObjectStore {
		const store = this.#scheduler.storeOf(me, FAULTS)
		if (this.#bug === 'readerDoesNotLook') {
			let looks = 0
			const list = store.list.bind(store)
			// The first one finds what to open.
			store.list = options => (looks++ === 0 ? list(options) : Promise.resolve({ objects: [], isTruncated: false }))
		}
		if (this.#bug === 'readerSkipsEdits') {
			const get = store.get.bind(store)
			store.get = async (key, options) => (key.startsWith('maintenance/') ? undefined : await get(key, options))
		}
		return store
	}
}
