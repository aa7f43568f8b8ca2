/**
 * Collects the rows of a batch and gives them the caller's types.
 *
 * Text that many entries of one block have in common is made by the kernel and cut into rows (`addRun`). Of rows that come one
 * by one, keys are put together in one slab, and made into strings (or views of a slab that is the caller's) all at once: one
 * call into C++ per batch instead of one per key. Values are decoded as they come. What a row holds never shares memory
 * with a block.
 */
import { isAscii } from 'node:buffer'
import { decodeAscii } from '../bytes/ascii.ts'
import { decodeText, type Transcoder } from '../bytes/encoding.ts'
import { kernelRows, ROWS_MAX, type RowTexts } from '../sst/block-kernel.ts'
import { type EntryKind, KIND_BLOB } from '../sst/entry.ts'
import type { RowSink } from './scan-merge.ts'
import type { ScanPage } from './scan-page.ts'

export type RowShape = 'entries' | 'keys' | 'values'

/** Rows of a batch: enough that the work per batch (a promise, an array, a string) is about 1 % of that of its rows. */
const BATCH_ROWS: number = ROWS_MAX
/** Values of a batch: what is decoded ahead of a slow consumer stays bounded. */
const BATCH_BYTES = 1_048_576

/** Fewer rows than this, or than an eighth of their block, are not worth a copy of it. */
const RUN_MIN_ROWS = 8

/** Where keys of a batch stand side by side, and where each of them ends. */
interface KeyPlace {
	slab: Uint8Array
	readonly ends: Int32Array
}

/** Keys of 32 bytes; it doubles as a batch needs it. */
const SLAB_FIRST_BYTES: number = 32 * BATCH_ROWS
/** A larger one is not kept. */
const SLAB_KEPT_BYTES: number = 4 * SLAB_FIRST_BYTES

/** Kept for the next batch: two buffers for each take as long as ten rows. A batch that waits for values holds its own. */
let freePlace: KeyPlace | undefined

function takeKeyPlace(): KeyPlace {
	const place = freePlace ?? { slab: new Uint8Array(SLAB_FIRST_BYTES), ends: new Int32Array(BATCH_ROWS) }
	freePlace = undefined
	return place
}

function giveKeyPlace(place: KeyPlace): void {
	if (place.slab.length <= SLAB_KEPT_BYTES) freePlace = place
}

/** A value that stands in a pack: it is put in place before the batch is given away. */
export interface PendingBlob {
	readonly row: number
	/** The encoded reference; a copy. */
	readonly ref: Uint8Array
}

export class RowBatch implements RowSink {
	readonly #shape: RowShape
	readonly #keys: Transcoder<unknown>
	readonly #values: Transcoder<unknown>
	readonly #isTextValue: boolean
	/** All that a row has is text. */
	readonly #isText: boolean
	/** While it has keys. */
	#place: KeyPlace | undefined
	#slabBytes = 0
	/** Up to `#settled` whole rows; of those behind only the values, while their keys stand in the slab. */
	#rows: unknown[] = []
	#settled = 0
	#blobs: PendingBlob[] = []
	#bytes = 0
	#maxRows = 0
	#lastPage: ScanPage | undefined
	#lastIndex = 0
	count = 0

	constructor(shape: RowShape, keys: Transcoder<unknown>, values: Transcoder<unknown>) {
		this.#shape = shape
		this.#keys = keys
		this.#values = values
		this.#isTextValue = values.kind === 'text'
		this.#isText = (shape === 'values' || keys.kind === 'text') && (shape === 'keys' || values.kind === 'text')
	}

	get isFull(): boolean {
		return this.count >= this.#maxRows || this.#bytes >= BATCH_BYTES
	}

	/** Begins a new batch of at the most `maxRows` rows. */
	begin(maxRows: number): void {
		this.#maxRows = Math.min(maxRows, BATCH_ROWS)
		this.#givePlace()
		this.#rows = []
		this.#settled = 0
		this.#blobs = []
		this.#bytes = 0
		this.#lastPage = undefined
		this.count = 0
	}

	/** Key of the last row, if there is one. */
	lastKey(): Uint8Array | undefined {
		return this.#lastPage?.block.keyAt(this.#lastIndex)
	}

