/**
 * Runs inputs of a format. Input i of a seed is the same whatever ran before it, so that a find is repeated by two numbers.
 *
 * Inputs run in groups under a watchdog of the runtime, which breaks off even a loop that never ends.
 */
import { Script } from 'node:vm'
import { seededRandom } from '../../src/host/random.ts'
import { AllocationMeter } from './allocation-meter.ts'
import type { Attempt, Format } from './format.ts'

export interface Find {
	readonly format: string
	readonly seed: number
	readonly input: number
	readonly what: string
	readonly shown: string
}

export interface FuzzReport {
	readonly format: string
	readonly inputs: number
	readonly accepted: number
	readonly refused: number
	/** Most that one input made the decoder ask for, in bytes. */
	readonly mostAllocatedBytes: number
	readonly finds: readonly Find[]
}

export interface FuzzOptions {
	readonly seed: number
	readonly inputs: number
	/** Number of the first input. Default 0. */
	readonly first?: number | undefined
	/** It stops when it has so many. Default 1. */
	readonly maxFinds?: number | undefined
	/** A group of inputs that takes longer hangs. Default 30 s. */
	readonly hangMs?: number | undefined
}

const GROUP_INPUTS = 128
/** A hang, and not a busy machine: a group takes some milliseconds. */
const HANG_MS = 30_000

/** Inputs of neighbouring numbers share nothing. */
function randomOf(seed: number, input: number): ReturnType<typeof seededRandom> {
	const random = seededRandom(Math.imul(seed + 1, 0x9e37_79b1) ^ Math.imul(input + 1, 0x85eb_ca6b))
	random.next()
	return random
}

class Run {
	accepted = 0
	refused = 0
	mostAllocatedBytes = 0
	readonly finds: Find[] = []
	readonly #format: Format
	readonly #seed: number
	readonly #meter: AllocationMeter
	/** The one that runs. */
	#input = 0
	#attempt: Attempt | undefined

	constructor(format: Format, seed: number, meter: AllocationMeter) {
		this.#format = format
		this.#seed = seed
		this.#meter = meter
	}

	/** Undefined, or what is to be waited for before the next. */
	start(input: number): Promise<void> | undefined {
		this.#input = input
		this.#attempt = undefined
		try {
			const attempt = this.#format.attempt(randomOf(this.#seed, input))
			this.#attempt = attempt
			this.#meter.begin(attempt.allocationMaxBytes)
			const verdict = attempt.judge()
			if (typeof verdict !== 'string') return verdict.then(this.#count, this.#report)
			this.#count(verdict)
		} catch (error) {
			this.#report(error)
		}
		return undefined
	}

	hung(hangMs: number): void {
		this.#report(new Error(`nothing came for ${hangMs} ms`))
	}

	readonly #count = (verdict: string): void => {
		this.mostAllocatedBytes = Math.max(this.mostAllocatedBytes, this.#meter.end())
		if (this.#meter.excess !== undefined) this.#report(new Error(this.#meter.excess))
		else if (verdict === 'accepted') this.accepted++
		else this.refused++
	}

	readonly #report = (error: unknown): void => {
		this.#meter.end()
		const what = this.#meter.excess ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))
		const shown = this.#attempt?.show() ?? 'the input could not be made'
		this.finds.push({ format: this.#format.name, seed: this.#seed, input: this.#input, what, shown })
	}
}

/** What `work` answers, under the watchdog; `hung` when that had to break off. */
function inTime<Answer>(work: () => Answer, hangMs: number): Answer | 'hung' {
	const name = 'isledbFuzzGroup'
	let answer: Answer | 'hung' = 'hung'
	Reflect.set(globalThis, name, () => {
		answer = work()
	})
	try {
		new Script(`${name}()`).runInThisContext({ timeout: hangMs })
	} catch (error) {
		if (!(error instanceof Error && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')) throw error
	} finally {
		Reflect.deleteProperty(globalThis, name)
	}
	return answer
}

export async function fuzz(format: Format, options: FuzzOptions): Promise<FuzzReport> {
	const { seed, inputs, first = 0, maxFinds = 1, hangMs = HANG_MS } = options
	using meter = new AllocationMeter()
	const run = new Run(format, seed, meter)
	const end = first + inputs
	let next = first
	const runGroup = (): Promise<void> | undefined => {
		for (const groupEnd = Math.min(end, next + GROUP_INPUTS); next < groupEnd && run.finds.length < maxFinds; ) {
			const waiting = run.start(next++)
			if (waiting !== undefined) return waiting
		}
		return undefined
	}
	while (next < end && run.finds.length < maxFinds) {
		const waiting = inTime(runGroup, hangMs)
		if (waiting === 'hung') run.hung(hangMs)
		else await waiting
		// What zlib holds for a call that failed is given back in a turn of the event loop, and is no memory of the decoders.
		await new Promise(resolve => setImmediate(resolve))
	}
	const { accepted, refused, mostAllocatedBytes, finds } = run
	return { format: format.name, inputs: next - first, accepted, refused, mostAllocatedBytes, finds }
}
