/**
 * One history: settings, operations and faults from one seed, run by clients on one virtual store, brought to rest, and judged.
 *
 * Steps: clients do their operations while faults happen; faults end, and every client must come to its end; everybody leaves, or
 * dies; what was on its way arrives; a reader must see exactly what was committed (of short histories in one of three), and nothing
 * that the state needs may be missing. Now and then a writer and a maintainer come once more, hours pass, and nothing may be left over.
 */
import type { MaintenanceEvent } from '../../src/maintenance/maintenance-event.ts'
import { hasBudgets, judgeBudgets } from './budgets.ts'
import type { Engine, EngineOf } from './engine.ts'
import { type FaultKind, FaultPlan, hash } from './faults.ts'
import { type DrawnHistory, type HistoryPlan, scriptOf } from './history-plan.ts'
import type { HistoryRecord } from './history-record.ts'
import { judgeHistory } from './judge.ts'
import { MaintainerClient } from './maintainer-client.ts'
import { hearMaintenance } from './maintenance-events.ts'
import type { PlannedOperation } from './operations.ts'
import { openSimulatedReader, ReaderClient } from './reader-client.ts'
import { bringToRest, judgeMissing } from './rest.ts'
import type { SimulationSettings } from './settings.ts'
import { type Client, Stage } from './stage.ts'
import { TailClient } from './tail-client.ts'
import { Truth } from './truth.ts'
import { VirtualObjects } from './virtual-objects.ts'
import { type Choose, World } from './world.ts'
import { WriterClient } from './writer-client.ts'

export interface HistoryOptions extends HistoryPlan {
	readonly engineOf: EngineOf
	/** Decides who runs next, instead of chance. */
	readonly choose?: Choose | undefined
	/** Whether the report names the crashes that could happen. */
	readonly notesCrashes?: boolean | undefined
	/** Told what happens: for whoever looks at one history. */
	readonly trace?: ((line: string) => void) | undefined
}

export interface HistoryReport {
	readonly plan: HistoryPlan
	/** What was wrong. Empty: nothing. */
	readonly faults: readonly string[]
	/** What was done, and which faults happened. */
	readonly operations: readonly PlannedOperation[]
	readonly happened: () => readonly string[]
	readonly happenedKinds: readonly FaultKind[]
	readonly crashes: readonly string[]
	readonly settings: SimulationSettings
	readonly record: HistoryRecord
	readonly commits: number
	readonly steps: number
	/** Calls that the virtual disk has failed. */
	readonly diskFailures: number
}

const TROUBLES: readonly string[] = ['ISLE_UNAVAILABLE', 'ISLE_FENCED', 'ISLE_INDETERMINATE', 'ISLE_CLOSED']

/** Nobody needs so many steps: they wait for something that never comes. */
const STEPS_MAX = 60_000
/** Faults end after so many, so that everything can come to its end. */
const FAULTY_STEPS_MAX = 6000
/** Others than writers take so long before each operation: about as long as it takes to open a database. */
const THINK_MAX_MS = 500
const REST_STEPS_MAX = 40_000
/** One in so many short histories has a reader at its end. */
const SHORT_READ_ONE_IN = 3
const HOUR_MS = 3_600_000

export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
	const script = scriptOf(options)
	return await new Simulation(options, script, await options.engineOf(script.settings.kind)).run()
}

class Simulation {
	readonly #options: HistoryOptions
	readonly #settings: SimulationSettings
	readonly #operations: readonly PlannedOperation[]
	readonly #world: World
	readonly #objects: VirtualObjects
	readonly #faults: FaultPlan
	readonly #record: HistoryRecord = { lives: [], readings: [], tails: [], faults: [], errors: {} }
	readonly #stage: Stage
	readonly #clients = new Map<string, Client>()

