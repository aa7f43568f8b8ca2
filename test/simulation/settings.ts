/** What differs between histories: drawn from the seed, so that one number names a history. */

import type { Random } from '../../src/host/random.ts'
import type { AgeRetention, CompactionOptions, TimeWindowRetention } from '../../src/index.ts'

/** Short histories are a handful of operations of few clients, by the thousand; long ones give merges and collection time to happen. */
export type HistoryKind = 'short' | 'long'

export interface SimulationSettings {
	readonly kind: HistoryKind
	readonly writers: number
	readonly readers: number
	readonly tails: number
	readonly maintainers: number
	readonly operations: number
	readonly keys: number
	/** Whether the store is taken for a sound one. Otherwise it is probed at its first use: half of what opening it asks for. */
	readonly isTrusted: boolean
	/** Share of the requests that meet a fault. */
	readonly faultRate: number
	/** Whether bits of what is read may be others than those that were written. */
	readonly hasFlips: boolean
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	readonly retention: AgeRetention | TimeWindowRetention | undefined
	readonly compaction: CompactionOptions
	/** Whether writers maintain the database that they write. */
	readonly isMaintained: boolean
	readonly inlineMaxBytes: number
	readonly codec: 'none' | 'lz4'
	/** 0: every read asks the store. */
	readonly cacheBytes: number
	/** A cache on a virtual disk: of each client its own, or one of all. Its files survive a crash or not. */
	readonly disk: 'none' | 'own' | 'shared'
	/** Share of the calls to the disk that fail. */
	readonly diskFaultRate: number
	readonly flushIntervalMs: number
	/** How often who reads or maintains looks by himself: what is idle for hours takes a request and more each time. */
	readonly pollIntervalMs: number
	readonly maxCommitsInFlight: number
	/** Whether writers wait already for a handful of tables that nobody has merged. */
	readonly isUnderPressure: boolean
	/** Processes draw from these how far their wall clocks are ahead. */
	readonly skewsMs: readonly number[]
	/** Share of the values that are stored apart. */
	readonly largeShare: number
	/** Share of the values that fill the memory of a writer when a few of them wait. */
	readonly hugeShare: number
	/** Share of the puts that expire. */
	readonly ttlShare: number
	/** Whether everything is brought to rest at the end, and nothing may be left over. */
	readonly comesToRest: boolean
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/**
 * With everything left out that can be: what a history that was kept does not say, because there was no such thing when it was
 * found, is like this.
 */
export const PLAIN_SETTINGS: SimulationSettings = {
	kind: 'long',
	writers: 1,
	readers: 0,
	tails: 0,
	maintainers: 0,
	operations: 0,
	keys: 2,
	isTrusted: false,
	faultRate: 0,
	hasFlips: false,
	gracePeriodMs: 15 * MINUTE_MS,
	changeRetentionMs: HOUR_MS,
	retention: undefined,
	compaction: { l0Tables: 2, runs: 2, targetTableBytes: 1024, mergeMemoryBytes: 8192, concurrentMerges: 2 },
	isMaintained: true,
	inlineMaxBytes: 1_048_576,
	codec: 'none',
	cacheBytes: 65_536,
	disk: 'none',
	diskFaultRate: 0,
	flushIntervalMs: 1000,
	pollIntervalMs: 10 * MINUTE_MS,
	maxCommitsInFlight: 8,
	isUnderPressure: false,
	skewsMs: [0],
	largeShare: 0,
	hugeShare: 0,
	ttlShare: 0,
	comesToRest: false,
}

/** Of the histories whose kind nobody names. */
const SHORT_SHARE = 0.9

export function drawKind(random: Random): HistoryKind {
	return random.next() < SHORT_SHARE ? 'short' : 'long'
}

export function drawSettings(kind: HistoryKind, random: Random): SimulationSettings {
	const draw = new Draw(random)
	return kind === 'short' ? draw.short() : draw.long()
}

class Draw {
	readonly #random: Random

	constructor(random: Random) {
		this.#random = random
	}

	/** One writer or two, somebody who reads and perhaps a maintainer; rare things are rarer, for there are many of them. */
	short(): SimulationSettings {
		const reads = this.#pick(['reader', 'reader', 'tail', 'nobody'])
		return {
			...this.#common(),
			kind: 'short',
			writers: this.#pick([1, 1, 1, 2]),
			readers: reads === 'reader' ? 1 : 0,
			tails: reads === 'tail' ? 1 : 0,
			maintainers: this.#pick([0, 0, 0, 1]),
			operations: 4 + this.#below(9),
			keys: this.#pick([1, 2, 3]),
			isTrusted: this.#chance(0.8),
			faultRate: this.#pick([0, 0.03, 0.1, 0.2]),
			retention: this.#chance(0.05) ? this.#retention() : undefined,
			isMaintained: this.#chance(0.3),
			codec: this.#pick(['none', 'none', 'none', 'lz4']),
			cacheBytes: this.#pick([0, 65_536, 65_536]),
			disk: this.#chance(0.05) ? 'own' : 'none',
			pollIntervalMs: HOUR_MS,
			maxCommitsInFlight: this.#pick([1, 2]),
			isUnderPressure: false,
			largeShare: this.#pick([0, 0, 0, 0.3]),
			hugeShare: 0,
			comesToRest: this.#chance(0.03),
		}
	}

