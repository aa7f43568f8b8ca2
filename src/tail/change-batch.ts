/**
 * Collects entries and makes changes of them: the hot loop of every tail.
 *
 * Steps: `begin`; `add` entries (their values are decoded at once, their keys are put side by side); a large value stops
 * the batch (`isFull`) until `settle` has put it in its place; `finish` makes the keys of all changes with one call into
 * C++ and gives the changes away. Keys and values that are text, of entries that lie side by side, are cut from the text of
 * some of them (`GroupText`).
 *
 * Invariants: at the most `BATCH_ROWS` rows (and the one that a caller may still need to see), and one value beyond
 * `BATCH_BYTES`; nothing that is given away shares memory with a block; a decoder that throws loses no row before it.
 */
import { isAscii } from 'node:buffer'
import { decodeBlobRef } from '../blob/blob-ref.ts'
import { decodeAscii } from '../bytes/ascii.ts'
import { copyRange } from '../bytes/copy.ts'
import { copyBytes, decodeText, type Transcoder } from '../bytes/encoding.ts'
import { invariant } from '../errors.ts'
import type { RowSink } from '../reader/scan-merge.ts'
import type { ScanPage } from '../reader/scan-page.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE, VALUE_MAX_BYTES } from '../sst/entry.ts'
import type { Change, LargeValues } from './change.ts'
import type { CursorMaker } from './cursor.ts'
import { GroupText } from './group-text.ts'
import type { OrderedTable } from './ordered-table.ts'

/** Changes of a batch: enough that the work per batch is about 1 % of that of its changes. */
export const BATCH_ROWS = 1024
/** Bytes of keys and values of a batch, as stored. */
const BATCH_BYTES = 1_048_576

/** The same as `Change`, while it is being made. */
interface Draft {
	kind: 'put' | 'delete'
	key: unknown
	value: unknown
	seq: number
	cursor: string
	committedAtMs: number
	expiresAtMs: number
	valueBytes?: number
	openValue?: (options?: { readonly signal?: AbortSignal | undefined }) => Promise<AsyncIterable<Uint8Array>>
}

export interface ChangeBatchOptions {
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
	readonly largeValues: LargeValues
}

/** A value that stands in a pack. */
export interface PendingValue {
	readonly encodedRef: Uint8Array
	readonly bytes: number
}

export class ChangeBatch implements RowSink {
	readonly #options: ChangeBatchOptions
	readonly #keys: Transcoder<unknown>
	readonly #values: Transcoder<unknown>
	readonly #areValuesText: boolean
	/** Of the table at hand, where keys and values are text. */
	readonly #group: GroupText | undefined
	/** Keys of the batch side by side, unless an encoding of the application's own decodes them one by one. */
	#slab = new Uint8Array(32_768)
	#slabBytes = 0
	/** Where each key ends. One row more than a batch has: see `Bootstrap`. */
	readonly #keyEnds = new Int32Array(BATCH_ROWS + 1)
	#drafts: Draft[] = []
	#bytes = 0
	#maxRows = BATCH_ROWS
	#pending: PendingValue | undefined
	#committedAtMs = 0
	#nextPlace = 0
	#cursors: CursorMaker | undefined
	#rowStem: string | undefined

	constructor(options: ChangeBatchOptions) {
		this.#options = options
		this.#keys = options.keys
		this.#values = options.values
		this.#areValuesText = options.values.kind === 'text'
		this.#group = this.#areValuesText && options.keys.kind === 'text' ? new GroupText() : undefined
	}

	get count(): number {
		return this.#drafts.length
	}

	get isFull(): boolean {
		return this.#drafts.length >= this.#maxRows || this.#bytes >= BATCH_BYTES || this.#pending !== undefined
	}

	/** The value of the last row, which is to be settled before anything is added. */
	get pending(): PendingValue | undefined {
		return this.#pending
	}

	begin(maxRows: number = BATCH_ROWS): void {
		this.#slabBytes = 0
		this.#drafts = []
		this.#bytes = 0
		this.#maxRows = maxRows
		this.#pending = undefined
		this.#rowStem = undefined
	}

