/** One request of a process on its way to the virtual store: what becomes of it, and what its caller is told. */

import { IsleError } from '../../src/errors.ts'
import type { Timer } from '../../src/host/clock.ts'
import type { RequestOptions } from '../../src/object-store/object-store.ts'
import type { Fault, FaultKind } from './faults.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Task, World } from './world.ts'

/** What a request does. */
export interface Request<Value> {
	readonly what: string
	readonly effect: () => Value
	/** Which faults it can meet. */
	readonly possible: readonly FaultKind[]
	/** Its value with one bit changed; `amount` says which. Only of reads. */
	readonly flip?: ((value: Value, amount: number) => Value) | undefined
	/** Does it once more, when nobody asks for it any more. Only of writes. */
	readonly repeat?: (() => void) | undefined
	/** Instead of an error. */
	readonly unknown?: ((cause: unknown) => Value) | undefined
}

const HOUR_MS = 3_600_000
/** An answer comes in a turn of its own in so many cases. */
const ANSWER_APART = 0.25
const OUTAGE_MAX_MS = 120_000
/** Connections are given up after this long. */
const OUTAGE_ANSWER_MS = 3000

/** What came of the effect. */
type Outcome<Value> = { readonly value: Value } | { readonly error: unknown }

const NOTHING_TO_RELEASE = (): void => undefined

/** As a task: it arrives. */
export class SimulatedRequest<Value> implements Task {
	readonly #request: Request<Value>
	readonly #process: SimulatedProcess
	readonly #world: World
	readonly #resolve: (value: Value) => void
	readonly #reject: (error: unknown) => void
	#release = NOTHING_TO_RELEASE
	#fault: Fault | undefined
	#isAnswered = false

	constructor(
		request: Request<Value>,
		process: SimulatedProcess,
		world: World,
		resolve: (value: Value) => void,
		reject: (error: unknown) => void,
	) {
		this.#request = request
		this.#process = process
		this.#world = world
		this.#resolve = resolve
		this.#reject = reject
	}

	/** An abort, or the deadline, answers at once. */
	limit(options: RequestOptions | undefined): void {
		if (options === undefined) return
		const { signal, deadlineMs } = options
		if (signal === undefined && deadlineMs === undefined) return
		const onAbort = (): void => this.#fail(signal?.reason)
		signal?.addEventListener('abort', onAbort, { once: true })
		let timer: Timer | undefined
		if (deadlineMs !== undefined && Number.isFinite(deadlineMs)) {
			timer = this.#process.host.clock.schedule(deadlineMs, () => this.#fail(this.#unavailable('past its deadline')))
		}
		// Named before it is assigned: D-098.
		const release = (): void => {
			signal?.removeEventListener('abort', onAbort)
			timer?.cancel()
		}
		this.#release = release
	}

	begin(fault: Fault | undefined, latencyMs: number): void {
		this.#fault = fault
		this.#process.sent(this)
		if (fault?.kind === 'delay-request') this.#world.timer(this.#process, longMs(fault.amount), () => this.run())
		else if (latencyMs > 0) this.#world.timer(this.#process, latencyMs, () => this.run())
		else this.#world.enqueue(this)
	}

	get runner(): SimulatedProcess {
		return this.#process
	}