	long(): SimulationSettings {
		return {
			...this.#common(),
			kind: 'long',
			writers: this.#pick([1, 1, 2]),
			readers: this.#pick([0, 1, 1, 2]),
			tails: this.#pick([0, 1, 1]),
			maintainers: this.#pick([0, 0, 1, 2]),
			operations: 10 + this.#below(21),
			keys: this.#pick([2, 3, 6]),
			isTrusted: false,
			faultRate: this.#pick([0, 0.01, 0.03, 0.1]),
			retention: this.#chance(0.2) ? this.#retention() : undefined,
			isMaintained: this.#chance(0.7),
			codec: this.#pick(['none', 'none', 'lz4']),
			cacheBytes: this.#pick([0, 65_536]),
			disk: this.#pick(['none', 'none', 'none', 'own', 'shared']),
			pollIntervalMs: 10 * MINUTE_MS,
			maxCommitsInFlight: this.#pick([1, 2, 8]),
			isUnderPressure: this.#chance(0.15),
			largeShare: this.#pick([0, 0, 0.2]),
			hugeShare: this.#chance(0.08) ? 0.8 : 0,
			comesToRest: this.#chance(0.25),
			...(this.#chance(0.12) ? this.#churn() : {}),
		}
	}

	/** Large values that are overwritten all the time, and nothing that keeps their packs: who reads one slowly loses it under his hands. */
	#churn(): Partial<SimulationSettings> {
		return {
			readers: 2,
			operations: 30,
			keys: this.#pick([3, 6]),
			faultRate: this.#pick([0, 0.01]),
			gracePeriodMs: 0,
			changeRetentionMs: 0,
			retention: undefined,
			isMaintained: true,
			largeShare: 0.9,
			hugeShare: 0,
			ttlShare: 0,
		}
	}

	#common(): Pick<
		SimulationSettings,
		| 'hasFlips'
		| 'gracePeriodMs'
		| 'changeRetentionMs'
		| 'compaction'
		| 'inlineMaxBytes'
		| 'diskFaultRate'
		| 'flushIntervalMs'
		| 'skewsMs'
		| 'ttlShare'
	> {
		const targetTableBytes = this.#pick([1024, 1024, 2048])
		return {
			hasFlips: this.#chance(0.15),
			gracePeriodMs: this.#pick([0, 0, 2 * MINUTE_MS, 15 * MINUTE_MS, 3 * HOUR_MS]),
			changeRetentionMs: this.#pick([0, 0, 10 * MINUTE_MS, HOUR_MS]),
			compaction: {
				l0Tables: this.#pick([2, 2, 3]),
				runs: this.#pick([2, 3]),
				targetTableBytes,
				mergeMemoryBytes: this.#pick([4, 8]) * targetTableBytes,
				concurrentMerges: this.#pick([2, 3]),
			},
			inlineMaxBytes: this.#pick([0, 1_048_576, 1_048_576]),
			diskFaultRate: this.#pick([0, 0, 0.05, 0.5]),
			flushIntervalMs: this.#pick([0, 1000]),
			skewsMs: this.#pick([[0], [0], [4 * MINUTE_MS, -4 * MINUTE_MS, 0], [3 * HOUR_MS, 0], [-3 * HOUR_MS, 0]]),
			ttlShare: this.#pick([0, 0.3, 0.6]),
		}
	}

	#retention(): AgeRetention | TimeWindowRetention {
		const retentionCount = this.#pick([0, 0, 2])
		if (this.#chance(0.5)) return { mode: 'age', retentionPeriodMs: HOUR_MS, retentionCount }
		const segmentDurationMs = this.#pick([5 * MINUTE_MS, 20 * MINUTE_MS])
		return { mode: 'time-window', retentionPeriodMs: HOUR_MS, segmentDurationMs, retentionCount: 10 * retentionCount }
	}

	#pick<Value>(values: readonly Value[]): Value {
		// Nothing is picked from nothing.
		return values[this.#below(values.length)] as Value
	}

	#below(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	#chance(probability: number): boolean {
		return this.#random.next() < probability
	}
}
