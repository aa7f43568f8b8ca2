/** A maintainer of the simulation, in a process of its own: works when told, or by itself in the background while it is open. */

import type { IsleErrorCode } from '../../src/errors.ts'
import type { Compactor } from '../../src/index.ts'
import { judgeMaintainerMemory, WatchedPool } from './memory-budgets.ts'
import type { PlannedOperation } from './operations.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Client, Stage } from './stage.ts'

const DEADLINE_MS = 600_000
const CODES: readonly IsleErrorCode[] = ['ISLE_FENCED', 'ISLE_INDETERMINATE', 'ISLE_CLOSED']

export class MaintainerClient implements Client {
	readonly #stage: Stage
	readonly #name: string
	readonly #isInBackground: boolean
	#process: SimulatedProcess | undefined
	#compactor: Compactor | undefined

	constructor(stage: Stage, slot: number) {
		this.#stage = stage
		this.#name = `maintainer${slot}`
		this.#isInBackground = slot % 2 === 1
	}

	async run({ operation }: PlannedOperation): Promise<void> {
		const stage = this.#stage
		if (operation.kind === 'wait') {
			const waiting = await this.#open()
			await stage.world.sleep(operation.ms)
			judgeMaintainerMemory(stage, this.#name, waiting)
			return
		}
		if (operation.kind === 'close') return await this.close()
		if (operation.kind === 'kill') {
			this.#process?.kill()
			this.#compactor = undefined
			return
		}
		if (operation.kind !== 'maintain') throw new Error(`a maintainer cannot ${operation.kind}`)
		try {
			const compactor = await this.#open()
			const { takeover } = operation
			const report = await this.#process?.whileAlive(compactor.runOnce({ deadlineMs: DEADLINE_MS, takeover }))
			stage.trace(() => `${this.#name} ${JSON.stringify(report)}`)
		} catch (error) {
			stage.met(`${this.#name} runOnce`, error, CODES)
		}
	}

	async close(): Promise<void> {
		const [process, compactor] = [this.#process, this.#compactor]
		this.#compactor = undefined
		if (process === undefined || compactor === undefined) return
		await process.whileAlive(compactor.close()).catch((error: unknown) => this.#stage.met(this.#name, error, CODES))
	}

	async #open(): Promise<Compactor> {
		if (this.#compactor !== undefined && this.#process?.isDead === false) return this.#compactor
		this.#process = this.#stage.start(this.#name)
		this.#compactor = await openSimulatedCompactor(this.#stage, this.#process, this.#isInBackground)
		return this.#compactor
	}
}

/** As every maintainer of the simulation is opened. It asks the store for nothing. */
export async function openSimulatedCompactor(
	stage: Stage,
	{ name, store, host }: SimulatedProcess,
	background: boolean,
): Promise<Compactor> {
	const { engine, settings } = stage
	const pool = new WatchedPool(stage, name, engine.createInlinePool(host))
	const { compaction, retention, gracePeriodMs, changeRetentionMs } = settings
	const compactor = await engine.openCompactor(store, {
		host,
		pool,
		background,
		pollIntervalMs: settings.pollIntervalMs,
		compaction,
		retention,
		gracePeriodMs,
		changeRetentionMs,
	})
	pool.watch(compactor)
	return compactor
}
