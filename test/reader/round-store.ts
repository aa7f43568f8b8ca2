/** A store that answers reads in rounds: nothing is answered until all that can be asked for at once has been. */
import type { ByteRange, ObjectStore, RequestOptions } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'

interface Waiting {
	readonly key: string
	readonly signal: AbortSignal | undefined
	readonly answer: () => void
}

export class RoundStore extends PassThroughStore {
	#waiting: Waiting[] = []
	/** Requests of each round, since `reset`. */
	rounds: string[][] = []
	isHolding = true

	constructor(inner: ObjectStore) {
		super(inner)
	}

	get requests(): number {
		return this.rounds.flat().length
	}

	/** Requests that wait for an answer and were not aborted. */
	get waiting(): number {
		return this.#waiting.filter(({ signal }) => signal?.aborted !== true).length
	}

	reset(): void {
		this.rounds = []
	}

	override async getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
		if (this.isHolding) {
			await new Promise<void>((answer, reject) => {
				const signal = options?.signal
				this.#waiting.push({ key, signal, answer })
				signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
			})
		}
		return await super.getRange(key, range, options)
	}

	/** Answers round after round until `work` has settled. */
	async settle<Value>(work: Promise<Value>): Promise<Value> {
		let isOver = false
		const over = (): void => {
			isOver = true
		}
		work.then(over, over)
		for (let turns = 0; turns < 100_000; turns++) {
			await turn()
			if (isOver) return await work
			this.releaseRound()
		}
		throw new Error('the work waits for something else than the store')
	}

	releaseRound(): void {
		if (this.#waiting.length === 0) return
		const round = this.#waiting
		this.#waiting = []
		this.rounds.push(round.map(({ key }) => key))
		for (const { answer } of round) answer()
	}
}

/** Lets everything happen that waits for nothing but promises. */
export async function turn(): Promise<void> {
	for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
}
