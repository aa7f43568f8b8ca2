/**
 * Small tables that are in memory anyway, as stored: those that came in log records, which the owner reads to follow the writer,
 * and those that it has made. The next merge of them needs no GET.
 *
 * Invariant: `bytes` never exceeds `maxBytes` when a method returns; the oldest arrivals go first.
 */
import type { LoadedCommit } from '../manifest/commit.ts'
import type { TableRef } from '../manifest/manifest.ts'

/** What may ride in a log record, as a rule; larger ones are read by ranges. */
const SMALL_TABLE_BYTES = 1_048_576
/** Sixteen of the largest, or a merge of a thousand tiny ones. */
const RECENT_MAX_BYTES: number = 16 * SMALL_TABLE_BYTES

export class RecentTables {
	readonly #maxBytes: number
	/** By id; a Map keeps the order of arrival. */
	readonly #tables = new Map<string, Uint8Array>()
	#bytes = 0

	constructor(maxBytes: number = RECENT_MAX_BYTES) {
		this.#maxBytes = maxBytes
	}

	get bytes(): number {
		return this.#bytes
	}

	/** The whole table, not to be changed. */
	get({ id, meta }: TableRef): Uint8Array | undefined {
		const bytes = this.#tables.get(id)
		return bytes?.length === meta.storedBytes ? bytes : undefined
	}

	addCommit({ inlineTables }: LoadedCommit): void {
		for (const [id, bytes] of inlineTables) this.#add(id, bytes)
	}

	/**
	 * Keeps a copy of a small table that was just made; answers what is kept, and undefined for a larger one.
	 */
	addMade({ id }: TableRef, bytes: Uint8Array): Uint8Array | undefined {
		if (!isSmall(bytes)) return undefined
		const copy = bytes.slice()
		this.#add(id, copy)
		return copy
	}

	#add(id: string, bytes: Uint8Array): void {
		if (!isSmall(bytes) || this.#tables.has(id)) return
		this.#tables.set(id, bytes)
		this.#bytes += bytes.length
		for (const oldest of this.#tables.keys()) {
			if (this.#bytes <= this.#maxBytes) break
			this.#forget(oldest)
		}
	}

	/** They are live no more. */
	forget(ids: readonly string[]): void {
		for (const id of ids) this.#forget(id)
	}

	#forget(id: string): void {
		const bytes = this.#tables.get(id)
		if (this.#tables.delete(id)) this.#bytes -= bytes?.length ?? 0
	}
}

function isSmall(bytes: Uint8Array): boolean {
	return bytes.length <= SMALL_TABLE_BYTES
}
