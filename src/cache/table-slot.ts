/** What is in memory of one table: the table when it is open, its blocks, what is being read. */
import type { TableRef } from '../manifest/manifest.ts'
import { plainTable } from '../manifest/packed-table.ts'
import type { Block } from '../sst/block.ts'
import type { SstTable } from '../sst/sst-table.ts'
import { Shelf } from './byte-cache.ts'
import type { Flight } from './single-flight.ts'

/** For `TableSource` alone to change. */
export class TableSlot {
	readonly ref: TableRef
	/** The opened table, at index 0. */
	readonly tables: Shelf<SstTable> = new Shelf()
	readonly blocks: Shelf<Block> = new Shelf()
	/** The table as stored, while it is kept. */
	offered: Uint8Array | undefined
	opening: Flight<SstTable> | undefined
	/** Reads under way, by each of their blocks. */
	readonly reading: Map<number, BlockRead> = new Map()

	constructor(ref: TableRef) {
		this.ref = plainTable(ref)
	}

	/** Names the table in messages. */
	get where(): string {
		return `${this.ref.objectKey} (table ${this.ref.id})`
	}

	get isIdle(): boolean {
		const isEmpty = this.tables.count === 0 && this.blocks.count === 0 && this.offered === undefined
		return isEmpty && this.opening === undefined && this.reading.size === 0
	}
}

export interface BlockRead {
	readonly first: number
	readonly flight: Flight<readonly Block[]>
}
