/** What all clients of a history share, and what they do alike: start processes, wait for them, and look at errors. */

import { type IsleErrorCode, isIsleError } from '../../src/errors.ts'
import type { Database } from '../../src/index.ts'
import type { FreshReadOptions } from '../../src/reader/freshness.ts'
import type { Engine } from './engine.ts'
import { type FaultPlan, hash } from './faults.ts'
import { GONE, type HistoryRecord, type Reading, type SeenValue, type WriterLife } from './history-record.ts'
import type { Operation, PlannedOperation } from './operations.ts'
import type { SimulationSettings } from './settings.ts'
import { type DEAD, SimulatedProcess } from './simulated-process.ts'
import { sealsOf } from './standing-state.ts'
import { useDisk, VirtualDisk } from './virtual-disk.ts'
import type { VirtualObjects } from './virtual-objects.ts'
import { START_MS, type World } from './world.ts'

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

/** What is to be read, and what it must show. `nowMs`: expiry is judged by that time; `calledAt`: it was asked for before. */
export type ReadingPlan = Pick<
	Reading,
	'what' | 'life' | 'isStrong' | 'durableBeforeMs' | 'atLeast' | 'leastSeq' | 'past' | 'snapshot'
> & { readonly nowMs?: number | undefined; readonly calledAt?: number | undefined }

export interface KnownPosition {
	readonly position: string
	/** True time. */
	readonly seenMs: number
}

export interface KnownCursor {
	readonly cursor: string
	readonly seq: number
	/** True time. */
	readonly seenMs: number
}

export interface KnownPin {
	readonly name: string
	/** Readings of it are of one state. */
	readonly snapshot: number
	readonly createdMs: number
	readonly expiresMs: number
	isReleased: boolean
}

