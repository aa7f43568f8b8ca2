/**
 * The memory of all merges: a budget that they share, and buffers that go round.
 *
 * A range of a merge borrows memory for its input and its output. The buffers of ranges of the usual size are of one size. They
 * go to a worker, come back with the answer or after the upload, and serve the next range: what a long merge allocates
 * is what a short one does, and nothing waits for the garbage collector. Fresh pages cost more than what is written to them.
 *
 * Invariants: what is lent, kept and free together stays within the budget, but for a single loan that wants more; while
 * nothing is lent nothing is free either. A buffer comes back only from whoever owned it alone: what an upload that failed, a
 * worker that died or a read that was cut short may still use is left to the garbage collector.
 */
import { freeBuffer } from '../bytes/free.ts'
import { ByteBudget } from './byte-budget.ts'

/** A range in flight: its input, and about as much output. */
export const MEMORY_PER_INPUT_BYTE = 2
/** Of the budget, what may be tables that are kept whole. */
const KEPT_FRACTION = 4

export class MergeMemory {
	readonly maxBytes: number
	/** Size of the buffers that go round. */
	readonly #bufferBytes: number
	readonly #budget: ByteBudget
	readonly #free: ArrayBuffer[] = []
	/** Of loans that were handed out. */
	#lentBytes = 0
	#allocatedBytes = 0

	/** Ranges of up to `bufferBytes` of input, and more than half of that, get buffers that go round. */
	constructor(maxBytes: number, bufferBytes: number) {
		this.maxBytes = maxBytes
		this.#bufferBytes = bufferBytes
		this.#budget = new ByteBudget(maxBytes)
	}

	/** What is in use, and what waits for its next use. */
	get heldBytes(): number {
		return this.#lentBytes + this.#budget.keptBytes + this.#free.length * this.#bufferBytes
	}

	/** Of all buffers that were ever made here. */
	get allocatedBytes(): number {
		return this.#allocatedBytes
	}

	/** Memory for a range, once there is some; `end` it. Rejects with the signal's reason. */
	async lend(inputBytes: number, signal?: AbortSignal): Promise<MergeLoan> {
		const goesRound = inputBytes <= this.#bufferBytes && inputBytes > this.#bufferBytes / 2
		const bytes = (goesRound ? this.#bufferBytes : inputBytes) * MEMORY_PER_INPUT_BYTE
		const release = await this.#budget.acquire(bytes, signal)
		this.#lentBytes += bytes
		const buffers = goesRound ? this.#free.splice(-MEMORY_PER_INPUT_BYTE) : []
		this.#trim()
		let isOver = false
		const end = (): void => {
			if (isOver) return
			isOver = true
			this.#lentBytes -= bytes
			this.#free.push(...buffers)
			release()
			// Where somebody was granted what this one gave back, it takes the buffers next.
			if (this.#budget.acquiredBytes === 0) for (const buffer of this.#free.splice(0)) freeBuffer(buffer)
		}
		return new MergeLoan(buffers, goesRound ? this.#bufferBytes : undefined, size => this.#allocate(size), end)
	}

	/** Whether so many bytes may be kept beside what is lent. Those that may are to be let go. */
	keep(bytes: number): boolean {
		if (this.#budget.keptBytes + bytes > this.maxBytes / KEPT_FRACTION || !this.#budget.keep(bytes)) return false
		this.#trim()
		return true
	}

	letGo(bytes: number): void {
		this.#budget.letGo(bytes)
	}

	#allocate(bytes: number): ArrayBuffer {
		this.#allocatedBytes += bytes
		return new ArrayBuffer(bytes)
	}

	#trim(): void {
		while (this.#free.length > 0 && this.heldBytes > this.maxBytes) freeBuffer(this.#free.pop() as ArrayBuffer)
	}
}

/** What one range has borrowed. */
export class MergeLoan {
	readonly #buffers: ArrayBuffer[]
	/** `undefined`: its buffers do not go round. */
	readonly #bufferBytes: number | undefined
	readonly #allocate: (bytes: number) => ArrayBuffer
	/** Gives all of it back. Idempotent. */
	readonly end: () => void

	/** Made by `MergeMemory`. */
	constructor(
		buffers: ArrayBuffer[],
		bufferBytes: number | undefined,
		allocate: (bytes: number) => ArrayBuffer,
		end: () => void,
	) {
		this.#buffers = buffers
		this.#bufferBytes = bufferBytes
		this.#allocate = allocate
		this.end = end
	}

	/** A buffer of at least `bytes`; what it holds is undefined. */
	takeInput(bytes: number): ArrayBuffer {
		return this.#buffers.pop() ?? this.#allocate(this.#bufferBytes ?? bytes)
	}

	/** Buffers for the tables that are to be made; none where a worker makes them as it needs them. */
	takeOutputs(): ArrayBuffer[] {
		return this.#bufferBytes === undefined ? [] : [this.takeInput(this.#bufferBytes)]
	}

	/** A buffer that nobody else will read or write any more. */
	giveBack(buffer: ArrayBuffer): void {
		if (buffer.byteLength === this.#bufferBytes && this.#buffers.length < MEMORY_PER_INPUT_BYTE) {
			this.#buffers.push(buffer)
		} else {
			freeBuffer(buffer)
		}
	}
}