	constructor(options: HistoryOptions, { settings, operations: all }: DrawnHistory, engine: Engine) {
		const { seed, schedule = seed, operations, faults, trace } = options
		this.#options = options
		this.#settings = settings
		this.#operations = operations === undefined ? all : all.filter(({ index }) => operations.includes(index))
		this.#world = new World(hash(schedule, 11, 13), options.choose)
		this.#objects = new VirtualObjects(this.#world)
		const { faultRate } = this.#settings
		this.#faults = new FaultPlan({ seed, rate: faultRate, only: faults, notesCrashes: options.notesCrashes })
		this.#stage = new Stage({
			seed,
			engine,
			world: this.#world,
			objects: this.#objects,
			faults: this.#faults,
			settings: this.#settings,
			record: this.#record,
			trace,
		})
	}

	async run(): Promise<HistoryReport> {
		const { seed, kind, script, schedule, operations, faults, budgets = hasBudgets(seed) } = this.#options
		let truth: Truth | undefined
		hearMaintenance(this.#hear)
		try {
			await this.#runClients()
			await this.#leave()
			truth = new Truth(this.#objects, this.#record.lives)
			if (this.#hasLastReading) await this.#readAtTheEnd()
			judgeMissing(this.#stage)
			if (budgets && this.#record.faults.length === 0) {
				await judgeBudgets(this.#stage, (what, work) => this.#finish(what, work))
			}
			if (this.#settings.comesToRest && this.#record.faults.length === 0)
				await bringToRest(this.#stage, (what, work) => this.#finish(what, work))
		} catch (error) {
			this.#stage.fault(error instanceof Error ? (error.stack ?? error.message) : String(error))
		}
		this.#stage.killAll()
		hearMaintenance(undefined)
		const wrong = truth === undefined ? this.#record.faults : judgeHistory(truth, this.#record, this.#settings)
		const plan = this.#faults
		return {
			plan: { seed, kind, script, schedule, operations, faults, budgets: this.#options.budgets },
			faults: wrong,
			operations: this.#operations,
			// No accessor: V8 would keep the whole history until its next full collection (docs/testing.md).
			happened: () => plan.happened,
			happenedKinds: plan.happenedKinds,
			crashes: this.#faults.crashes,
			settings: this.#settings,
			record: this.#record,
			commits: truth?.commits.length ?? 0,
			steps: this.#world.steps,
			diskFailures: this.#stage.disk.failures,
		}
	}

	/** What maintainers tell: their failures are errors like those that clients meet. */
	readonly #hear = (event: MaintenanceEvent): void => {
		this.#stage.trace(() => `event ${JSON.stringify(event)}`)
		const isFailed = event.channel === 'isledb:maintenance' && event.kind === 'state' && event.to === 'failed'
		const error = 'error' in event ? event.error : undefined
		const isDamage = error !== undefined && this.#stage.isDamage(error)
		const isExpected = error === undefined || isDamage || TROUBLES.includes(error.code ?? '')
		if ((isFailed && !this.#faults.hasMet('flip-bit')) || !isExpected)
			this.#stage.fault(`a maintainer: ${JSON.stringify(event)}`)
	}

	async #runClients(): Promise<void> {
		const queues = new Map<string, PlannedOperation[]>()
		for (const planned of this.#operations) {
			const name = `${planned.role}${planned.slot}/${planned.client}`
			const queue = queues.get(name)
			if (queue === undefined) queues.set(name, [planned])
			else queue.push(planned)
		}
		let left = queues.size
		const waiting = new Map<string, PlannedOperation>()
		for (const [name, queue] of queues) {
			this.#runClient(name, queue, waiting)
				.catch((error: unknown) => this.#stage.met(name, error, []))
				.finally(() => left--)
		}
		const isOver = (): boolean => {
			if (this.#world.steps === FAULTY_STEPS_MAX) this.#faults.end()
			return left === 0
		}
		if (await this.#world.runUntil(isOver, STEPS_MAX)) return
		const those = [...waiting].map(([name, { operation }]) => `${name}: ${JSON.stringify(operation)}`)
		throw new Error(`never answered: ${those.join(', ')}`)
	}

	async #runClient(
		name: string,
		queue: readonly PlannedOperation[],
		waiting: Map<string, PlannedOperation>,
	): Promise<void> {
		for (const planned of queue) {
			if (planned.role === 'writer') await this.#world.turn()
			else await this.#world.sleep(this.#world.pick(THINK_MAX_MS))
			waiting.set(name, planned)
			this.#stage.trace(() => `${name} #${planned.index} ${JSON.stringify(planned.operation)}`)
			await this.#clientOf(planned).run(planned)
			waiting.delete(name)
		}
	}

	#clientOf({ role, slot }: PlannedOperation): Client {
		const name = `${role}${slot}`
		let client = this.#clients.get(name)
		if (client === undefined) {
			const classes = { writer: WriterClient, reader: ReaderClient, tail: TailClient, maintainer: MaintainerClient }
			client = new classes[role](this.#stage, slot)
			this.#clients.set(name, client)
		}
		return client
	}

	/** Half of them close, the others die; then all that was on its way arrives. */
	async #leave(): Promise<void> {
		this.#faults.end()
		const closing = [...this.#clients.values()].filter(() => this.#world.chance(0.5))
		await this.#finish('closing', Promise.all(closing.map(client => client.close())))
		this.#stage.killAll()
		await this.#finish('what was on its way', this.#world.sleep(2 * HOUR_MS))
	}

	/**
	 * Whether somebody comes and reads in the end. In short histories, which have others who read and of which what was committed is read
	 * from the log, that costs an eighth of the time and finds next to nothing that nothing else does: one of three has it.
	 */
	get #hasLastReading(): boolean {
		const { seed, script } = this.#options
		return this.#settings.kind === 'long' || script !== undefined || hash(seed, 41, 43) % SHORT_READ_ONE_IN === 0
	}

	async #readAtTheEnd(): Promise<void> {
		const stage = this.#stage
		const process = stage.start('last-reader')
		const read = async (): Promise<ReadonlyMap<string, string | undefined>> => {
			const db = await openSimulatedReader(stage, process)
			return await stage.scan(db.entries(), false)
		}
		const reading = { what: 'scan', life: undefined, isStrong: true, snapshot: undefined }
		await this.#finish('the last reading', stage.reading(process, reading, read))
		process.kill()
	}

	async #finish<Value>(what: string, work: Promise<Value>): Promise<Value> {
		let isOver = false
		const end = (): void => {
			isOver = true
		}
		work.then(end, end)
		if (!(await this.#world.runUntil(() => isOver, REST_STEPS_MAX))) throw new Error(`never ended: ${what}`)
		return await work
	}
}
