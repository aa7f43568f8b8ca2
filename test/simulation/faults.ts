/**
 * What goes wrong, and when: a function of the seed, the process and the number of its request. So a fault stays where it is when
 * others are left out, which is how a history is made shorter.
 */

export const FAULT_KINDS = [
	/** The request never arrives; the caller is told that there was no answer. */
	'lose-request',
	/** The request takes effect; the caller is told that there was no answer. */
	'lose-reply',
	/** The store is asked too often: no effect, and it says so. */
	'throttle',
	/** The caller is told that there was no answer; the request takes effect later. */
	'arrive-late',
	/** The request takes effect, and once more, later. Writes only. */
	'duplicate',
	/** The request takes long to arrive. */
	'delay-request',
	/** The answer takes long to arrive. */
	'delay-reply',
	/** A body breaks off in the middle. Streams only. */
	'cut-body',
	/** The process dies before the request arrives. */
	'kill-before',
	/** The process dies when the request has taken effect. */
	'kill-after',
	/** The process stands still, for up to an hour, and goes on. */
	'pause',
	/** The process loses its way to the store for up to two minutes: requests or answers get lost. */
	'outage',
	/** The wall clock of the process jumps, up to six hours. */
	'jump-clock',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
	readonly kind: FaultKind
	/** `process:request:kind`, by which it is kept or left out. */
	readonly name: string
	/** Uniform in [0, 1): how long, how far. */
	readonly amount: number
}

export interface FaultPlanOptions {
	readonly seed: number
	/** Share of the requests that meet a fault. */
	readonly rate: number
	/** Only faults of these names happen. Default: all. */
	readonly only?: ReadonlySet<string> | undefined
}

const WEIGHTS: Readonly<Record<FaultKind, number>> = {
	'lose-request': 3,
	'lose-reply': 4,
	throttle: 2,
	'arrive-late': 3,
	duplicate: 4,
	'delay-request': 3,
	'delay-reply': 3,
	'cut-body': 2,
	'kill-before': 1,
	'kill-after': 2,
	pause: 2,
	outage: 1,
	'jump-clock': 1,
}
const WEIGHT_SUM = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0)

export class FaultPlan {
	/** Names of those that happened. */
	readonly happened: string[] = []
	readonly #options: FaultPlanOptions
	#isOver = false

	constructor(options: FaultPlanOptions) {
		this.#options = options
	}

	/** The fault of a request, if it meets one of the kinds that it can meet. */
	of(process: string, request: number, isPossible: (kind: FaultKind) => boolean): Fault | undefined {
		const { seed, rate, only } = this.#options
		if (this.#isOver || rate === 0) return undefined
		const roll = hash(seed, textHash(process), request)
		if (roll / 2 ** 32 >= rate) return undefined
		const kind = kindAt((hash(roll, 1, 2) / 2 ** 32) * WEIGHT_SUM)
		if (!isPossible(kind)) return undefined
		const name = `${process}:${request}:${kind}`
		if (only !== undefined && !only.has(name)) return undefined
		this.happened.push(name)
		return { kind, name, amount: hash(roll, 3, 4) / 2 ** 32 }
	}

	/** Everything goes well from now on. */
	end(): void {
		this.#isOver = true
	}
}

function kindAt(weight: number): FaultKind {
	let left = weight
	for (const kind of FAULT_KINDS) {
		left -= WEIGHTS[kind]
		if (left < 0) return kind
	}
	return 'lose-reply'
}

/** Three numbers as one of 32 bits (the finalizer of MurmurHash3, Austin Appleby, public domain). */
export function hash(a: number, b: number, c: number): number {
	let mixed = Math.imul(a | 0, 0x9e3779b1) ^ Math.imul(b | 0, 0x85ebca77) ^ Math.imul(c | 0, 0xc2b2ae3d)
	mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
	mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
	return (mixed ^ (mixed >>> 16)) >>> 0
}

export function textHash(text: string): number {
	let value = 0x811c9dc5
	for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
	return value
}
