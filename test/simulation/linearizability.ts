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
	return new Search(pending).mayContinue(initial)
}

class Search<Value> {
	readonly #operations: readonly RegisterOperation<Value>[]
	/** 1 for each operation that was taken. */
	readonly #taken: Uint8Array
	readonly #numbers = new Map<Value, number>()
	/** States from which there is no way on. */
	readonly #dead = new Set<string>()

	constructor(operations: readonly RegisterOperation<Value>[]) {
		this.#operations = operations
		this.#taken = new Uint8Array(operations.length)
	}

	mayContinue(value: Value): boolean {
		// Whatever was called after another one had returned comes after it.
		const deadline = this.#firstReturn()
		if (deadline === Number.POSITIVE_INFINITY) return true
		if (this.#dead.size > 0 && this.#dead.has(this.#stateOf(value))) return false
		for (let index = 0; index < this.#operations.length; index++) {
			const { kind, calledAt, value: its } = this.#operations[index] as RegisterOperation<Value>
			if (calledAt > deadline) break
			if (this.#taken[index] === 1 || (kind === 'read' && its !== value)) continue
			this.#taken[index] = 1
			const isPossible = this.mayContinue(its)
			this.#taken[index] = 0
			if (isPossible) return true
			// A read that fits changes nothing: to take it at once is as good as to take it later.
			if (kind === 'read') break
		}
		this.#dead.add(this.#stateOf(value))
		return false
	}

	#stateOf(value: Value): string {
		return `${this.#taken.join('')} ${this.#numberOf(value)}`
	}

	#firstReturn(): number {
		let first = Number.POSITIVE_INFINITY
		for (let index = 0; index < this.#operations.length; index++) {
			const { returnedAt } = this.#operations[index] as RegisterOperation<Value>
			if (this.#taken[index] === 0 && returnedAt < first) first = returnedAt
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
