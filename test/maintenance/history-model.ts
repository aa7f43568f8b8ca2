/**
 * What a database must show after a history: a list of all mutations, of which the first `cut` are seen, and what retention
 * may have taken away of them. A mutation uses one sequence number, so that `cut` is a sequence number.
 */
import type { RangeOptions } from '../../src/index.ts'
import { type ModelRow, rowsIn } from '../database/database-model.ts'

export interface HistoryMutation {
	readonly key: string
	/** Undefined: a delete. */
	readonly value: string | undefined
	/** 0: never. */
	readonly expiresAtMs: number
	readonly writtenAtMs: number
}

/** A mutation that is visible, in the order of keys. */
type LiveRow = readonly [key: string, mutation: HistoryMutation]

export class HistoryModel {
	readonly #mutations: HistoryMutation[] = []
	/** Mutations up to this one were acknowledged as durable. */
	durable = 0
	/** Rows written longer ago than this may be gone; never, by default. */
	readonly #retainedMs: number

	constructor(retainedMs: number) {
		this.#retainedMs = retainedMs
	}

	get mutations(): readonly HistoryMutation[] {
		return this.#mutations
	}

	get lastSeq(): number {
		return this.#mutations.length
	}

	add(mutation: HistoryMutation): void {
		this.#mutations.push(mutation)
	}

	/** Another writer stands where only `lastSeq` mutations were committed. Answers what is wrong with that. */
	cutTo(lastSeq: number): string | undefined {
		if (lastSeq > this.#mutations.length) return `${lastSeq} mutations, only ${this.#mutations.length} were made`
		if (lastSeq < this.durable) return `${lastSeq} mutations, ${this.durable} were acknowledged as durable`
		this.#mutations.length = lastSeq
		this.durable = lastSeq
		return undefined
	}

	/**
	 * What is wrong with `found`, read from `range` of the state at `cut`, as it was at `nowMs`; `undefined`: nothing.
	 * `readMs` is when it was read: retention goes on, also in what a snapshot keeps of a state whose objects are gone.
	 */
	judgeRows(
		found: readonly ModelRow[],
		range: RangeOptions<string>,
		nowMs: number,
		cut: number = this.lastSeq,
		readMs: number = nowMs,
	): string | undefined {
		const live = new Map(this.#live(nowMs, cut))
		const rows = [...live].map(([key, { value }]): ModelRow => [key, value ?? ''])
		const expected = rowsIn(rows, { ...range, limit: undefined })
		const limit = range.limit ?? expected.length
		let next = 0
		const lost: ModelRow[] = []
		for (const [key, value] of found) {
			const at = expected.findIndex(([other], i) => i >= next && other === key)
			if (at === -1 || expected[at]?.[1] !== value) {
				return `${key}=${brief(value)} is wrong or out of order: found ${shown(found)} expected ${shown(expected)}`
			}
			lost.push(...expected.slice(next, at))
			next = at + 1
		}
		if (found.length < limit) lost.push(...expected.slice(next, range.limit === undefined ? undefined : next + limit))
		const unexcused = lost.filter(([key]) => !this.#mayBeGone(live.get(key), readMs))
		if (found.length > limit) return `${found.length} rows, limit ${limit}`
		return unexcused.length === 0 ? undefined : `lost: ${shown(unexcused)}, found ${shown(found)}`
	}

	/** What is wrong with the answer to a get. */
	judgeValue(
		key: string,
		found: string | undefined,
		nowMs: number,
		cut: number = this.lastSeq,
		readMs: number = nowMs,
	): string | undefined {
		const mutation = this.#newest(key, cut)
		const isLive = mutation?.value !== undefined && isVisible(mutation, nowMs)
		if (found === (isLive ? mutation.value : undefined)) return undefined
		if (isLive && found === undefined && this.#mayBeGone(mutation, readMs)) return undefined
		return `${key}: ${brief(found)} instead of ${isLive ? brief(mutation.value) : 'nothing'}`
	}

	#newest(key: string, cut: number): HistoryMutation | undefined {
		return this.#mutations.findLast((mutation, i) => i < cut && mutation.key === key)
	}

	#live(nowMs: number, cut: number): LiveRow[] {
		const newest = new Map<string, HistoryMutation>()
		for (const mutation of this.#mutations.slice(0, cut)) newest.set(mutation.key, mutation)
		const live = [...newest].filter(([, mutation]) => mutation.value !== undefined && isVisible(mutation, nowMs))
		return live.sort(([a], [b]) => (a < b ? -1 : 1))
	}

	#mayBeGone(mutation: HistoryMutation | undefined, nowMs: number): boolean {
		return mutation !== undefined && nowMs - mutation.writtenAtMs >= this.#retainedMs
	}
}

function isVisible({ expiresAtMs }: HistoryMutation, nowMs: number): boolean {
	return expiresAtMs === 0 || expiresAtMs > nowMs
}

function brief(value: string | undefined): string {
	return value === undefined ? 'nothing' : `${value.slice(0, 12)}(${value.length})`
}

function shown(rows: readonly ModelRow[]): string {
	return `[${rows.map(([key, value]) => `${key}=${brief(value)}`).join(' ')}]`
}