	run(): void {
		this.#process.arrived(this)
		if (this.#world.nowMs < this.#process.cutOffUntilMs) this.#loseOnTheWay()
		else if (this.#fault !== undefined) this.#meet(this.#fault)
		else {
			const outcome = this.#tryEffect()
			this.#answer(outcome, this.#world.chance(ANSWER_APART) ? 0 : undefined)
		}
	}

	deliver(): void {
		this.#tryEffect()
	}

	#meet({ kind, amount }: Fault): void {
		const world = this.#world
		switch (kind) {
			case 'lose-request':
				this.#fail(this.#unavailable('no answer'))
				break
			case 'throttle':
				this.#fail(this.#unavailable('asked too often'))
				break
			case 'conflict':
				this.#fail(this.#unavailable('somebody else is at work on the key'))
				break
			case 'cut-body':
				this.#tryEffect()
				this.#fail(this.#unavailable('the body broke off'))
				break
			case 'flip-bit':
				this.#answer(this.#flipped(this.#tryEffect(), amount), undefined)
				break
			case 'lose-reply':
				this.#tryEffect()
				this.#fail(this.#unavailable('no answer'))
				break
			case 'arrive-late':
				world.timer(undefined, longMs(amount), () => void this.#tryEffect())
				this.#fail(this.#unavailable('no answer'))
				break
			case 'arrive-late-twice':
				world.timer(undefined, longMs(amount), () => {
					this.#tryEffect()
					world.timer(undefined, longMs(1 - amount), () => this.#request.repeat?.())
				})
				this.#fail(this.#unavailable('no answer'))
				break
			case 'duplicate':
				this.#answer(this.#tryEffect(), undefined)
				world.timer(undefined, longMs(amount), () => this.#request.repeat?.())
				break
			case 'delay-request':
				this.#answer(this.#tryEffect(), undefined)
				break
			case 'delay-reply':
				this.#answer(this.#tryEffect(), longMs(amount))
				break
			case 'outage':
				this.#process.cutOff(amount * OUTAGE_MAX_MS)
				this.#loseOnTheWay()
				break
			default:
				this.#strike(kind, amount)
		}
	}

	/** What happens to the process and not to the request. */
	#strike(kind: 'kill-before' | 'kill-after' | 'pause' | 'jump-clock', amount: number): void {
		const process = this.#process
		if (kind === 'kill-before') process.kill()
		else if (kind === 'kill-after') {
			this.#tryEffect()
			process.kill()
		} else {
			this.#answer(this.#tryEffect(), kind === 'pause' ? 0 : undefined)
			if (kind === 'pause') process.pause(longMs(amount))
			else process.jumpClock(Math.round((amount - 0.5) * 12 * HOUR_MS))
		}
	}

	/** The request or its answer; which of them, nobody knows. */
	#loseOnTheWay(): void {
		if (this.#world.chance(0.3)) this.#tryEffect()
		this.#world.timer(this.#process, OUTAGE_ANSWER_MS, () => this.#fail(this.#unavailable('no way to the store')))
	}

	#tryEffect(): Outcome<Value> {
		try {
			return { value: this.#request.effect() }
		} catch (error) {
			return { error }
		}
	}

	#flipped(outcome: Outcome<Value>, amount: number): Outcome<Value> {
		const { flip } = this.#request
		return 'error' in outcome || flip === undefined ? outcome : { value: flip(outcome.value, amount) }
	}

	/** `afterMs`: in a turn of its own, so much later. */
	#answer(outcome: Outcome<Value>, afterMs: number | undefined): void {
		if (afterMs === undefined) this.#tell(outcome)
		else if (afterMs === 0) this.#world.task(this.#process, () => this.#tell(outcome))
		else this.#world.timer(this.#process, afterMs, () => this.#tell(outcome))
	}

	#tell(outcome: Outcome<Value>): void {
		if ('error' in outcome) this.#fail(outcome.error)
		else if (this.#settle()) this.#resolve(outcome.value)
	}

	#fail(cause: unknown): void {
		if (!this.#settle()) return
		if (this.#request.unknown === undefined) this.#reject(cause)
		else this.#resolve(this.#request.unknown(cause))
	}

	#settle(): boolean {
		if (this.#isAnswered) return false
		this.#isAnswered = true
		this.#release()
		return true
	}

	#unavailable(why: string): IsleError {
		return new IsleError('ISLE_UNAVAILABLE', `${why}: ${this.#request.what}`)
	}
}

/** From ten milliseconds to an hour, as likely to be seconds as minutes. */
function longMs(amount: number): number {
	return Math.ceil(10 ** (1 + amount * 5.556))
}
