/**
 * Whether what the clients of one register saw could have happened one operation at a time: each somewhere between its call and its
 * return, and each read giving what was written last (Herlihy and Wing, "Linearizability", 1990).
 *
 * The search is that of Wing and Gong (1993) with the memory of Lowe ("Testing for linearizability", 2017): of the operations that
 * may come next, one is taken and the rest is searched; a set of taken operations that was reached with the same value before is
 * not searched again. An operation without an answer has no return: it may have taken effect at any time after its call, or
 * never. Keys are judged one by one: linearizability composes.
 */

export interface RegisterOperation<Value> {
	readonly kind: 'read' | 'write'
	readonly value: Value
	readonly calledAt: number
	/** Infinity: nobody knows whether it took effect. Only of writes. */
	readonly returnedAt: number
}

/** More than this is a history that nobody can look at. */
const OPERATIONS_MAX = 1000

/** `values` are compared by `===`. Calls and returns are told apart by their order: no two are at the same time. */
export function isLinearizable<Value>(operations: readonly RegisterOperation<Value>[], initial: Value): boolean {
	if (operations.length > OPERATIONS_MAX) throw new RangeError(`Expected at most ${OPERATIONS_MAX} operations`)
	const pending = [...operations].sort((a, b) => a.calledAt - b.calledAt)
	return new Search(pending).mayContinue(0n, initial)
}

class Search<Value> {
	readonly #operations: readonly RegisterOperation<Value>[]
	readonly #numbers = new Map<Value, number>()
	readonly #dead = new Set<string>()

	constructor(operations: readonly RegisterOperation<Value>[]) {
		this.#operations = operations
	}

	mayContinue(taken: bigint, value: Value): boolean {
		const state = `${taken.toString(36)} ${this.#numberOf(value)}`
		if (this.#dead.has(state)) return false
		// Whatever was called after another one had returned comes after it.
		const deadline = this.#firstReturn(taken)
		if (deadline === Number.POSITIVE_INFINITY) return true
		for (const [index, operation] of this.#operations.entries()) {
			if (operation.calledAt > deadline) break
			const bit = 1n << BigInt(index)
			if ((taken & bit) !== 0n) continue
			if (operation.kind === 'write' ? this.mayContinue(taken | bit, operation.value) : operation.value === value) {
				if (operation.kind === 'write') return true
				// A read that fits changes nothing: to take it at once is as good as to take it later.
				return this.mayContinue(taken | bit, value) || this.#end(state)
			}
		}
		return this.#end(state)
	}

	#end(state: string): false {
		this.#dead.add(state)
		return false
	}

	#firstReturn(taken: bigint): number {
		let first = Number.POSITIVE_INFINITY
		for (const [index, { returnedAt }] of this.#operations.entries()) {
			if ((taken & (1n << BigInt(index))) === 0n && returnedAt < first) first = returnedAt
		}
		return first
	}

	#numberOf(value: Value): number {
		const known = this.#numbers.get(value)
		if (known !== undefined) return known
		this.#numbers.set(value, this.#numbers.size)
		return this.#numbers.size - 1
	}
}
