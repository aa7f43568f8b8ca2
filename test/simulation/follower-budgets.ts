/**
 * What those cost who follow a database: a tail in a process of its own, and a maintainer. As in `budgets.ts`, in whatever state a
 * history has left the store, alone but for the writer that is followed.
 */
import type { Database, RunReport } from '../../src/index.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { openSimulatedCompactor } from './maintainer-client.ts'
import { openSimulatedReader } from './reader-client.ts'
import { type Budget, HOUR_MS, judgeCost, NOTHING, openingBudget } from './request-budget.ts'
import { openSimulatedDatabase } from './simulated-database.ts'
import { DEAD } from './simulated-process.ts'
import type { Stage } from './stage.ts'
import { standingManifest } from './standing-state.ts'

/** Removed objects, records of both logs, checkpoints, orphans: each at the beginning, and behind each checkpoint. */
const KINDS_DELETED = 5
const OWNER_RECORDS = 5
/** What waits: 2; clocks and pins: 2. */
const OWNER_LISTS = 4
/** Orphans of each epoch that has ended and was not swept: tables and packs of a writer, and those that it streamed; of a maintainer the first two. */
const WRITER_LISTS = 3
const MAINTAINER_LISTS = 2
const POLL_MS = 300_000
const POLLS = HOUR_MS / POLL_MS + 1
/** Of one commit, and of two that came at once. */
const CHANGES = 6
/** Above it writers are slowed down. */
const L0_MAX_TABLES = 4

/** It waits for an hour, and then commits come. */
export async function judgeTail(stage: Stage): Promise<void> {
	const { l0, writerPosition } = standingManifest(stage.objects)
	if (l0.length >= L0_MAX_TABLES || writerPosition.epoch === 0) return
	// Without polls of its reader.
	const settings = { ...stage.settings, flushIntervalMs: 0, isMaintained: false }
	const place = { engine: stage.engine, settings }
	const writer = stage.start('budget-source', true)
	const { store, host } = writer
	const db = await writer.whileAlive(openSimulatedDatabase(place, { store, host, cacheDir: undefined }))
	const follower = stage.start('budget-tail', true)
	const reader = await follower.whileAlive(
		openSimulatedReader(place, { store: follower.store, host: follower.host, cacheDir: undefined }),
	)
	if (db === DEAD || reader === DEAD) return
	const changes = reader.changes({ from: 'now', pollIntervalMs: POLL_MS })[Symbol.asyncIterator]()
	let seen = 0
	const see = async (): Promise<void> => {
		seen += (await changes.next()).value?.length ?? CHANGES
	}
	let first: Promise<void> = Promise.resolve()
	// It begins with a look of its own.
	const looks = 1 + looksIn(stage, POLLS)
	const idle = { reads: 2 * POLLS + 2, lists: looks, writes: 0, rounds: Number.POSITIVE_INFINITY }
	await judgeCost(stage, follower, 'an idle hour of a tail', idle, async () => {
		first = see()
		await stage.world.sleep(HOUR_MS)
	})
	const beganAt = stage.world.stamp()
	await commitSome(db, stage.key(0))
	// One poll finds them all, in windows of 1, 2 and 4 slots, and reads the maintenance log along; tables that do not ride in their
	// records are read whole. It may have been under way, and comes again then.
	const { length: commits } = createdSince(stage, beganAt, 'log/')
	const windows = commits < 3 ? 3 : 7
	const reads = windows + 1 + (settings.inlineMaxBytes === 0 ? 2 * commits : 0)
	const news = { reads, lists: looksIn(stage, 2), writes: 0, rounds: (2 * POLL_MS) / 1000 + reads }
	await judgeCost(stage, follower, 'news to a tail', news, async () => {
		await first
		while (seen < CHANGES) await see()
		// The poll gives what it has found before it has found the end of the log.
		await stage.world.sleep(POLL_MS)
	})
	// Nobody asks for the next batch: what is committed meanwhile stays where it is.
	await commitSome(db, stage.key(0))
	await judgeCost(stage, follower, 'an hour in which a tail is not asked', { ...NOTHING, rounds: HOUR_MS }, () =>
		stage.world.sleep(HOUR_MS),
	)
	await changes.return?.()
	await judgeCost(stage, follower, 'an hour after a tail', { ...NOTHING, rounds: HOUR_MS }, () =>
		stage.world.sleep(HOUR_MS),
	)
	await follower.whileAlive(reader.close())
	await writer.whileAlive(db.close())
}

