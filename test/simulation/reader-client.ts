/** A reader of the simulation. */

import { isIsleError } from '../../src/errors.ts'
import type { DatabaseReader } from '../../src/index.ts'
import { decodePosition } from '../../src/log/log-position-codec.ts'
import type { SeenValue } from './history-record.ts'
import { isKeptOperation, runKept } from './kept-states.ts'
import type { Operation, PlannedOperation } from './operations.ts'
import type { SimulationSettings } from './settings.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Client, Stage } from './stage.ts'

interface Opened {
	readonly process: SimulatedProcess
	readonly db: DatabaseReader
	/** When its view was surely the newest. */
	refreshedMs: number
}

/** The slowest clock takes so much longer for a span: see the rates of `stage.ts`. */
const SPAN_SLACK = 1.25
const POSITION_WAIT_MAX_MS = 5000
/** The least that there may be. */
const CACHE_DIR_BYTES = 1_048_576

export class ReaderClient implements Client {
	readonly #stage: Stage
	readonly #name: string
	#opened: Opened | undefined

	constructor(stage: Stage, slot: number) {
		this.#stage = stage
		this.#name = `reader${slot}`
	}

	async run({ operation }: PlannedOperation): Promise<void> {
		if (operation.kind === 'wait') return await this.#stage.world.sleep(operation.ms)
		if (operation.kind === 'close') return await this.close()
		if (operation.kind === 'kill') {
			this.#opened?.process.kill()
			this.#opened = undefined
			return
		}
		const opened = await this.#open()
		if (opened === undefined) return
		const { process } = opened
		try {
			await this.#runOn(opened, operation)
		} catch (error) {
			const mayExpire = operation.kind !== 'get' && this.#stage.mayHaveExpired(opened.refreshedMs)
			if (mayExpire && isIsleError(error, 'ISLE_EXPIRED')) return
			this.#stage.met(`${process.name} ${operation.kind}`, error, [])
		}
	}

	async close(): Promise<void> {
		const opened = this.#opened
		this.#opened = undefined
		if (opened === undefined) return
		await opened.process
			.whileAlive(opened.db.close())
			.catch((error: unknown) => this.#stage.met(`${opened.process.name} close`, error, []))
	}

	async #open(): Promise<Opened | undefined> {
		if (this.#opened !== undefined && !this.#opened.process.isDead) return this.#opened
		const process = this.#stage.start(this.#name)
		const refreshedMs = this.#stage.world.nowMs
		try {
			const db = await process.whileAlive(openSimulatedReader(this.#stage, process))
			this.#opened = db === DEAD ? undefined : { process, db, refreshedMs }
		} catch (error) {
			this.#stage.met(`${process.name} open`, error, [])
			this.#opened = undefined
		}
		return this.#opened
	}

	async #runOn(opened: Opened, operation: Operation): Promise<void> {
		const { db, process } = opened
		const stage = this.#stage
		if (isKeptOperation(operation)) return await runKept(stage, { process, db, life: undefined }, operation)
		if (operation.kind === 'snapshot') return await this.#snapshot(opened, operation.waitMs, operation.isReverse)
		if (operation.kind !== 'get' && operation.kind !== 'scan') throw new Error(`a reader cannot ${operation.kind}`)
		const { kind, freshness } = operation
		const isStrong = freshness === 'refreshed' || freshness === 0
		// A position comes from somewhere else: the later it is asked for, the more has been flushed that the view does not have.
		if (freshness === 'at-least') await stage.world.sleep(stage.world.pick(POSITION_WAIT_MAX_MS))
		const refresh = async (): Promise<void> => {
			if (freshness !== 'refreshed') return
			const beganMs = stage.world.nowMs
			await db.refresh()
			opened.refreshedMs = beganMs
		}
		const atLeast = freshness === 'at-least' ? stage.positions.at(-1)?.position : undefined
		const maxStalenessMs = typeof freshness === 'number' ? freshness : undefined
		const options = { atLeast, maxStalenessMs }
		const read = async (): Promise<ReadonlyMap<string, SeenValue>> => {
			if (operation.kind === 'scan') {
				const rows = db.entries({ reverse: operation.isReverse, ...options })
				return await stage.scan(rows, operation.isReverse)
			}
			return await stage.get(db, operation, () => opened.refreshedMs, options)
		}
		const plan = {
			what: kind,
			life: undefined,
			isStrong,
			durableBeforeMs: maxStalenessMs === undefined ? undefined : stage.world.nowMs - maxStalenessMs * SPAN_SLACK,
			atLeast: atLeast === undefined ? undefined : decodePosition(atLeast),
			snapshot: undefined,
		}
		await stage.reading(process, plan, read, refresh)
	}

	async #snapshot({ db, process }: Opened, waitMs: number, isReverse: boolean): Promise<void> {
		const stage = this.#stage
		const snapshot = db.snapshot()
		const kept = {
			what: 'snapshot',
			life: undefined,
			isStrong: false,
			snapshot: stage.nextSnapshot(),
			nowMs: process.nowMs(),
		}
		const read = (): ReturnType<Stage['scan']> => stage.scan(snapshot.entries({ reverse: isReverse }), isReverse)
		if ((await stage.reading(process, kept, read)) === DEAD) return
		await stage.world.sleep(waitMs)
		if (process.isDead) return
		if ((await stage.reading(process, kept, read)) === DEAD) return
		await process.whileAlive(snapshot.close())
	}
}

/** How often readers look by themselves; 0: never. */
export function pollMs({ flushIntervalMs, pollIntervalMs }: SimulationSettings): number {
	return flushIntervalMs === 0 ? 0 : pollIntervalMs
}

/** As every process of the simulation that only reads opens the database. */
export async function openSimulatedReader(
	{ engine, settings }: Pick<Stage, 'engine' | 'settings'>,
	{ store, host, cacheDir }: Pick<SimulatedProcess, 'store' | 'host' | 'cacheDir'>,
): Promise<DatabaseReader> {
	return await engine.openReader(store, {
		host,
		pool: engine.createInlinePool(host),
		refreshIntervalMs: pollMs(settings),
		blockCacheBytes: settings.cacheBytes,
		tableCacheBytes: settings.cacheBytes,
		cacheDir,
		cacheDirMaxBytes: CACHE_DIR_BYTES,
		gracePeriodMs: settings.gracePeriodMs,
	})
}
