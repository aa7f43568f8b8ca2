/**
 * The naive model that a database is compared with: a list of all mutations, of which the first `cut` are what is seen.
 *
 * A mutation uses one sequence number, so that `cut` is a sequence number too: after a reopening or a takeover the database
 * itself says where it stands, and the model only holds it to what was made durable.
 */
import type { RangeOptions } from '../../src/index.ts'

export interface ModelMutation {
	readonly key: string
	/** Undefined: a delete. */
	readonly value: string | undefined
	/** 0: never. */
	readonly expiresAtMs: number
}

export type ModelRow = [key: string, value: string]

/** Keys as the database orders them: by their bytes in UTF-8. */
function compareKeys(a: string, b: string): number {
	return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export class DatabaseModel {
	readonly #mutations: ModelMutation[] = []
	/** Mutations up to this one were acknowledged as durable. */
	durable = 0

	get mutations(): readonly ModelMutation[] {
		return this.#mutations
	}

	get lastSeq(): number {
		return this.#mutations.length
	}

	add(mutation: ModelMutation): void {
		this.#mutations.push(mutation)
	}

	/** Another writer stands where only `lastSeq` mutations were committed. Answers what is wrong with that. */
	cutTo(lastSeq: number): string | undefined {
		if (lastSeq > this.#mutations.length) return `${lastSeq} mutations, only ${this.#mutations.length} were made`
		if (lastSeq < this.durable) return `${lastSeq} mutations, ${this.durable} were acknowledged as durable`
		this.#mutations.length = lastSeq
		return undefined
	}

	/** What is visible at `nowMs` after the first `cut` mutations, in the order of keys. */
	rows(nowMs: number, cut: number = this.lastSeq): ModelRow[] {
		const newest = new Map<string, ModelMutation>()
		for (const mutation of this.#mutations.slice(0, cut)) newest.set(mutation.key, mutation)
		const rows: ModelRow[] = []
		for (const [key, { value, expiresAtMs }] of newest) {
			if (value !== undefined && (expiresAtMs === 0 || expiresAtMs > nowMs)) rows.push([key, value])
		}
		return rows.sort(([a], [b]) => compareKeys(a, b))
	}
}

/** The rows of `rows` that lie in `range`, in its order. */
export function rowsIn(rows: readonly ModelRow[], range: RangeOptions<string>): ModelRow[] {
	const { gt, gte, lt, lte, prefix, reverse = false, limit } = range
	const inside = rows.filter(
		([key]) =>
			(gt === undefined || compareKeys(key, gt) > 0) &&
			(gte === undefined || compareKeys(key, gte) >= 0) &&
			(lt === undefined || compareKeys(key, lt) < 0) &&
			(lte === undefined || compareKeys(key, lte) <= 0) &&
			(prefix === undefined || Buffer.from(key).subarray(0, Buffer.byteLength(prefix)).equals(Buffer.from(prefix))),
	)
	if (reverse) inside.reverse()
	return inside.slice(0, limit)
}