/** It works once, finds nothing more to do, and waits for an hour. */
export async function judgeMaintainer(stage: Stage): Promise<void> {
	const process = stage.start('budget-maintainer', true)
	const once = await openSimulatedCompactor(stage, process, false)
	const run = (): Promise<RunReport> => once.runOnce({ deadlineMs: HOUR_MS })
	for (const [isFirst, what] of [
		[true, 'a run of a maintainer'],
		[false, 'another run of a maintainer'],
	] as const) {
		const before = standingManifest(stage.objects)
		const opening = openingBudget(stage, before, 0)
		const beganAt = stage.world.stamp()
		await judgeCost(stage, process, what, report => runBudget(stage, opening, before, beganAt, report, isFirst), run)
	}
	await process.whileAlive(once.close())
	const background = await openSimulatedCompactor(stage, process, true)
	const opening = openingBudget(stage, standingManifest(stage.objects), 0)
	const idle = { ...opening, reads: opening.reads + 2 * POLLS, lists: opening.lists + looksIn(stage, POLLS) }
	// Time alone may make work within the hour.
	const isIdle = (): boolean => background.status().epoch === undefined
	await judgeCost(
		stage,
		process,
		'an idle hour of a maintainer',
		() => (isIdle() ? idle : undefined),
		() => stage.world.sleep(HOUR_MS),
	)
	await process.whileAlive(background.close())
}

/**
 * Both logs are read by who follows, and again by who claims. Each table that a merge reads is small, and read whole, once; a pin is
 * read once. An owner that finds nothing to do writes records alone: its seal, a note when it comes and one when it leaves, what it has
 * swept, and where the past begins; if it is the first to look, also a checkpoint that is due. For each work there are a few records at most, and its outputs; for a checkpoint that and its
 * announcement; what is deleted goes by kinds, each with a record, and lists of it, of checkpoints and of pins.
 */
function runBudget(
	stage: Stage,
	opening: Budget,
	manifest: Manifest,
	beganAt: number,
	{ works, checkpoints, objectsDeleted }: RunReport,
	isFirst: boolean,
): Budget {
	const [records, tables, packs] = ['maintenance/', 'sst/', 'blobs/'].map(
		prefix => createdSince(stage, beganAt, prefix).length,
	) as [number, number, number]
	const { l0, runs, blobPacks, writerPosition, maintenancePosition } = manifest
	// A second sweep looks once more through the last epoch of each log that the first one has looked through.
	const sweep =
		WRITER_LISTS * (writerPosition.epoch - manifest.sweptWriterEpoch + 1) +
		MAINTAINER_LISTS * (maintenancePosition.epoch + 1 - manifest.sweptMaintenanceEpoch + 1)
	const lists = 2 * opening.lists + OWNER_LISTS + sweep
	const owner = { ...opening, reads: 2 * opening.reads + 2, lists }
	if (works === 0 && objectsDeleted === 0) {
		const due = isFirst ? checkpoints : 0
		return { ...owner, writes: Math.min(records, OWNER_RECORDS + due) + due }
	}
	const inputs = runs.reduce((sum, run) => sum + run.tables.length, l0.length) + blobPacks.length + tables + packs
	// Each checkpoint lets more go; records go by epochs.
	const epochs = writerPosition.epoch + maintenancePosition.epoch
	const deletions = objectsDeleted === 0 ? 0 : KINDS_DELETED * (1 + checkpoints) + epochs
	const recordsMax = OWNER_RECORDS + 3 * works + checkpoints + deletions
	return {
		...owner,
		reads: owner.reads + inputs + stage.objects.keys('pins/').length,
		lists: owner.lists + 3 * deletions,
		writes: Math.min(records, recordsMax) + tables + packs + checkpoints + deletions,
	}
}

function createdSince({ objects }: Stage, stamp: number, prefix: string): string[] {
	const keys = [...objects.creations.values()].filter(creation => creation.stamp > stamp).map(({ key }) => key)
	return keys.filter(key => key.startsWith(prefix))
}

/** Looks at the checkpoints within an hour: once in half a grace period, and at the most with each poll. */
function looksIn({ settings: { gracePeriodMs } }: Stage, polls: number): number {
	return Math.min(polls, gracePeriodMs === 0 ? polls : 1 + Math.floor(HOUR_MS / (gracePeriodMs / 2)))
}

async function commitSome(db: Database, key: string): Promise<void> {
	await db.put(key, 'first', { durable: true })
	await Promise.all(['1', '2', '3', '4', '5'].map(value => db.put(key, value, { durable: true })))
}
