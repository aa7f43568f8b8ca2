/** The tables that a merge makes, one after another: a table ends, between two keys, at `targetBytes`. */
import type { OutputMemory } from './output-memory.ts'
import { type BuiltTable, EMPTY_TABLE_BYTES, TableBuilder } from './table-builder.ts'
import type { TableOptions } from './table-options.ts'

/** The times of the commits of a source's entries. */
export interface WriteTimes {
	readonly minWriteMs: number
	readonly maxWriteMs: number
}

export interface TableSeriesSettings {
	readonly options: Omit<TableOptions, 'minWriteMs' | 'maxWriteMs'>
	readonly targetBytes: number
	/** Of the stored blocks that are merged. */
	readonly inputBytes: number
	readonly memory: OutputMemory
}

/** A table is about as large as the blocks that it is made of, with filter and index. */
const GROWTH = 1.1
/** Room for the last block and the last entry. Those that do not fit make the buffer grow. */
const MARGIN_BYTES = 65_536

/** Memory that a table of `targetBytes` takes, or one of all that is made of `inputBytes` of stored blocks, if that is less. */
export function tableCapacityBytes(targetBytes: number, inputBytes: number): number {
	return Math.min(targetBytes, Math.ceil(inputBytes * GROWTH)) + MARGIN_BYTES
}

export class TableSeries {
	readonly tables: BuiltTable[] = []
	readonly #options: Omit<TableOptions, 'minWriteMs' | 'maxWriteMs'>
	readonly #memory: OutputMemory
	readonly #targetBytes: number
	/** Bytes that one table may take, as far as is known. */
	readonly #capacityBytes: number
	/** `undefined` until there is an entry for it. */
	#builder: TableBuilder | undefined
	#minWriteMs = 0
	#maxWriteMs = 0

	constructor({ options, targetBytes, inputBytes, memory }: TableSeriesSettings) {
		this.#options = options
		this.#targetBytes = targetBytes
		this.#memory = memory
		this.#capacityBytes = tableCapacityBytes(targetBytes, inputBytes)
	}

	/** Estimated raw size of the block at hand; 0 when it is empty. */
	get openBlockBytes(): number {
		return this.#builder?.openBlockBytes ?? 0
	}

	/** The table at hand is full when a block beside those that it has sealed takes so many bytes. */
	get roomBytes(): number {
		return this.#targetBytes - (this.#builder?.sealedBytes ?? EMPTY_TABLE_BYTES)
	}

	/** The builder that takes the next entry, which was written within `times`: another one when that at hand is full. */
	room(times: WriteTimes): TableBuilder {
		const builder = this.#builder
		if (builder !== undefined && builder.estimatedBytes >= this.#targetBytes) this.endTable()
		return this.take(times)
	}

	/** The same, however full the table is. */
	take(times: WriteTimes): TableBuilder {
		let builder = this.#builder
		if (builder === undefined) {
			builder = new TableBuilder(
				{ ...this.#options, minWriteMs: 0, maxWriteMs: 0 },
				this.#memory.take(this.#capacityBytes),
			)
			this.#builder = builder
			this.#minWriteMs = times.minWriteMs
			this.#maxWriteMs = times.maxWriteMs
		}
		if (times.minWriteMs < this.#minWriteMs) this.#minWriteMs = times.minWriteMs
		if (times.maxWriteMs > this.#maxWriteMs) this.#maxWriteMs = times.maxWriteMs
		return builder
	}

	/** Ends the table at hand, if there is one. */
	endTable(): void {
		const builder = this.#builder
		if (builder === undefined) return
		this.#builder = undefined
		builder.setWriteTimes(this.#minWriteMs, this.#maxWriteMs)
		const { bytes, meta } = builder.finish()
		this.tables.push({ bytes: this.#memory.settle(bytes), meta })
	}
}
