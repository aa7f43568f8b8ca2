/**
 * A loser tree (Knuth, The Art of Computer Programming 3, 5.4.1) over the sources of a merge: which of them holds the entry
 * that comes next, at the price of one comparison for each level of the tree.
 *
 * Order: by key ascending, then by sequence number descending; sources that have ended come last.
 */
import { corrupt } from '../errors.ts'
import type { MergeCursor } from './merge-cursor.ts'

export class MergeTree {
	readonly #cursors: readonly MergeCursor[]
	/** `#losers[n]` lost at node n, 1 to count − 1; the leaf of source s is node count + s. */
	readonly #losers: Int32Array
	/** Of each source its head: the keys' first bytes as a number. */
	readonly #heads: Float64Array
	/** The source that comes next. */
	winner = 0

	constructor(cursors: readonly MergeCursor[]) {
		const count = cursors.length
		this.#cursors = cursors
		this.#losers = new Int32Array(count)
		this.#heads = Float64Array.from(cursors, cursor => cursor.head)
		const winners = new Int32Array(2 * count)
		for (let node = 2 * count - 1; node >= 1; node--) {
			if (node >= count) {
				winners[node] = node - count
				continue
			}
			const left = winners[2 * node] as number
			const right = winners[2 * node + 1] as number
			const isLeft = this.#isBefore(left, right)
			winners[node] = isLeft ? left : right
			this.#losers[node] = isLeft ? right : left
		}
		this.winner = count === 1 ? 0 : (winners[1] as number)
	}

	/** The winner's cursor has moved to another entry, or to its end: finds who comes next. */
	replay(): void {
		const losers = this.#losers
		const heads = this.#heads
		let winner = this.winner
		let head = (this.#cursors[winner] as MergeCursor).head
		heads[winner] = head
		for (let node = (losers.length + winner) >>> 1; node >= 1; node >>>= 1) {
			const loser = losers[node] as number
			const other = heads[loser] as number
			if (other < head || (other === head && this.#isTieBefore(loser, winner))) {
				losers[node] = winner
				winner = loser
				head = other
			}
		}
		this.winner = winner
	}

	/** The source that would come next if the winner had ended; −1 when there is no other. */
	runnerUp(): number {
		const losers = this.#losers
		let best = -1
		for (let node = (losers.length + this.winner) >>> 1; node >= 1; node >>>= 1) {
			const loser = losers[node] as number
			if (best < 0 || this.#isBefore(loser, best)) best = loser
		}
		return best
	}

	#isBefore(a: number, b: number): boolean {
		const order = (this.#heads[a] as number) - (this.#heads[b] as number)
		return order < 0 || (!(order > 0) && this.#isTieBefore(a, b))
	}

	/** The heads are equal: whole keys decide, then sequence numbers. */
	#isTieBefore(a: number, b: number): boolean {
		const first = this.#cursors[a] as MergeCursor
		const second = this.#cursors[b] as MergeCursor
		if (first.block === undefined || second.block === undefined) return second.block === undefined
		const order = first.block.compareKeysAt(first.at, second.block, second.at)
		if (order !== 0) return order < 0
		const seqs = (first.seqs[first.at] as number) - (second.seqs[second.at] as number)
		if (seqs === 0) throw corrupt(first.where, `an entry that \`${second.where}\` has too`)
		return seqs > 0
	}
}
