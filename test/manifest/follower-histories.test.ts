/**
 * Random histories of a whole prefix: writers, maintainers with a log of their own that announce checkpoints and delete
 * below them after a grace period, and the real follower, polling one slot at a time without a look for half of it.
 * Clocks run at different rates; replies are lost, PUTs come twice, late, and processes crash. The controls plant one bug.
 */
import { expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { Clock } from '../../src/host/clock.ts'
import { claimLog, type LogReplay } from '../../src/log/claim.ts'
import { FencedLog } from '../../src/log/fenced-log.ts'
import { comparePositions, LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord } from '../../src/log/record.ts'
import { checkpointKey, encodeCheckpoint, newestCheckpoint } from '../../src/manifest/checkpoint.ts'
import { encodeCommitBody } from '../../src/manifest/commit.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { encodeEdits } from '../../src/manifest/edit-codec.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { loadManifest, ManifestReplay } from '../../src/manifest/manifest-replay.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { LogOracle } from '../support/log-oracle.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { Scheduler } from '../support/scheduled-store.ts'

type Bug = 'none' | 'trustForTooLong' | 'deleteUnannounced' | 'pollFollowsVoidSeals'

/** In steps of the scheduler; a history has about a thousand. */
const GRACES_MS = [60, 120, 300]
/** A reader that pauses gives away this many turns at the most; others take some five steps for each. */
const PAUSE_MAX_TURNS = 40
const FAULTS = { lostReplies: 0.02, lateDuplicates: 0.15 }
/** Clocks differ by less than the factor 2 that half the grace period leaves. */
const SLOWEST = 0.8
const FASTEST = 1.25

const namesOf = (manifest: Manifest): string[] => manifest.l0.map(table => table.id)

/** Where the newest checkpoint stands in the maintenance log; what the records say does not matter here. */
class MaintenanceReplay implements LogReplay {
	readonly #store: ObjectStore

	constructor(store: ObjectStore) {
		this.#store = store
	}

	async restart(): Promise<LogPosition> {
		return (await newestCheckpoint(this.#store))?.maintenancePosition ?? LOG_START
	}

	apply(): void {}
}

class History {
	readonly #scheduler: Scheduler
	readonly #bug: Bug
	readonly #graceMs: number
	readonly oracle: LogOracle = new LogOracle()
	#values = 0

	constructor(seed: number, bug: Bug) {
		this.#scheduler = new Scheduler(seed)
		this.#bug = bug
		const graceMs = GRACES_MS[this.#scheduler.pick(GRACES_MS.length)] ?? 0
		this.#graceMs = bug === 'none' && this.#scheduler.chance(0.3) ? 0 : graceMs
	}

	async run(): Promise<void> {
		const scheduler = this.#scheduler
		const roles: readonly [string, (me: string) => Promise<void>][] = [
			['writer A', this.#writer],
			['writer B', this.#writer],
			['maintainer 1', this.#maintainer],
			['maintainer 2', this.#maintainer],
			['reader 1', this.#reader],
			['reader 2', this.#reader],
		]
		for (const [name, role] of roles) {
			scheduler.start(
				name,
				() => role(name),
				error => this.#check(error, name),
			)
		}
		await scheduler.run(20_000)
		scheduler.start(
			'final',
			async () =>
				this.oracle.judge(
					namesOf(await this.#replay(scheduler.storeOf('final', { lostReplies: 0, lateDuplicates: 0 }))),
				),
			error => this.oracle.problems.push(`final: ${String(error)}`),
		)
		await scheduler.run(20_000)
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

	#replay(store: ObjectStore): Promise<Manifest> {
		return loadManifest(new DatabaseLogs(store))
	}

	#writer = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		for (let life = 0; life < 3; life++) {
			const logs = new DatabaseLogs(scheduler.storeOf(me, FAULTS))
			const replay = new ManifestReplay(logs)
			const owner = await claimLog({ log: logs.writer, host: scheduler.hostOf(me), replay })
			const known = replay.manifestAt({ epoch: owner.epoch, slot: 0 })
			this.oracle.claim(me, owner.epoch, namesOf(known))
			let { lastSeq } = known
			for (let batch = 0; batch < 3 + scheduler.pick(5); batch++) {
				const flight = Array.from({ length: 1 + scheduler.pick(2) }, () => {
					const sent = this.oracle.send(`${me}.${life}.${this.#values++}`, owner.epoch)
					const { meta } = tableOf(sent.value, lastSeq + 1, ++lastSeq)
					const place = { kind: 'object', objectKey: `sst/${lastSeq}` } as const
					const tables = [{ id: sent.value, meta, place }]
					const body = { firstSeq: lastSeq, lastSeq, committedAtMs: 0, tables, blobPacks: [] }
					return owner.append(encodeCommitBody(body), []).committed.then(
						() => this.oracle.acknowledge(sent),
						error => isIsleError(error, 'ISLE_FENCED') && this.oracle.fence(sent),
					)
				})
				if (scheduler.chance(0.02)) await scheduler.crash(me)
				await Promise.all(flight)
				if (owner.failure !== undefined) throw owner.failure
			}
		}
	}

	/** One fenced role: checkpoint, announcement in the maintenance log, and deletions below what was announced. */
	#maintainer = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const clock = this.#clockOf(me)
		const store = scheduler.storeOf(me, FAULTS)
		const log = new FencedLog({
			store,
			folder: 'maintenance',
			newestCheckpoint: async options => (await newestCheckpoint(store, options))?.maintenancePosition,
		})
		// A database begins with its writer log: maintenance does not make one.
		while ((await this.#replay(store)).writerPosition.epoch === 0) await clock.yieldToIo()
		for (let life = 0; life < 2; life++) {
			const owner = await claimLog({ log, host: scheduler.hostOf(me), replay: new MaintenanceReplay(store) })
			const announced: { readonly checkpoint: Manifest; readonly sinceMs: number }[] = []
			for (let round = 0; round < 8; round++) {
				const checkpoint = { ...(await this.#replay(store)), maintenancePosition: owner.nextPosition }
				const outcome = await store.createIfAbsent(checkpointKey(checkpoint), encodeCheckpoint(checkpoint))
				if (outcome.kind === 'unknown' && (await store.get(checkpointKey(checkpoint))) === undefined) continue
				const announcement = owner.append(encodeEdits({ ...checkpoint, committedAtMs: 0, edits: [] }), []).committed
				if (this.#bug === 'deleteUnannounced') announcement.catch(() => undefined)
				else await announcement
				announced.push({ checkpoint, sinceMs: clock.monotonicMs() })
				if (scheduler.chance(0.03)) await scheduler.crash(me)
				const ripe = announced.filter(({ sinceMs }) => clock.monotonicMs() - sinceMs >= this.#graceMs).at(-1)
				if (ripe !== undefined) await this.#deleteBelow(store, ripe.checkpoint)
			}
		}
	}

	/** Commits of both logs below an announced checkpoint, any subset in any order, and older checkpoints; never a seal. */
	async #deleteBelow(store: ObjectStore, checkpoint: Manifest): Promise<void> {
		const scheduler = this.#scheduler
		const doomed: string[] = []
		for (const [folder, end] of [
			['log/', checkpoint.writerPosition],
			['maintenance/', checkpoint.maintenancePosition],
		] as const) {
			for (const { key } of (await store.list({ prefix: folder })).objects) {
				const [, epoch, slot] = key.split('/')
				const position = { epoch: Number(epoch), slot: Number(slot) }
				const bytes = scheduler.objects.get(key)
				if (bytes === undefined || comparePositions(position, end) >= 0) continue
				if (decodeRecord(bytes, position, key).kind === 'commit') doomed.push(key)
			}
		}
		const { objects } = await store.list({ prefix: 'checkpoints/' })
		doomed.push(...objects.map(({ key }) => key).filter(key => key < checkpointKey(checkpoint)))
		while (doomed.length > 0) {
			const [key] = doomed.splice(scheduler.pick(doomed.length), 1)
			if (key !== undefined && !scheduler.chance(0.2)) await store.delete(key)
		}
	}

	#reader = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const store = scheduler.storeOf(me, FAULTS)
		const clock = this.#clockOf(me)
		const gracePeriodMs = this.#bug === 'trustForTooLong' ? this.#graceMs * 20 : this.#graceMs
		const options = { store, host: { clock, random: scheduler.random }, gracePeriodMs }
		const follower = await ManifestFollower.open(options)
		if (this.#bug === 'pollFollowsVoidSeals') follower.log.isConfirmedBy = () => true
		for (let round = 0; round < 25; round++) {
			const turns = scheduler.chance(0.3) ? scheduler.pick(PAUSE_MAX_TURNS) : 0
			for (let turn = 0; turn < turns; turn++) await clock.yieldToIo()
			const before = [...this.oracle.acknowledged]
			try {
				await (scheduler.chance(0.15) ? follower.refresh() : follower.poll())
			} catch (error) {
				if (!isIsleError(error, 'ISLE_UNAVAILABLE')) throw error
				continue
			}
			this.oracle.view(me, namesOf(follower.manifest), before)
		}
	}
}

async function histories(count: number, firstSeed: number, bug: Bug): Promise<{ bad: string[]; acknowledged: number }> {
	const bad: string[] = []
	let acknowledged = 0
	for (let seed = firstSeed; seed < firstSeed + count; seed++) {
		const { oracle, ...history } = await runHistory(seed, bug)
		acknowledged += history.acknowledged
		if (oracle.problems.length > 0) bad.push(`seed ${seed}: ${oracle.problems[0]}`)
		if (bug !== 'none' && bad.length > 0) break
	}
	return { bad, acknowledged }
}

async function runHistory(seed: number, bug: Bug): Promise<{ oracle: LogOracle; acknowledged: number }> {
	const history = new History(seed, bug)
	await history.run().catch(error => history.oracle.problems.push(String(error)))
	return { oracle: history.oracle, acknowledged: history.oracle.acknowledged.length }
}

/** More by hand: ISLE_LOG_HISTORIES=100000 ISLE_LOG_SEED=7 npm test -- test/manifest/follower-histories */
const COUNT = Number(process.env.ISLE_LOG_HISTORIES ?? 600)
const SEED = Number(process.env.ISLE_LOG_SEED ?? 1)

test('every poll and refresh shows what was acknowledged before it, in random histories with and without grace', async () => {
	const { bad, acknowledged } = await histories(COUNT, SEED, 'none')
	expect(bad, `of seeds ${SEED} … ${SEED + COUNT - 1}`).toEqual([])
	expect(acknowledged).toBeGreaterThan(COUNT * 5)
})

const BUGS: readonly Bug[] = ['trustForTooLong', 'deleteUnannounced', 'pollFollowsVoidSeals']

test.each(BUGS)('the planted bug %s is found within 500 histories', async bug => {
	const { bad } = await histories(500, 1, bug)
	expect(bad).not.toEqual([])
})
