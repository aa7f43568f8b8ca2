/**
 * What operations cost when nothing goes wrong and nobody else is at work. At the end of some histories, in whatever state they have left
 * the store, a reader and a writer do one thing after another, and each is held to what the documents say: `docs/performance.md`
 * (budgets of reads), `docs/fenced-log.md` (what opening, polls, refreshes and commits cost). Tails and maintainers follow:
 * `follower-budgets.ts`.
 */
import type { Database, DatabaseReader } from '../../src/index.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { hash } from './faults.ts'
import { judgeMaintainer, judgeTail } from './follower-budgets.ts'
import { openSimulatedReader, pollMs } from './reader-client.ts'
import { type Budget, HOUR_MS, judgeCost, NOTHING, openingBudget } from './request-budget.ts'
import type { Finish } from './rest.ts'
import { openSimulatedDatabase } from './simulated-database.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Stage } from './stage.ts'
import { standingManifest } from './standing-state.ts'

/** One in so many histories ends like this, of those of which nothing else is said: it takes longer than all the rest of a short one. */
const ONE_IN = 64
/** And of those one in so many with a tail, and another one with a maintainer. */
const FOLLOWERS_ONE_IN = 4
/** Above it writers are slowed down. */
const L0_MAX_TABLES = 4

export function hasBudgets(seed: number): boolean {
	return hash(seed, 23, 29) % ONE_IN === 0
}

export async function judgeBudgets(stage: Stage, finish: Finish): Promise<void> {
	await finish('budgets', new Budgets(stage, standingManifest(stage.objects)).judge())
	// They take several times as long as all the rest of a short history.
	const followers = hash(stage.seed, 31, 37) % FOLLOWERS_ONE_IN
	if (followers === 0) await finish('the budget of a tail', judgeTail(stage))
	if (followers === 1) await finish('the budget of a maintainer', judgeMaintainer(stage))
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
		const reader = await this.#cost(process, 'opening a reader', openingBudget(this.#stage, this.#manifest, 0), open)
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
		const db = await this.#cost(process, 'opening a writer', openingBudget(this.#stage, this.#manifest, 1), open)
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

	#cost<Result>(
		process: SimulatedProcess,
		what: string,
		budget: Budget,
		run: () => Promise<Result>,
	): Promise<Result | typeof DEAD> {
		return judgeCost(this.#stage, process, what, budget, run)
	}
}

function withPack(budget: Budget): Budget {
	return { ...budget, reads: budget.reads + 1, rounds: budget.rounds + 1 }
}
