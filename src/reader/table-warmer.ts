/**
 * Reads tables into the caches as soon as they are known, if that is wanted: what was just written or merged, here or elsewhere, is in
 * memory or in `cacheDir` before somebody asks for it.
 *
 * Steps: new tables are queued; one after another is opened and read, a megabyte at a time, and the disk is waited for. What is in memory
 * as it is stored only goes to the disk.
 *
 * Invariants: nobody waits for it and nothing here rejects: a table that cannot be read is left to whoever asks for it. What comes at once is
 * taken only if it is no larger than an eighth of the cache, so that a large merge pushes nothing out; of what waits the newest are
 * kept, as many bytes as that.
 */
import type { DiskTables } from '../cache/disk-tables.ts'
import type { TableSource } from '../cache/table-source.ts'
import { Ending } from '../host/ending.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'

/** Of the cache; as what one read may take of `cacheDir`. */
const CACHE_PARTS = 8
const STRETCH_BYTES = 1_048_576

export interface TableWarmerOptions {
	readonly source: TableSource
	/** Undefined without `cacheDir`. */
	readonly disk: DiskTables | undefined
	/** Bound of the cache that is to hold them. */
	readonly cacheMaxBytes: number
}

export class TableWarmer {
	readonly #source: TableSource
	readonly #disk: DiskTables | undefined
	readonly #maxBytes: number
	readonly #stop = new Ending()
	#waiting: TableRef[] = []
	#waitingBytes = 0
	#running: Promise<void> | undefined

	constructor({ source, disk, cacheMaxBytes }: TableWarmerOptions) {
		this.#source = source
		this.#disk = disk
		this.#maxBytes = cacheMaxBytes / CACHE_PARTS
	}

	/** `tables` have come at once. */
	add(tables: readonly TableRef[]): void {
		const bytes = bytesOf(tables)
		if (tables.length === 0 || bytes > this.#maxBytes || this.#stop.isOver) return
		this.#waiting.push(...tables)
		this.#waitingBytes += bytes
		while (this.#waitingBytes > this.#maxBytes) this.#next()
		this.#running ??= this.#run()
	}

	/** Resolves when nothing waits. */
	async idle(): Promise<void> {
		while (this.#running !== undefined) await this.#running
	}

	/** Ends what is being read. Idempotent. */
	async close(): Promise<void> {
		this.#stop.end()
		this.#waiting = []
		this.#waitingBytes = 0
		await this.idle()
	}

	/** Takes the oldest of those that wait. */
	#next(): TableRef | undefined {
		const table = this.#waiting.shift()
		this.#waitingBytes -= table?.meta.storedBytes ?? 0
		return table
	}

	async #run(): Promise<void> {
		for (let table = this.#next(); table !== undefined; table = this.#next()) {
			// Whoever asks for the table is told.
			await this.#read(table).catch(() => undefined)
		}
		this.#running = undefined
	}

	async #read(ref: TableRef): Promise<void> {
		const { signal } = this.#stop
		const slot = this.#source.slot(ref)
		const whole = slot.offered
		const table =
			this.#source.peekTable(slot) ?? this.#source.cachedTable(slot) ?? (await this.#source.openTable(slot, signal))
		if (whole !== undefined) this.#disk?.keepMetadata(slot, whole.subarray(table.meta.metaOffset))
		for (let first = 0; first < table.blockCount; ) {
			let end = first + 1
			while (end < table.blockCount && table.bytesBefore(end + 1) - table.bytesBefore(first) <= STRETCH_BYTES) end++
			const count = end - first
			if (whole === undefined) await this.#source.readBlocks(slot, table, first, count, signal)
			else
				this.#disk?.keepBlocks(
					slot,
					table,
					first,
					count,
					whole.subarray(table.bytesBefore(first), table.bytesBefore(end)),
				)
			// Otherwise the queue to the disk would leave some out.
			await this.#disk?.idle()
			signal.throwIfAborted()
			first = end
		}
	}
}