	/** What is added from now on are changes of one commit. */
	enterCommit(committedAtMs: number, cursors: CursorMaker): void {
		this.#committedAtMs = committedAtMs
		this.#cursors = cursors
	}

	/** What is added from now on are rows of a state; their cursors are `stem` and the key in hexadecimal. */
	enterState(committedAtMs: number, stem: string): void {
		this.#committedAtMs = committedAtMs
		this.#cursors = undefined
		this.#rowStem = stem
	}

	/** For merges, which know entries by their pages. @throws as `addPlaces`. */
	add(page: ScanPage, index: number, kind: EntryKind): void {
		const { block } = page
		const start = this.#slabBytes
		const keyEnd = start + block.keyBytesAt(index)
		if (keyEnd > this.#slab.length) this.#growSlab(keyEnd)
		block.copyKeyAt(index, this.#slab, start)
		const key = this.#keys.kind === 'custom' ? this.#keys.decode(this.#slab, start, keyEnd) : undefined
		const draft = this.#draft(kind, key, block.seqAt(index), block.expiresAtMsAt(index))
		this.#addValue(draft, kind, block.bytes, block.valueStartAt(index), block.valueEndAt(index))
		this.#push(draft, keyEnd, keyEnd - start + block.valueEndAt(index) - block.valueStartAt(index))
	}

	/**
	 * Adds entries from `place` on until the batch is full; answers the place that follows.
	 * @throws what an encoding of the application's own throws: then what came before `nextPlace` was added.
	 */
	addPlaces(table: OrderedTable, place: number): number {
		const { bytes, ends, count, seqs, minSeq, kinds, expiries } = table
		const group = this.#group
		let start = place === 0 ? 0 : (ends[2 * place - 1] as number)
		for (let next = place; next < count && !this.isFull; next++) {
			this.#nextPlace = next
			const keyEnd = ends[2 * next] as number
			const end = ends[2 * next + 1] as number
			const kind = kinds === undefined ? KIND_VALUE : (kinds[next] as EntryKind)
			const seq = seqs === undefined ? minSeq + next : (seqs[next] as number)
			const expiresAtMs = expiries === undefined ? 0 : (expiries[next] as number)
			if (group?.enter(table, next)) {
				const draft = this.#draft(kind, group.cut(start, keyEnd), seq, expiresAtMs)
				if (kind === KIND_VALUE) draft.value = group.cut(keyEnd, end)
				else this.#addValue(draft, kind, bytes, keyEnd, end)
				this.#push(draft, this.#slabBytes, end - start)
			} else this.#addAlone(bytes, start, keyEnd, end, kind, seq, expiresAtMs)
			start = end
			this.#nextPlace = next + 1
		}
		return this.#nextPlace
	}

	/** Where `addPlaces` has got to. */
	get nextPlace(): number {
		return this.#nextPlace
	}

	#addAlone(
		bytes: Uint8Array,
		start: number,
		keyEnd: number,
		end: number,
		kind: EntryKind,
		seq: number,
		expiresAtMs: number,
	): void {
		const isCustom = this.#keys.kind === 'custom'
		const slabEnd = this.#slabBytes + (isCustom ? 0 : keyEnd - start)
		if (slabEnd > this.#slab.length) this.#growSlab(slabEnd)
		if (!isCustom) copyRange(bytes, start, keyEnd - start, this.#slab, this.#slabBytes)
		const draft = this.#draft(kind, isCustom ? this.#keys.decode(bytes, start, keyEnd) : undefined, seq, expiresAtMs)
		this.#addValue(draft, kind, bytes, keyEnd, end)
		this.#push(draft, slabEnd, end - start)
	}

	#draft(kind: EntryKind, key: unknown, seq: number, expiresAtMs: number): Draft {
		return {
			kind: kind === KIND_TOMBSTONE ? 'delete' : 'put',
			key,
			value: undefined,
			seq,
			cursor: this.#cursors === undefined ? '' : this.#cursors.make(seq),
			committedAtMs: this.#committedAtMs,
			expiresAtMs,
		}
	}

	#addValue(draft: Draft, kind: EntryKind, bytes: Uint8Array, start: number, end: number): void {
		if (kind === KIND_BLOB) this.#addLarge(draft, bytes.slice(start, end))
		else if (kind !== KIND_TOMBSTONE) {
			draft.value = this.#areValuesText ? decodeText(bytes, start, end) : this.#values.decode(bytes, start, end)
		}
	}

	#push(draft: Draft, slabBytes: number, bytes: number): void {
		this.#keyEnds[this.#drafts.length] = slabBytes
		this.#drafts.push(draft)
		this.#slabBytes = slabBytes
		this.#bytes += bytes
	}

