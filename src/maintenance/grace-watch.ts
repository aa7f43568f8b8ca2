/**
 * Since when something is known to everybody: what was announced is acted on only after the grace period.
 *
 * A span is counted by this process itself, from when it saw the thing, or from earlier where the store's clock shows how long
 * ago that was. Invariant: the list is short: where it would grow, steps between are left out, which only delays.
 */
const WAITING_MAX = 64

export class GraceWatch<Thing> {
	readonly #graceMs: number
	readonly #waiting: { readonly thing: Thing; readonly sinceMs: number }[] = []
	#ripe: Thing | undefined

	constructor(graceMs: number) {
		this.#graceMs = graceMs
	}

	/** `thing` stands for all that were seen before it. `sinceMs` and `nowMs` are of the monotonic clock. */
	see(thing: Thing, sinceMs: number): void {
		if (this.#waiting.length >= WAITING_MAX) this.#waiting.splice(-2, 1)
		this.#waiting.push({ thing, sinceMs })
	}

	/** `thing` has been known since `sinceMs`, which was before all that was seen. */
	known(thing: Thing, sinceMs: number): void {
		this.#waiting.unshift({ thing, sinceMs })
	}

	/** The newest thing whose grace period has passed. */
	ripe(nowMs: number): Thing | undefined {
		for (let next = this.#waiting[0]; next !== undefined && nowMs - next.sinceMs >= this.#graceMs; ) {
			this.#ripe = next.thing
			this.#waiting.shift()
			next = this.#waiting[0]
		}
		return this.#ripe
	}

	/** How long until the next thing is ripe; `undefined` when none waits. */
	nextInMs(nowMs: number): number | undefined {
		const next = this.#waiting[0]
		return next === undefined ? undefined : Math.max(0, next.sinceMs + this.#graceMs - nowMs)
	}
}
