/**
 * A merge whose inner loop runs in the kernel (wasm/merge-kernel.ts); here is what happens once a block or a table.
 *
 * It gives what `Merge` of merge-tables.ts gives, byte for byte. References to blobs are not rewritten here.
 */
import { decodeBlobRef } from '../src/blob/blob-ref.ts'
import { corrupt, invariant } from '../src/errors.ts'
import {
	FROM_ADVANCE,
	FROM_APPEND,
	FROM_LOOK,
	FROM_NEXT,
	FROM_TAKE,
	STOP_BLOB,
	STOP_BLOCK,
	STOP_END,
	STOP_FULL,
	STOP_PASS,
	STOP_TABLE,
	STOP_TWICE,
} from '../src/sst/kernel-layout.ts'
import { MergeCursor } from '../src/sst/merge-cursor.ts'
import type { MergeKernel } from '../src/sst/merge-kernel.ts'
import { checkBlobRefs, isOfSize, mayPass } from '../src/sst/merge-output.ts'
import type { MergeSource } from './merge-job.ts'
import { isStoredAlike, type MergeSetup } from './merge-setup.ts'

export class KernelMerge {
	readonly blobRefsMoved = 0
	blocksPassed = 0
	bytesPassed = 0
	readonly #setup: MergeSetup
	readonly #kernel: MergeKernel
	readonly #cursors: readonly MergeCursor[]
	/** References in the block at hand. */
	#blobRefs: Uint8Array[] = []

	constructor(setup: MergeSetup, kernel: MergeKernel) {
		this.#setup = setup
		this.#kernel = kernel
		this.#cursors = setup.runs.map((run, i) => new MergeCursor(run, kernel.places[i]))
		for (let i = 0; i < this.#cursors.length; i++) this.#markPassable(i)
		kernel.setRoom(setup.tables.roomBytes)
		kernel.begin()
	}

	get counts(): ReturnType<MergeKernel['counts']> {
		return this.#kernel.counts()
	}

	run(): void {
		const kernel = this.#kernel
		let from = FROM_LOOK
		for (;;) {
			const stop = kernel.run(from)
			if (stop === STOP_BLOCK) {
				this.#nextBlock(kernel.winner)
				from = FROM_NEXT
			} else if (stop === STOP_FULL) {
				this.#endBlock()
				from = FROM_APPEND
			} else if (stop === STOP_TABLE) {
				this.#endTable()
				from = FROM_APPEND
			} else if (stop === STOP_PASS) {
				from = this.#pass(kernel.winner) ? FROM_NEXT : FROM_TAKE
			} else if (stop === STOP_BLOB) {
				const value = kernel.lastValue()
				decodeBlobRef(value, this.#cursor(kernel.winner).where)
				this.#blobRefs.push(value)
				from = FROM_ADVANCE
			} else {
				if (stop === STOP_TWICE) this.#refuseTwice()
				invariant(stop === STOP_END, `entries out of order, stop ${stop} of the kernel`)
				break
			}
		}
		this.#endBlock()
		this.#setup.tables.endTable()
	}

	/** Takes the whole block of source `i`, which lies before all others; false: its entries do not all stay as they are. */
	#pass(i: number): boolean {
		const { tables, rules } = this.#setup
		const kernel = this.#kernel
		const cursor = this.#cursor(i)
		const block = cursor.block
		if (block === undefined || !mayPass(block, rules)) return false
		checkBlobRefs(block, cursor.where)
		if (kernel.isTableFull) this.#endTable()
		else this.#endBlock()
		const stored = cursor.stored
		tables.take(this.#source(i).meta).addBlock(block, cursor.seqs, stored)
		this.blocksPassed++
		this.bytesPassed += stored.length
		kernel.skip()
		kernel.setRoom(tables.roomBytes)
		this.#nextBlock(i)
		return true
	}

	#nextBlock(i: number): void {
		this.#cursor(i).nextBlock()
		this.#markPassable(i)
	}

	/** Tells the kernel if the block at hand may be copied as it is stored, as far as that is known before it is its turn. */
	#markPassable(i: number): void {
		const cursor = this.#cursor(i)
		const block = cursor.block
		if (block === undefined || !cursor.isWholeBlock) return
		const { codec, blockBytes } = this.#setup
		if (!isOfSize(block.raw.length, block.count, blockBytes)) return
		this.#kernel.places[i]?.setPassable(isStoredAlike(cursor.stored, this.#source(i).meta, codec))
	}

	/** Gives the block at hand to the table. */
	#endBlock(): void {
		const kernel = this.#kernel
		if (!kernel.hasBlock) return
		const { tables } = this.#setup
		let minWriteMs = Number.POSITIVE_INFINITY
		let maxWriteMs = 0
		for (let i = 0; i < kernel.touchedCount; i++) {
			const { meta } = this.#source(kernel.touchedAt(i))
			minWriteMs = Math.min(minWriteMs, meta.minWriteMs)
			maxWriteMs = Math.max(maxWriteMs, meta.maxWriteMs)
		}
		tables.take({ minWriteMs, maxWriteMs }).addMade(kernel.encode(this.#blobRefs))
		if (this.#blobRefs.length > 0) this.#blobRefs = []
		kernel.setRoom(tables.roomBytes)
	}

	#endTable(): void {
		this.#endBlock()
		this.#setup.tables.endTable()
		this.#kernel.beginTable()
		this.#kernel.setRoom(this.#setup.tables.roomBytes)
	}

	#refuseTwice(): never {
		const [first, second] = this.#kernel.broken
		throw corrupt(this.#cursor(first).where, `an entry that \`${this.#cursor(second).where}\` has too`)
	}

	#cursor(i: number): MergeCursor {
		return this.#cursors[i] as MergeCursor
	}

	#source(i: number): MergeSource {
		return this.#setup.sources[i] as MergeSource
	}
}
