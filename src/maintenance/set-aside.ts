/**
 * What is left alone: tables for a while, longer each time, because work on them failed; tables and packs that are damaged or
 * gone for an hour, twice as long each time, because somebody may put them back.
 */
import { isIsleError } from '../errors.ts'
import type { Random } from '../host/random.ts'
import { Backoff } from './maintenance-backoff.ts'

/** After so long without another failure a table is as good as any. */
const FORGOTTEN_MS = 600_000
/** To find out costs what was merged until the damage was met. */
const QUARANTINE_MIN_MS = 3_600_000
const QUARANTINE_MAX_MS = 86_400_000

interface Resting {
	readonly untilMs: number
	readonly backoff: Backoff
}

/** What is damaged or gone. */
export interface DamagedObject {
	/** What policies and `MaintainerStatus.quarantined` call it: the id of a table, the object key of a pack. */
	readonly name: string
	/** Undefined for a pack. */
	readonly table: string | undefined
	readonly key: string
}

interface Quarantined {
	readonly damaged: DamagedObject
	readonly untilMs: number
	readonly lastsMs: number
}

export class SetAside {
	readonly #random: Random
	readonly #resting = new Map<string, Resting>()
	readonly #quarantined = new Map<string, Quarantined>()

	constructor(random: Random) {
		this.#random = random
	}

	/** Names of all that was found damaged and has not been found well since. */
	get damaged(): string[] {
		return [...this.#quarantined.keys()]
	}

	/** Those of them that are not to be read at `nowMs`. */
	quarantinedAt(nowMs: number): ReadonlySet<string> {
		return new Set([...this.#quarantined].flatMap(([name, { untilMs }]) => (untilMs > nowMs ? [name] : [])))
	}

	/** Answers what is quarantined from now on, if `error` says that something that work on `tables` read is damaged. */
	put(tables: readonly string[], error: unknown, nowMs: number): DamagedObject | undefined {
		const damaged = damagedObject(error)
		if (damaged !== undefined && (damaged.table === undefined || tables.includes(damaged.table))) {
			const before = this.#quarantined.get(damaged.name)
			const lastsMs = Math.min(QUARANTINE_MAX_MS, 2 * (before?.lastsMs ?? QUARANTINE_MIN_MS / 2))
			this.#quarantined.set(damaged.name, { damaged, untilMs: nowMs + lastsMs, lastsMs })
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

	/** What of `names` was damaged and has been read, or needs not be read any more. */
	release(names: readonly string[]): DamagedObject[] {
		return names.flatMap(name => {
			const found = this.#quarantined.get(name)
			this.#quarantined.delete(name)
			return found === undefined ? [] : [found.damaged]
		})
	}

	/** Tables that are not to be touched at `nowMs`; those in quarantine are known to the policies. */
	restingAt(nowMs: number): string[] {
		return [...this.#resting].flatMap(([table, { untilMs }]) => (untilMs > nowMs ? [table] : []))
	}

	/** Until the first of them may be touched again. What is in quarantine is no reason to wake up. */
	nextInMs(nowMs: number): number | undefined {
		const waits = [...this.#resting.values()].flatMap(({ untilMs }) => (untilMs > nowMs ? [untilMs - nowMs] : []))
		return waits.length === 0 ? undefined : Math.min(...waits)
	}
}

function damagedObject(error: unknown): DamagedObject | undefined {
	if (!isIsleError(error, 'ISLE_CORRUPT') && !isIsleError(error, 'ISLE_NOT_FOUND')) return undefined
	const { table, pack, key } = error.details
	const objectKey = typeof key === 'string' ? key : ''
	if (typeof table === 'string') return { name: table, table, key: objectKey }
	return typeof pack === 'string' ? { name: objectKey, table: undefined, key: objectKey } : undefined
}
