/**
 * What operations cost when nothing goes wrong and nobody else is at work. At the end of some histories, in whatever state they have left
 * the store, a reader and a writer do one thing after another, and each is held to what the documents say: `docs/performance.md`
 * (budgets of reads), `docs/fenced-log.md` (what opening, polls, refreshes and commits cost).
 *
 * How many requests follow one another is told by the time: while this is measured each takes a second, and nothing else takes any.
 */
import type { Database, DatabaseReader } from '../../src/index.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { LOOK_BEHIND_SLOTS, OPEN_WINDOW_SLOTS } from './engine.ts'
import { hash } from './faults.ts'
import { openSimulatedReader, pollMs } from './reader-client.ts'
import { auditHistory, type Finish } from './rest.ts'
import { openSimulatedDatabase } from './simulated-database.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Stage } from './stage.ts'

/** At the most. */
interface Budget {
	readonly reads: number
	readonly lists: number
	readonly writes: number
	/** Requests that follow one another. */
	readonly rounds: number
}

const ROUND_MS = 1000
const HOUR_MS = 3_600_000
/** One in so many histories ends like this. */
const ONE_IN = 16
const NOTHING: Budget = { reads: 0, lists: 0, writes: 0, rounds: 0 }
/** Above it writers are slowed down. */
const L0_MAX_TABLES = 4

export function hasBudgets(seed: number): boolean {
	return hash(seed, 23, 29) % ONE_IN === 0
}

export async function judgeBudgets(stage: Stage, finish: Finish): Promise<void> {
	const { manifest } = await auditHistory(stage)
	await finish('budgets', new Budgets(stage, manifest).judge())
}

class Budgets {
	readonly #stage: Stage
	readonly #manifest: Manifest

	constructor(stage: Stage, manifest: Manifest) {
		this.#stage = stage
		this.#manifest = manifest
	}

	async judge(): Promise<void> {
		const process = this.#stage.start('budget-reader', true)
		const { store, host } = process
		const open = (): Promise<DatabaseReader> => openSimulatedReader(this.#stage, { store, host, cacheDir: undefined })
		const reader = await this.#cost(process, 'opening a reader', this.#opening(0), open)
		if (reader === DEAD) return
		await this.#reads(process, reader)
		await this.#idle(process)
		if (this.#manifest.l0.length < L0_MAX_TABLES && this.#manifest.writerPosition.epoch > 0) {
			await this.#writes(process, reader)
		}
		await this.#cost(process, 'closing a reader', NOTHING, () => reader.close())
	}

	async #reads(process: SimulatedProcess, reader: DatabaseReader): Promise<void> {
		const { cacheBytes } = this.#stage.settings
		const refresh = { reads: 2, lists: 1, writes: 0, rounds: 2 }
		await this.#cost(process, 'a refresh, nothing new', refresh, () => reader.refresh())
		const { l0, runs } = this.#manifest
		// Of each table its end and a block; of large values a part of a pack.
		const cold = { ...NOTHING, reads: 2 * (l0.length + runs.length), rounds: 2 }
		const warm = this.#hasPacks ? withPack(NOTHING) : NOTHING
		for (const key of this.#stage.keys) {
			await this.#cost(process, `a get of ${key}`, withPack(cold), () => reader.get(key))
			if (cacheBytes === 0) continue
			await this.#cost(process, `a get of ${key}, again`, warm, () => reader.get(key))
		}
		const packs = this.#hasPacks ? this.#stage.keys.length : 0
		const scan = async (): Promise<void> => {
			for await (const _row of reader.entries({ limit: 10 }));
		}
		// Rows of ten keys are in every table here, and those whose range begins later are opened later.
		const tables = runs.reduce((sum, run) => sum + run.tables.length, l0.length)
		const first = { ...NOTHING, reads: 2 * tables + packs, rounds: 2 * tables + packs }
		await this.#cost(process, 'a scan of ten rows', first, scan)
		if (cacheBytes === 0) return
		await this.#cost(process, 'the scan again', { ...NOTHING, reads: packs, rounds: packs }, scan)
	}

