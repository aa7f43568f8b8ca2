/** What all clients of a history share, and what they do alike: start processes, wait for them, and look at errors. */

import { type IsleErrorCode, isIsleError } from '../../src/errors.ts'
import type { Database } from '../../src/index.ts'
import type { Engine } from './engine.ts'
import type { FaultPlan } from './faults.ts'
import type { HistoryRecord, Reading } from './history-record.ts'
import type { Operation, PlannedOperation } from './operations.ts'
import type { SimulationSettings } from './settings.ts'
import { type DEAD, SimulatedProcess } from './simulated-process.ts'
import type { VirtualObjects } from './virtual-objects.ts'
import type { World } from './world.ts'

export interface StageOptions {
	readonly seed: number
	readonly engine: Engine
	readonly world: World
	readonly objects: VirtualObjects
	readonly faults: FaultPlan
	readonly settings: SimulationSettings
	readonly record: HistoryRecord
	readonly trace: ((line: string) => void) | undefined
}

/** One role in one slot: the processes that have it, one after another. */
export interface Client {
	run(planned: PlannedOperation): Promise<void>
	/** Ends in good order what is open. */
	close(): Promise<void>
}

/** Rates of clocks: two of them never differ by a factor of two. */
const RATES: readonly number[] = [1, 1, 1, 0.8, 1.25]
/** Spans by the clocks of others may be as much longer. */
const RATE_SLACK = 1.6

export class Stage {
	readonly seed: number
	readonly engine: Engine
	readonly world: World
	readonly objects: VirtualObjects
	readonly faults: FaultPlan
	readonly settings: SimulationSettings
	readonly record: HistoryRecord
	readonly #processes: SimulatedProcess[] = []
	readonly #started = new Map<string, number>()
	readonly #trace: ((line: string) => void) | undefined
	#snapshots = 0

	constructor(options: StageOptions) {
		this.seed = options.seed
		this.engine = options.engine
		this.world = options.world
		this.objects = options.objects
		this.faults = options.faults
		this.settings = options.settings
		this.record = options.record
		this.#trace = options.trace
	}

	/** A new process; `name` is that of its role and slot. `isExact`: its clock is the true one. */
	start(name: string, isExact = false): SimulatedProcess {
		const { seed, world, objects, faults, settings } = this
		const count = (this.#started.get(name) ?? 0) + 1
		this.#started.set(name, count)
		const pick = <Value>(values: readonly Value[]): Value => values[world.pick(values.length)] as Value
		const process = new SimulatedProcess({
			name: `${name}.${count}`,
			seed,
			world,
			objects,
			faults,
			skewMs: isExact ? 0 : pick(settings.skewsMs),
			rate: isExact ? 1 : pick(RATES),
		})
		this.#processes.push(process)
		return process
	}

	killAll(): void {
		for (const process of this.#processes) process.kill()
	}

	key(number: number): string {
		return `key ${number}`
	}

	get keys(): string[] {
		return Array.from({ length: this.settings.keys }, (_, number) => this.key(number))
	}

	nextSnapshot(): number {
		return ++this.#snapshots
	}

	/** What is durable by now, as everybody outside knows. */
	get durableSeq(): number {
		let durable = 0
		for (const { mutations } of this.record.lives) {
			for (const { seq, durableAt } of mutations) {
				if (durableAt !== Number.POSITIVE_INFINITY && seq > durable) durable = seq
			}
		}
		return durable
	}

	trace(line: () => string): void {
		this.#trace?.(`${this.world.steps} ${line()}`)
	}

	fault(what: string): void {
		this.trace(() => `FAULT ${what}`)
		this.record.faults.push(what)
	}

	/** An error that a client met: a code that the call may answer, or a fault. */
	met(where: string, error: unknown, allowed: readonly IsleErrorCode[]): void {
		this.trace(() => `${where}: ${String(error)}`)
		if (isIsleError(error)) {
			this.record.errors[error.code] = (this.record.errors[error.code] ?? 0) + 1
			const isOutage = error.code === 'ISLE_UNAVAILABLE' && this.faults.happened.length > 0
			if (isOutage || allowed.includes(error.code)) return
		}
		this.fault(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
	}

	/** `sinceMs` is when the view that expired was taken. */
	mayHaveExpired(sinceMs: number): boolean {
		return (this.world.nowMs - sinceMs) * RATE_SLACK >= this.settings.gracePeriodMs
	}

	/** Reads by `read`, and keeps what was seen. */
	async reading(
		process: SimulatedProcess,
		what: Pick<Reading, 'what' | 'life' | 'isStrong' | 'snapshot'> & { readonly nowMs?: number | undefined },
		read: () => Promise<ReadonlyMap<string, string | undefined>>,
		before?: () => Promise<void>,
	): Promise<typeof DEAD | undefined> {
		const calledAt = this.world.stamp()
		const acceptedBefore = what.life?.mutations.length ?? 0
		const nowBefore = process.nowMs()
		const seen = await process.whileAlive((before?.() ?? Promise.resolve()).then(read))
		if (typeof seen === 'symbol') return seen
		const nowAfter = process.nowMs()
		this.record.readings.push({
			what: what.what,
			life: what.life,
			readerName: process.name,
			values: seen,
			isStrong: what.isStrong,
			calledAt,
			returnedAt: this.world.stamp(),
			nowMs:
				what.nowMs === undefined
					? [Math.min(nowBefore, nowAfter), Math.max(nowBefore, nowAfter)]
					: [what.nowMs, what.nowMs],
			trueMs: this.world.nowMs,
			accepted: [acceptedBefore, what.life?.mutations.length ?? 0],
			snapshot: what.snapshot,
		})
		return undefined
	}

	/** The values of some keys: all at once, or of one key as a stream. */
	async get(
		source: Pick<Database, 'getMany' | 'getStream'>,
		{ keys: numbers, isStream }: Operation & { readonly kind: 'get' },
	): Promise<ReadonlyMap<string, string | undefined>> {
		const keys = numbers.map(number => this.key(number))
		const [only] = keys
		if (only === undefined || keys.length > 1 || !isStream) {
			const values = await source.getMany(keys)
			return new Map(keys.map((key, index) => [key, values[index]]))
		}
		const stream = await source.getStream(only)
		if (stream === undefined) return new Map([[only, undefined]])
		const pieces: Uint8Array[] = []
		for await (const piece of stream) pieces.push(piece)
		return new Map([[only, Buffer.concat(pieces).toString()]])
	}

	/** All rows, with every key that is not there as undefined. */
	async scan(
		rows: AsyncIterable<[string, string]>,
		isReverse: boolean,
	): Promise<ReadonlyMap<string, string | undefined>> {
		const values = new Map<string, string | undefined>(this.keys.map(key => [key, undefined]))
		let last: string | undefined
		for await (const [key, value] of rows) {
			if (!values.has(key)) this.fault(`a scan shows ${key}, which nobody wrote`)
			if (last !== undefined && (isReverse ? key >= last : key <= last))
				this.fault(`a scan shows ${key} behind ${last}`)
			last = key
			values.set(key, value)
		}
		return values
	}
}
