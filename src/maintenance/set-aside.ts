/**
 * Tables that are left alone: for a while, longer each time, because work on them failed; or for as long as the owner lives,
 * because they are damaged or gone.
 */
import { isIsleError } from '../errors.ts'
import type { Random } from '../host/random.ts'
import { Backoff } from './maintenance-backoff.ts'

/** After so long without another failure a table is as good as any. */
const FORGOTTEN_MS = 600_000

interface Resting {
	readonly untilMs: number
	readonly backoff: Backoff
}

export class SetAside {
	readonly #random: Random
	readonly #resting = new Map<string, Resting>()
	readonly #quarantined = new Set<string>()

	constructor(random: Random) {
		this.#random = random
	}

	get quarantined(): ReadonlySet<string> {
		return this.#quarantined
	}

	/** Answers the table that is quarantined from now on, if `error` names one of `tables` as damaged. */
	put(tables: readonly string[], error: unknown, nowMs: number): string | undefined {
		const damaged = damagedTable(error)
		if (damaged !== undefined && tables.includes(damaged)) {
			this.#quarantined.add(damaged)
			return damaged
		}
		for (const [table, { untilMs }] of this.#resting) if (untilMs + FORGOTTEN_MS < nowMs) this.#resting.delete(table)
		for (const table of tables) {
			const backoff = this.#resting.get(table)?.backoff ?? new Backoff()
			this.#resting.set(table, { untilMs: nowMs + backoff.nextMs(this.#random), backoff })
		}
		return undefined
	}

	/** Work on them has succeeded: they are gone, or well. */
	forget(tables: readonly string[]): void {
		for (const table of tables) this.#resting.delete(table)
	}

	/** Tables that are not to be touched at `nowMs`; those in quarantine are known to the policies. */
	restingAt(nowMs: number): string[] {
		return [...this.#resting].flatMap(([table, { untilMs }]) => (untilMs > nowMs ? [table] : []))
	}

	/** Until the first of them may be touched again. */
	nextInMs(nowMs: number): number | undefined {
		const waits = [...this.#resting.values()].flatMap(({ untilMs }) => (untilMs > nowMs ? [untilMs - nowMs] : []))
		return waits.length === 0 ? undefined : Math.min(...waits)
	}
}

function damagedTable(error: unknown): string | undefined {
	const isDamage = isIsleError(error, 'ISLE_CORRUPT') || isIsleError(error, 'ISLE_NOT_FOUND')
	const table = isDamage ? error.details['table'] : undefined
	return typeof table === 'string' ? table : undefined
}
