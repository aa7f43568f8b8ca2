/**
 * Text of some entries of a table that lie side by side, as one string of which keys and values are parts: a call into C++ for
 * each costs more than making it. V8 keeps the whole alive while a part of 13 characters or more lives, so it is short.
 */
import { isAscii } from 'node:buffer'
import { decodeAscii } from '../bytes/ascii.ts'
import type { OrderedTable } from './ordered-table.ts'

/** What a call costs is an eighth of what it costs for each; and what a value keeps alive are seven others. */
const GROUP_ENTRIES = 8
/** Fewer are made one by one. */
const GROUP_MIN_ENTRIES = 3
/** Longer ones are made one by one: their bytes cost more than the calls. */
const GROUP_MAX_BYTES = 4_096

export class GroupText {
	#table: OrderedTable | undefined
	#first = 0
	#end = 0
	#start = 0
	/** Undefined: not ASCII, too long or too few. */
	#text: string | undefined

	/** Makes the text for entry `i` and those behind it, unless it has it. Whether there is one. */
	enter(table: OrderedTable, i: number): boolean {
		if (table !== this.#table || i < this.#first || i >= this.#end) this.#make(table, i)
		return this.#text !== undefined
	}

	/** The text of `bytes[start, end)` of the table, which belong to the entry that was entered. */
	cut(start: number, end: number): string {
		return (this.#text as string).substring(start - this.#start, end - this.#start)
	}

	/** Lets the table go. */
	leave(): void {
		this.#table = undefined
		this.#text = undefined
	}

	#make(table: OrderedTable, i: number): void {
		const { bytes, ends, count } = table
		const end = Math.min(count, i + GROUP_ENTRIES)
		const start = i === 0 ? 0 : (ends[2 * i - 1] as number)
		const textEnd = ends[2 * end - 1] as number
		this.#table = table
		this.#first = i
		this.#end = end
		this.#start = start
		const isGroup = end - i >= GROUP_MIN_ENTRIES && textEnd - start <= GROUP_MAX_BYTES
		const isText = isGroup && isAscii(bytes.subarray(start, textEnd))
		this.#text = isText ? decodeAscii(bytes, start, textEnd) : undefined
	}
}