	/** Large values, and those that came as streams, are never kept in memory. */
	get #hasPacks(): boolean {
		return this.#manifest.blobPacks.length > 0
	}

	/** Polls ask for the next slot of each log, and look at the checkpoints once in half a grace period. */
	async #idle(process: SimulatedProcess): Promise<void> {
		const { gracePeriodMs } = this.#stage.settings
		const refreshIntervalMs = pollMs(this.#stage.settings)
		const polls = refreshIntervalMs === 0 ? 0 : Math.ceil(HOUR_MS / refreshIntervalMs) + 1
		const lists = Math.min(polls, gracePeriodMs === 0 ? polls : 1 + Math.floor(HOUR_MS / (gracePeriodMs / 2)))
		const budget = { reads: 2 * polls, lists, writes: 0, rounds: Number.POSITIVE_INFINITY }
		await this.#cost(process, 'an idle hour of a reader', budget, () => this.#stage.world.sleep(HOUR_MS))
	}

	async #writes(readerProcess: SimulatedProcess, reader: DatabaseReader): Promise<void> {
		const process = this.#stage.start('budget-writer', true)
		const { settings } = this.#stage
		const place = { store: process.store, host: process.host, cacheDir: undefined }
		const open = (): Promise<Database> =>
			openSimulatedDatabase({ engine: this.#stage.engine, settings: { ...settings, isMaintained: false } }, place)
		const db = await this.#cost(process, 'opening a writer', this.#opening(1), open)
		if (db === DEAD) return
		// A table that does not ride in the record of its commit is uploaded before that.
		const apart = settings.inlineMaxBytes === 0 ? 1 : 0
		const commit = { reads: 0, lists: 0, writes: 1 + apart, rounds: 1 + apart }
		const [key = ''] = this.#stage.keys
		await this.#cost(process, 'a durable put', commit, () => db.put(key, 'small', { durable: true }))
		await this.#cost(process, 'a get of what was just written', NOTHING, () => db.get(key))
		const two = { ...commit, writes: 2 * commit.writes, rounds: 2 * commit.rounds }
		await this.#cost(process, 'five durable puts at once', two, () =>
			Promise.all(this.#five(key, (of, value) => db.put(of, value, { durable: true }))),
		)
		await this.#cost(process, 'an idle hour of a writer', { ...NOTHING, rounds: Number.POSITIVE_INFINITY }, () =>
			this.#stage.world.sleep(HOUR_MS),
		)
		// Three commits and a takeover: of each log a window that grows, and one look.
		const news = { reads: 12, lists: 2, writes: 0, rounds: 8 }
		await this.#cost(readerProcess, 'a refresh of four records', news, () => reader.refresh())
		await this.#cost(process, 'closing a writer', NOTHING, () => db.close())
	}

	#five<Result>(key: string, write: (key: string, value: string) => Result): Result[] {
		return ['1', '2', '3', '4', '5'].map(value => write(key, value))
	}

	/** Each log behind the newest checkpoint, in windows; what stands behind their ends; two looks; of a writer its seal. */
	#opening(writes: number): Budget {
		const names = [...this.#stage.objects.page({ prefix: 'checkpoints/' }).objects].map(({ key }) => key)
		const [, ...digits] = /^checkpoints\/(\d+)-(\d+)_(\d+)-(\d+)$/.exec(names.at(-1) ?? '') ?? []
		const [maintenanceEpoch = 0, maintenanceSlot = 0, writerEpoch = 0, writerSlot = 0] = digits.map(Number)
		const { writerPosition, maintenancePosition } = this.#manifest
		const reads =
			this.#logReads('log', { epoch: writerEpoch, slot: writerSlot }, writerPosition) +
			this.#logReads('maintenance', { epoch: maintenanceEpoch, slot: maintenanceSlot }, maintenancePosition)
		return { reads: reads + 1, lists: 2, writes, rounds: Number.POSITIVE_INFINITY }
	}

	#logReads(folder: string, from: LogPosition, to: LogPosition): number {
		const { kind } = this.#stage.settings
		const begin = `${folder}/${digitsOf(from.epoch)}/${digitsOf(from.slot)}`
		const records = this.#stage.objects.page({ prefix: `${folder}/` }).objects.filter(({ key }) => key >= begin).length
		const epochs = to.epoch - from.epoch + 1
		// The maintenance log is read along, always in windows of as many.
		const windowSlots = OPEN_WINDOW_SLOTS[folder === 'log' ? kind : 'long']
		return 2 * records + epochs * windowSlots + LOOK_BEHIND_SLOTS[kind] + 1
	}

	/** Runs it, and compares. */
	async #cost<Result>(
		process: SimulatedProcess,
		what: string,
		budget: Budget,
		run: () => Promise<Result>,
	): Promise<Result | typeof DEAD> {
		const { world } = this.#stage
		const { store } = process
		const before = { ...store.counts }
		const beganMs = world.nowMs
		store.latencyMs = ROUND_MS
		world.isPunctual = true
		const result = await process.whileAlive(run())
		store.latencyMs = 0
		world.isPunctual = false
		const cost: Budget = {
			reads: store.counts.reads - before.reads,
			lists: store.counts.lists - before.lists,
			writes: store.counts.writes - before.writes,
			rounds: Math.ceil((world.nowMs - beganMs) / ROUND_MS),
		}
		this.#stage.trace(() => `${what}: ${shown(cost)}`)
		const { reads, lists, writes, rounds } = budget
		if (cost.reads > reads || cost.lists > lists || cost.writes > writes || cost.rounds > rounds) {
			this.#stage.fault(`${what} costs ${shown(cost)}, and may cost ${shown(budget)}`)
		}
		return result
	}
}

function withPack(budget: Budget): Budget {
	return { ...budget, reads: budget.reads + 1, rounds: budget.rounds + 1 }
}

function shown({ reads, lists, writes, rounds }: Budget): string {
	return `${reads} GET, ${lists} LIST, ${writes} PUT, ${rounds} in sequence`
}

function digitsOf(value: number): string {
	return String(value).padStart(16, '0')
}