	add(page: ScanPage, index: number, kind: EntryKind): void {
		const block = page.block
		this.#lastPage = page
		this.#lastIndex = index
		if (this.#shape !== 'values') {
			this.#place ??= takeKeyPlace()
			const place = this.#place
			const end = this.#slabBytes + block.keyBytesAt(index)
			if (end > place.slab.length) place.slab = grown(place.slab, this.#slabBytes, end)
			block.copyKeyAt(index, place.slab, this.#slabBytes)
			place.ends[this.count - this.#settled] = end
			this.#slabBytes = end
		}
		if (this.#shape !== 'keys') {
			const start = block.valueStartAt(index)
			const end = block.valueEndAt(index)
			this.#bytes += end - start
			if (kind === KIND_BLOB) {
				this.#blobs.push({ row: this.count, ref: block.bytes.slice(start, end) })
				// The value follows later; one such row ends the batch, since it is large.
				this.#bytes = BATCH_BYTES
				this.#rows.push(undefined)
			} else {
				this.#rows.push(
					this.#isTextValue
						? page.valueText(index, this.#maxRows - this.count)
						: this.#values.decode(block.bytes, start, end),
				)
			}
		}
		this.count++
	}

	addRun(page: ScanPage, first: number, step: 1 | -1, count: number): number {
		const rows = Math.min(count, this.#maxRows - this.count)
		const isWorthwhile = rows >= RUN_MIN_ROWS && rows * 8 >= page.block.count
		if (!this.#isText || !isWorthwhile || page.isOtherText) return 0
		const texts = kernelRows(page.block.raw, first, step, rows, this.#shape)
		if (texts === undefined) {
			page.isOtherText = true
			return 0
		}
		this.#settle()
		if (this.#shape === 'entries') pushPairs(this.#rows, texts, rows)
		else if (this.#shape === 'keys') pushTexts(this.#rows, texts.keys, texts.ends, 0, rows)
		else pushTexts(this.#rows, texts.values, texts.ends, 1, rows)
		this.count += rows
		this.#settled = this.count
		this.#bytes += texts.values.length
		this.#lastPage = page
		this.#lastIndex = first + step * (rows - 1)
		return rows
	}

	/** Values that are still to be read from packs. */
	get blobs(): readonly PendingBlob[] {
		return this.#blobs
	}

	setBlob(row: number, bytes: Uint8Array): void {
		this.#rows[row] = this.#values.decode(bytes, 0, bytes.length)
	}

	/** The rows, all values in place. They belong to the caller. */
	finish(): unknown[] {
		this.#settle()
		const rows = this.#rows
		this.#rows = []
		return rows
	}

	/** Makes rows of the values whose keys stand in the slab. */
	#settle(): void {
		const from = this.#settled
		const place = this.#place
		if (place === undefined) return
		const rows = this.#rows
		const keys = this.#finishKeys(place)
		if (this.#shape === 'keys') for (const key of keys) rows.push(key)
		// In place: the array of values becomes that of the rows.
		else for (let i = 0; i < keys.length; i++) rows[from + i] = [keys[i], rows[from + i]]
		this.#settled = this.count
		this.#givePlace()
	}

	#givePlace(): void {
		if (this.#place !== undefined) giveKeyPlace(this.#place)
		this.#place = undefined
		this.#slabBytes = 0
	}

	#finishKeys({ slab, ends }: KeyPlace): unknown[] {
		const count = this.count - this.#settled
		const keys: unknown[] = []
		let start = 0
		if (this.#keys.kind === 'text') {
			const all = slab.subarray(0, this.#slabBytes)
			const text = isAscii(all) ? decodeAscii(all, 0, all.length) : undefined
			for (let i = 0; i < count; i++) {
				const end = ends[i] as number
				keys.push(text === undefined ? decodeText(slab, start, end) : text.substring(start, end))
				start = end
			}
		} else if (this.#keys.kind === 'bytes') {
			const { buffer } = new Uint8Array(slab.subarray(0, this.#slabBytes))
			for (let i = 0; i < count; i++) {
				const end = ends[i] as number
				keys.push(new Uint8Array(buffer, start, end - start))
				start = end
			}
		} else {
			for (let i = 0; i < count; i++) {
				const end = ends[i] as number
				keys.push(this.#keys.decode(slab, start, end))
				start = end
			}
		}
		return keys
	}
}

function grown(slab: Uint8Array, used: number, needed: number): Uint8Array {
	const larger = new Uint8Array(Math.max(needed, slab.length * 2))
	larger.set(slab.subarray(0, used))
	return larger
}

function pushPairs(rows: unknown[], { keys, values, ends }: RowTexts, count: number): void {
	let keyAt = 0
	let valueAt = 0
	for (let i = 0; i < count; i++) {
		const keyEnd = ends[2 * i] as number
		const valueEnd = ends[2 * i + 1] as number
		rows.push([keys.substring(keyAt, keyEnd), values.substring(valueAt, valueEnd)])
		keyAt = keyEnd
		valueAt = valueEnd
	}
}

/** `which` of the two ends of each row is that of its part of `text`. */
function pushTexts(rows: unknown[], text: string, ends: Int32Array, which: 0 | 1, count: number): void {
	let at = 0
	for (let i = 0; i < count; i++) {
		const end = ends[2 * i + which] as number
		rows.push(text.substring(at, end))
		at = end
	}
}
