/**
 * What the writer of the many readers does, as data: the writer carries it out, readers know every value again, and the
 * judge knows every state.
 *
 * Everything follows from a seed. Round after round has the same number of operations; each of them takes one sequence number,
 * in this order, so that operation s is the one with sequence number s. A value says which operation wrote it.
 */
import { seededRandom } from '../../src/host/random.ts'

export interface HistoryOperation {
	readonly seq: number
	readonly key: string
	readonly kind: 'put' | 'delete'
	/** Length of the value; 0 of a delete. */
	readonly valueBytes: number
	/** 0: it stays. */
	readonly ttlMs: number
}

/** Operations that become visible together. */
interface HistoryStep {
	readonly isBatch: boolean
	readonly operations: readonly HistoryOperation[]
}

export const OPERATIONS_PER_ROUND = 80
/** The writer flushes after each part of a round. */
export const PARTS_PER_ROUND = 8
/** Few, so that most writes overwrite. */
const KEYS = 400
/** Written more often than others. */
const HOT_KEYS = 16
const BATCH_MAX = 5
/** From here on a value is stored apart. */
export const BLOB_THRESHOLD_BYTES = 4096
/** Some are over before the test is, one is not. */
const TTLS_MS = [300, 1_500, 5_000, 3_600_000] as const
/** 1 MiB that does not compress to nothing, the same in each process. */
const filler: string = Buffer.from(seededRandom(20_240_331).bytes(786_432)).toString('base64')

function keyAt(index: number): string {
	return `key ${String(index).padStart(4, '0')}`
}

/** Any key that may have been written, and a few that never are. */
export function randomKey(random: { next(): number }): string {
	return random.next() < 0.02 ? `key ${Math.floor(random.next() * KEYS)}x` : keyAt(Math.floor(random.next() * KEYS))
}

export class ReadersHistory {
	readonly #seed: number
	readonly #rounds = new Map<number, readonly HistoryStep[]>()

	constructor(seed: number) {
		this.#seed = seed
	}

	/** From round 0. */
	round(index: number): readonly HistoryStep[] {
		let steps = this.#rounds.get(index)
		if (steps === undefined) {
			steps = stepsOf(this.#seed, index)
			this.#rounds.set(index, steps)
		}
		return steps
	}

	operation(seq: number): HistoryOperation {
		return this.#at(seq).operation
	}

	/** Whether a state may hold everything up to `seq` and nothing behind it: no batch is cut in two. */
	isCut(seq: number): boolean {
		if (seq === 0) return true
		const { step } = this.#at(seq)
		return !step.isBatch || step.operations.at(-1)?.seq === seq
	}

	/** The operation that wrote `value` under `key`; -1 when none did. */
	writerOf(key: string, value: string): number {
		const seq = Number(/^(\d+):/.exec(value)?.[1] ?? 0)
		if (!Number.isSafeInteger(seq) || seq < 1) return -1
		const operation = this.operation(seq)
		return operation.key === key && operation.kind === 'put' && valueTextOf(operation) === value ? seq : -1
	}

	#at(seq: number): { readonly step: HistoryStep; readonly operation: HistoryOperation } {
		for (const step of this.round(Math.floor((seq - 1) / OPERATIONS_PER_ROUND))) {
			const operation = step.operations.find(each => each.seq === seq)
			if (operation !== undefined) return { step, operation }
		}
		throw new RangeError(`there is no operation ${seq}`)
	}
}

export function valueTextOf({ seq, valueBytes }: HistoryOperation): string {
	const tag = `${seq}:`
	const from = (seq * 7919) % (filler.length - valueBytes)
	return tag + filler.slice(from, from + valueBytes)
}

function stepsOf(seed: number, round: number): HistoryStep[] {
	const random = seededRandom(seed + round * 104_729)
	const below = (count: number): number => Math.floor(random.next() * count)
	const first = round * OPERATIONS_PER_ROUND + 1
	const perPart = OPERATIONS_PER_ROUND / PARTS_PER_ROUND
	let seq = first
	const operation = (): HistoryOperation => {
		const key = keyAt(below(4) === 0 ? below(HOT_KEYS) : below(KEYS))
		const dice = below(100)
		if (dice < 18) return { seq: seq++, key, kind: 'delete', valueBytes: 0, ttlMs: 0 }
		const valueBytes = dice < 21 ? BLOB_THRESHOLD_BYTES + below(30_000) : 10 + below(dice < 50 ? 1_500 : 150)
		const ttlMs = dice >= 88 ? (TTLS_MS[below(TTLS_MS.length)] ?? 0) : 0
		return { seq: seq++, key, kind: 'put', valueBytes, ttlMs }
	}
	const steps: HistoryStep[] = []
	while (seq < first + OPERATIONS_PER_ROUND) {
		// A part ends where a step ends.
		const left = perPart - ((seq - first) % perPart)
		const count = below(3) === 0 ? Math.min(left, 2 + below(BATCH_MAX - 1)) : 1
		steps.push({ isBatch: count > 1, operations: Array.from({ length: count }, operation) })
	}
	return steps
}