	/** Puts the pending value in place. @throws as `addPlaces`; then `dropPending` is due. */
	settle(value: Uint8Array): void {
		const last = this.#drafts.at(-1)
		invariant(last !== undefined && this.#pending !== undefined, 'a pending value belongs to the last row')
		last.value = this.#values.decode(value, 0, value.length)
		this.#bytes += value.length
		this.#pending = undefined
	}

	/** Takes the row with the pending value back, if there is one: its value is not to be had. */
	dropPending(): boolean {
		if (this.#pending === undefined) return false
		this.#drafts.pop()
		this.#slabBytes = this.#drafts.length === 0 ? 0 : (this.#keyEnds[this.#drafts.length - 1] as number)
		this.#pending = undefined
		return true
	}

	/** A copy of the key of the last row. */
	lastKey(): Uint8Array | undefined {
		const last = this.#drafts.length - 1
		if (last < 0) return undefined
		return this.#slab.slice(last === 0 ? 0 : this.#keyEnds[last - 1], this.#keyEnds[last])
	}

	/** The changes, which belong to the caller. */
	finish(): Change[] {
		const drafts = this.#drafts
		this.#drafts = []
		this.#group?.leave()
		if (this.#rowStem !== undefined) this.#makeRowCursors(drafts, this.#rowStem)
		if (this.#keys.kind === 'text') this.#makeTextKeys(drafts)
		else if (this.#keys.kind === 'bytes') this.#makeByteKeys(drafts)
		// A draft has the fields of a change; which of the three kinds it is was decided row by row.
		return drafts as unknown as Change[]
	}

	#addLarge(draft: Draft, encodedRef: Uint8Array): void {
		const { bytes } = decodeBlobRef(encodedRef, `the value of sequence number ${draft.seq}`)
		if (bytes <= VALUE_MAX_BYTES) {
			this.#pending = { encodedRef, bytes }
			return
		}
		const { largeValues } = this.#options
		draft.valueBytes = bytes
		// Named before it is assigned: D-098.
		const openValue: Draft['openValue'] = options => largeValues.open(encodedRef, options?.signal)
		draft.openValue = openValue
	}

	/** One string for all keys that stand in the slab, cut into pieces: V8 keeps it alive while one of them lives (about 20 KiB of text). */
	#makeTextKeys(drafts: readonly Draft[]): void {
		if (this.#slabBytes === 0) return
		const slab = this.#slab
		const ends = this.#keyEnds
		const all = slab.subarray(0, this.#slabBytes)
		const text = isAscii(all) ? decodeAscii(all, 0, all.length) : undefined
		let start = 0
		for (let i = 0; i < drafts.length; i++) {
			const end = ends[i] as number
			if (end > start)
				(drafts[i] as Draft).key = text === undefined ? decodeText(slab, start, end) : text.substring(start, end)
			start = end
		}
	}

	#makeByteKeys(drafts: readonly Draft[]): void {
		let start = 0
		for (const [i, draft] of drafts.entries()) {
			const end = this.#keyEnds[i] as number
			draft.key = copyBytes(this.#slab, start, end)
			start = end
		}
	}

	#makeRowCursors(drafts: readonly Draft[], stem: string): void {
		const hex = Buffer.from(this.#slab.buffer, 0, this.#slabBytes).toString('hex')
		let start = 0
		for (const [i, draft] of drafts.entries()) {
			const end = 2 * (this.#keyEnds[i] as number)
			draft.cursor = stem + hex.substring(start, end)
			start = end
		}
	}

	#growSlab(needed: number): void {
		const larger = new Uint8Array(Math.max(needed, this.#slab.length * 2))
		larger.set(this.#slab.subarray(0, this.#slabBytes))
		this.#slab = larger
	}
}
