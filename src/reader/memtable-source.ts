/**
 * A sorted run of a memtable as an input of a scan: some entries at a time are laid out as a block, so that a merge
 * knows one form of page only.
 *
 * The memtable must be held (`ref`) while the source is used; the blocks are copies.
 */
import type { SortedEntries } from '../memtable/sorted-entries.ts'
import { Block } from '../sst/block.ts'
import { BlockBuilder } from '../sst/block-builder.ts'
import { type ScanBounds, ScanSource } from './scan-source.ts'

/** Raw size at which a page ends: that of the blocks of a compressed table. */
const PAGE_BYTES = 16_384

export class MemtableSource extends ScanSource {
	readonly #entries: SortedEntries
	readonly #builder = new BlockBuilder(PAGE_BYTES)
	/** Entries that are not laid out yet: `[#from, #to)`. */
	#from: number
	#to: number
	readonly maxSeq: number = Number.POSITIVE_INFINITY

	constructor(entries: SortedEntries, bounds: ScanBounds) {
		super(bounds)
		this.#entries = entries
		this.#from = bounds.lower === undefined ? 0 : entries.seek(bounds.lower)
		this.#to = bounds.upper === undefined ? entries.count : entries.seek(bounds.upper)
		if (this.#from >= this.#to) this.finish()
		else this.waitAt(entries.keyAt(bounds.reverse ? this.#to - 1 : this.#from))
	}

	override fill(): undefined {
		if (this.page !== undefined || this.isDone) return undefined
		if (this.#from >= this.#to) {
			this.finish()
			return undefined
		}
		const { reverse } = this.bounds
		// Backwards, where a page begins is found by size first; then both ways are laid out in order.
		let from = this.#from
		let to = this.#to
		if (reverse) {
			from = to
			for (let bytes = 0; from > this.#from && bytes < PAGE_BYTES; ) bytes += this.#sizeOf(--from)
			this.#to = from
		} else {
			to = from
			for (let bytes = 0; to < this.#to && bytes < PAGE_BYTES; ) bytes += this.#sizeOf(to++)
			this.#from = to
		}
		this.enter(this.#layOut(from, to))
		return undefined
	}

	override prepare(): void {
		// Everything is in memory.
	}

	#sizeOf(i: number): number {
		return this.#entries.keyBytesAt(i) + this.#entries.valueEndAt(i) - this.#entries.valueStartAt(i)
	}

	#layOut(from: number, to: number): Block {
		const entries = this.#entries
		const builder = this.#builder
		builder.reset()
		for (let i = from; i < to; i++) {
			const bytes = entries.bytesAt(i)
			const keyStart = entries.keyStartAt(i)
			const keyBytes = entries.keyBytesAt(i)
			const valueStart = entries.valueStartAt(i)
			const valueBytes = entries.valueEndAt(i) - valueStart
			if (i > from) builder.relate(bytes, keyStart, keyBytes)
			const expiresAtMs = entries.expiresAtMsAt(i)
			const seq = entries.seqAt(i)
			builder.append(bytes, keyStart, keyBytes, seq, entries.kindAt(i), expiresAtMs, bytes, valueStart, valueBytes)
		}
		const shape = builder.measure()
		const raw = new Uint8Array(shape.rawBytes)
		builder.encode(shape, raw, 0)
		return new Block(raw, 'memtable')
	}
}