const DAMAGE_CODES: readonly string[] = ['ISLE_CORRUPT', 'ISLE_UNSUPPORTED', 'ISLE_STORE_UNSAFE']
/** Maintainers whose clocks are five minutes off are trusted, and clocks go on between two looks at them. */
export const TRUST_MS = 600_000
/** Rates of clocks: two of them never differ by a factor of two. */
const RATES: readonly number[] = [1, 1, 1, 0.8, 1.25]
/** Who reads a value piece by piece begins so late with so many of them. */
const SLOW_STREAMS = 0.5
const SLOW_MIN_MS = 10_000
const SLOW_MAX_MS = 10_000_000
const SLOW_STEPS = 1000
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
	/** What clients were told: positions of flushes, cursors of changes, pins. Whoever wants to may come back to them. */
	readonly positions: KnownPosition[] = []
	readonly cursors: KnownCursor[] = []
	readonly pins: KnownPin[] = []
	readonly disk: VirtualDisk
	readonly keys: readonly string[]
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
		this.keys = Array.from({ length: options.settings.keys }, (_, number) => keyText(number))
		this.disk = new VirtualDisk(hash(options.seed, 17, 19), options.settings.diskFaultRate)
		useDisk(this.disk)
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
			hasFlips: settings.hasFlips,
			isTrusted: settings.isTrusted,
			disk: this.disk,
			cacheDir: settings.disk === 'none' ? undefined : `/${settings.disk === 'own' ? name : 'shared'}`,
		})
		this.#processes.push(process)
		return process
	}

	killAll(): void {
		for (const process of this.#processes) process.kill()
	}

	key(number: number): string {
		return this.keys[number] ?? keyText(number)
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
			const isOutage = error.code === 'ISLE_UNAVAILABLE' && this.faults.haveHappened
			if (isOutage || this.isDamage(error) || allowed.includes(error.code)) return
		}
		this.fault(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
	}

	/** Whoever is told that somebody has taken over finds that one's seal. */
	judgeFenced({ process, epoch }: WriterLife, error: unknown): void {
		if (!isIsleError(error, 'ISLE_FENCED') || sealsOf(this.objects, 'log', epoch).length > 0) return
		this.fault(`${process} is told that it was fenced, and nobody has done that: ${error.message}`)
	}

	/** What was read was not what had been written, and whoever read it has said so. */
	isDamage(error: { readonly code?: string | undefined }): boolean {
		return DAMAGE_CODES.includes(error.code ?? '') && this.faults.hasMet('flip-bit')
	}

	/** `sinceMs` is when the view that expired was taken. */
	mayHaveExpired(sinceMs: number): boolean {
		return (this.world.nowMs - sinceMs) * RATE_SLACK >= this.settings.gracePeriodMs
	}

	/** Reads by `read`, and keeps what was seen. */
	async reading(
		process: SimulatedProcess,
		what: ReadingPlan,
		read: () => Promise<ReadonlyMap<string, SeenValue>>,
		before?: () => Promise<void>,
	): Promise<typeof DEAD | undefined> {
		const calledAt = what.calledAt ?? this.world.stamp()
		const acceptedBefore = surelyAccepted(what.life)
		const times = process.watchClock()
		const seen = await process.whileAlive((before?.() ?? Promise.resolve()).then(read))
		if (typeof seen === 'symbol') return seen
		const nowMs = times()
		this.record.readings.push({
			what: what.what,
			life: what.life,
			readerName: process.name,
			values: seen,
			isStrong: what.isStrong,
			durableBeforeMs: what.durableBeforeMs,
			atLeast: what.atLeast,
			leastSeq: what.leastSeq,
			past: what.past,
			calledAt,
			returnedAt: this.world.stamp(),
			nowMs: what.nowMs === undefined ? nowMs : [what.nowMs, what.nowMs],
			trueMs: this.world.nowMs,
			accepted: [acceptedBefore, what.life?.mutations.length ?? 0],
			snapshot: what.snapshot,
		})
		return undefined
	}

	/** The values of some keys: all at once, or of one key as a stream. Its view was taken at `viewedMs`, or later. */
	async get(
		source: Pick<Database, 'getMany' | 'getStream'>,
		{ keys: numbers, isStream }: Operation & { readonly kind: 'get' },
		viewedMs: () => number,
		options: FreshReadOptions = {},
	): Promise<ReadonlyMap<string, SeenValue>> {
		const keys = numbers.map(number => this.key(number))
		const [only] = keys
		if (only === undefined || keys.length > 1 || !isStream) {
			const values = await source.getMany(keys, options)
			return new Map(keys.map((key, index) => [key, values[index]]))
		}
		const stream = await source.getStream(only, options)
		if (stream === undefined) return new Map([[only, undefined]])
		return new Map([[only, await this.#consume(stream, viewedMs)]])
	}

	/** By somebody who is slow now and then. */
	async #consume(stream: AsyncIterable<Uint8Array>, viewedMs: () => number): Promise<SeenValue> {
		const pieces: Uint8Array[] = []
		try {
			// Values here are of one frame, which is given when the whole of it has come.
			if (this.world.chance(SLOW_STREAMS)) await this.world.sleep(this.#slowMs())
			for await (const piece of stream) pieces.push(piece)
			return Buffer.concat(pieces).toString()
		} catch (error) {
			if (isIsleError(error, 'ISLE_EXPIRED') && this.mayHaveExpired(viewedMs())) return GONE
			throw error
		}
	}

	/** As likely to be minutes as hours: merging and collection take any of them. */
	#slowMs(): number {
		return SLOW_MIN_MS * (SLOW_MAX_MS / SLOW_MIN_MS) ** (this.world.pick(SLOW_STEPS) / SLOW_STEPS)
	}

	/** All rows, with every key that is not there as undefined. */
	async scan(
		rows: AsyncIterable<[string, string]>,
		isReverse: boolean,
	): Promise<ReadonlyMap<string, string | undefined>> {
		const values = new Map<string, string | undefined>()
		for (const key of this.keys) values.set(key, undefined)
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

/**
 * The latest that a maintainer whose clock is trusted may take for the time at `trueMs`: between two records of its own it counts the
 * store's time by its own clock, which is as much too fast as the rates above say.
 */
export function latestTrustedMs(trueMs: number): number {
	return trueMs + TRUST_MS + (Math.max(...RATES) - 1) * (trueMs - START_MS)
}

function keyText(number: number): string {
	return `key ${number}`
}

export function surelyAccepted(life: WriterLife | undefined): number {
	return life === undefined ? 0 : life.mutations.length - (life.isLastUnsure ? 1 : 0)
}
