/**
 * A process of the simulation: a host (wall clock that may be wrong and jumps, timers, chance of its own) and a way to the virtual
 * store on which requests get lost. It may stand still and go on, or die: then nothing that it waits for ever comes, and each
 * of its requests that were on their way arrives, or does not.
 */
import type { Clock, Timer } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import { type FaultPlan, hash, textHash } from './faults.ts'
import { SimulatedStore } from './simulated-store.ts'
import type { VirtualDisk } from './virtual-disk.ts'
import type { VirtualObjects } from './virtual-objects.ts'
import type { Runner, World } from './world.ts'

export interface ProcessOptions {
	readonly name: string
	readonly seed: number
	readonly world: World
	readonly objects: VirtualObjects
	readonly faults: FaultPlan
	/** How far its wall clock is ahead. */
	readonly skewMs: number
	/** Milliseconds of its clocks for each true one: two of them never differ by a factor of two. */
	readonly rate: number
	readonly hasFlips: boolean
	readonly isTrusted: boolean
	readonly disk: VirtualDisk
	/** Of a cache on that disk. */
	readonly cacheDir: string | undefined
}

/** A request that is on its way. */
interface UnderWay {
	/** It takes effect, and nobody waits for its answer. */
	deliver(): void
}

export const DEAD: unique symbol = Symbol('the process has died')

export class SimulatedProcess implements Runner {
	readonly name: string
	readonly host: Host
	readonly store: SimulatedStore
	readonly cacheDir: string | undefined
	readonly #world: World
	readonly #options: ProcessOptions
	readonly #startedMs: number
	readonly #mourners = new Set<() => void>()
	/** What is on its way to the store. */
	readonly #underWay = new Set<UnderWay>()
	#skewMs: number
	/** What its clock showed before and after each. */
	readonly #jumps: number[] = []
	#isDead = false
	pausedUntilMs = 0
	/** Until then it has no way to the store. */
	cutOffUntilMs = 0

	constructor(options: ProcessOptions) {
		this.name = options.name
		this.#options = options
		this.#world = options.world
		this.#skewMs = options.skewMs
		this.#startedMs = options.world.nowMs
		this.host = { clock: this.#clock(), random: seededRandom(hash(options.seed, textHash(options.name), 7)) }
		this.store = new SimulatedStore(this, options)
		this.cacheDir = options.cacheDir
	}

	get isDead(): boolean {
		return this.#isDead
	}

	nowMs(): number {
		return Math.floor(this.#world.nowMs + this.#skewMs + this.#elapsedMs() - (this.#world.nowMs - this.#startedMs))
	}

	/** Nothing of it happens any more. Its files stay, as far as a crash leaves them. */
	kill(): void {
		if (this.#isDead) return
		this.#isDead = true
		this.#world.drop(this)
		for (const request of this.#underWay) {
			if (this.#world.chance(0.5)) this.#world.task(undefined, () => request.deliver())
		}
		this.#underWay.clear()
		// Half of the deaths are those of the machine.
		if (this.cacheDir !== undefined && this.#world.chance(0.5)) this.#options.disk.crash(this.cacheDir)
		for (const tell of this.#mourners) tell()
	}

	pause(forMs: number): void {
		this.pausedUntilMs = this.#world.nowMs + forMs
	}

	cutOff(forMs: number): void {
		this.cutOffUntilMs = this.#world.nowMs + forMs
	}

	jumpClock(byMs: number): void {
		this.#jumps.push(this.nowMs())
		this.#skewMs += byMs
		this.#jumps.push(this.nowMs())
	}

	/** Answers what it has taken for the time since this was called, at least and at most. */
	watchClock(): () => readonly [from: number, to: number] {
		const beganMs = this.nowMs()
		const { length } = this.#jumps
		return () => {
			const times = [beganMs, ...this.#jumps.slice(length), this.nowMs()]
			return [Math.min(...times), Math.max(...times)]
		}
	}

	/** When the process dies before it has arrived, it still arrives, or does not. */
	sent(request: UnderWay): void {
		this.#underWay.add(request)
	}

	arrived(request: UnderWay): void {
		this.#underWay.delete(request)
	}

	/** Waits for what the process does, or for its death. */
	whileAlive<Value>(work: Promise<Value>): Promise<Value | typeof DEAD> {
		if (this.#isDead) {
			// Nobody is there any more who could handle what comes of it.
			work.catch(() => undefined)
			return Promise.resolve(DEAD)
		}
		return new Promise((resolve, reject) => {
			const tell = (): void => resolve(DEAD)
			this.#mourners.add(tell)
			const end = (): void => void this.#mourners.delete(tell)
			work.then(
				value => {
					end()
					resolve(value)
				},
				error => {
					end()
					reject(error)
				},
			)
		})
	}

	#elapsedMs(): number {
		return (this.#world.nowMs - this.#startedMs) * this.#options.rate
	}

	#clock(): Clock {
		const never: Timer = { cancel: () => undefined }
		return {
			nowMs: () => this.nowMs(),
			monotonicMs: () => this.#elapsedMs(),
			schedule: (delayMs, fire) => {
				if (Number.isNaN(delayMs)) throw new RangeError('Expected `delayMs` to be a number, got NaN')
				return this.#isDead
					? never
					: this.#world.timer(this, Math.max(1, Math.ceil(delayMs / this.#options.rate)), fire)
			},
			yieldToIo: () => (this.#isDead ? new Promise(() => undefined) : this.#world.turn(this)),
		}
	}
}
