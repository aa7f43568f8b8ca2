/**
 * What goes wrong, and when: either a function of the seed, the process and the number of its request, or a list that says so. A fault
 * stays where it is when others are left out, which is how a history is made shorter; and what has been found is kept as such a list, so
 * that it means the same whatever is drawn from seeds later.
 */

export const FAULT_KINDS = [
	/** The request never arrives; the caller is told that there was no answer. */
	'lose-request',
	/** The request takes effect; the caller is told that there was no answer. */
	'lose-reply',
	/** The store is asked too often (503): no effect, and it says so. */
	'throttle',
	/** Somebody else is at work on the key (409): no effect, and nobody knows what comes of it. Creates only. */
	'conflict',
	/** The caller is told that there was no answer; the request takes effect later. */
	'arrive-late',
	/** The same, and it arrives twice. Writes only. */
	'arrive-late-twice',
	/** The request takes effect, and once more, later. Writes only. */
	'duplicate',
	/** The request takes long to arrive. */
	'delay-request',
	/** The answer takes long to arrive. */
	'delay-reply',
	/** A body breaks off in the middle. Reads only. */
	'cut-body',
	/** One bit of a body is another one. Reads only, and only where the settings say so. */
	'flip-bit',
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
	/** Uniform in [0, 1), in steps of a ten-thousandth: how long, how far. */
	readonly amount: number
}

/** A fault where it happened. */
interface Happened extends Fault {
	readonly process: string
	readonly request: number
}

export interface FaultPlanOptions {
	readonly seed: number
	/** Share of the requests that meet a fault. */
	readonly rate: number
	/** Names of the faults that happen, instead of those of the seed. */
	readonly only?: readonly string[] | undefined
	/** Whether crashes that could happen are noted. */
	readonly notesCrashes?: boolean | undefined
}

const AMOUNT_STEPS = 10_000
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
	'lose-request': 3,
	'lose-reply': 4,
	throttle: 2,
	conflict: 2,
	'arrive-late': 3,
	'arrive-late-twice': 2,
	duplicate: 4,
	'delay-request': 3,
	'delay-reply': 3,
	'cut-body': 2,
	'flip-bit': 4,
	'kill-before': 1,
	'kill-after': 2,
	pause: 2,
	outage: 1,
	'jump-clock': 1,
}

export class FaultPlan {
	readonly #happened: Happened[] = []
	/** Names of the crashes that could have happened, where they are asked for. */
	readonly crashes: string[] = []
	readonly #seed: number
	readonly #rate: number
	readonly #listed: ReadonlyMap<string, Fault> | undefined
	readonly #notesCrashes: boolean
	#isOver = false

	constructor({ seed, rate, only, notesCrashes = false }: FaultPlanOptions) {
		this.#notesCrashes = notesCrashes
		this.#seed = seed
		this.#rate = rate
		this.#listed = only === undefined ? undefined : new Map(only.map(listedFault))
	}

	/** Names of those that happened, `process:request:kind:amount`, by which they are kept or left out. Made when somebody asks. */
	get happened(): string[] {
		return this.#happened.map(({ process, request, kind, amount }) => faultName(process, request, kind, amount))
	}

	get happenedKinds(): FaultKind[] {
		return this.#happened.map(({ kind }) => kind)
	}

	get haveHappened(): boolean {
		return this.#happened.length > 0
	}

	/** The fault of a request, if it meets one of the kinds that it can meet. `processHash` is that of its name. */
	of(process: string, processHash: number, request: number, possible: readonly FaultKind[]): Fault | undefined {
		if (this.#isOver) return undefined
		if (this.#notesCrashes) {
			const kinds = possible.filter(kind => kind === 'kill-before' || kind === 'kill-after')
			this.crashes.push(...kinds.map(kind => faultName(process, request, kind, 0)))
		}
		const fault =
			this.#listed === undefined
				? this.#rolled(processHash, request, possible)
				: this.#listed.get(placeName(process, request))
		if (fault === undefined || !possible.includes(fault.kind)) return undefined
		this.#happened.push({ process, request, kind: fault.kind, amount: fault.amount })
		return fault
	}

	/** Whether a fault of that kind has happened. */
	hasMet(kind: FaultKind): boolean {
		return this.#happened.some(fault => fault.kind === kind)
	}

	/** Everything goes well from now on. */
	end(): void {
		this.#isOver = true
	}

	#rolled(processHash: number, request: number, possible: readonly FaultKind[]): Fault | undefined {
		const roll = this.#rate === 0 ? 0 : hash(this.#seed, processHash, request)
		if (roll / 2 ** 32 >= this.#rate) return undefined
		const kind = kindAmong(possible, hash(roll, 1, 2) / 2 ** 32)
		const amount = Math.floor((hash(roll, 3, 4) / 2 ** 32) * AMOUNT_STEPS) / AMOUNT_STEPS
		return { kind, amount }
	}
}

/** Names a fault for a list of them. */
function faultName(process: string, request: number, kind: FaultKind, amount: number): string {
	return `${placeName(process, request)}:${kind}:${amount}`
}

function placeName(process: string, request: number): string {
	return `${process}:${request}`
}

function listedFault(name: string): [place: string, fault: Fault] {
	const [process, request, kindName, amount] = name.split(':')
	const kind = FAULT_KINDS.find(known => known === kindName)
	if (process === undefined || kind === undefined || amount === undefined) {
		throw new RangeError(`Expected process:request:kind:amount, got '${name}'`)
	}
	return [placeName(process, Number(request)), { kind, amount: Number(amount) }]
}

function kindAmong(possible: readonly FaultKind[], share: number): FaultKind {
	let weights = 0
	for (const kind of possible) weights += WEIGHTS[kind]
	let left = share * weights
	for (const kind of possible) {
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
