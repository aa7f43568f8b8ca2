/**
 * The latest commits that passed through this process, with the tables that came in them: what tails read first.
 *
 * What stands at a position never changes (a slot has one rightful user), so a commit may be kept before it is known
 * whether the log goes that way: only who follows the log decides which positions belong to it.
 *
 * Invariant: `bytes` never exceeds `maxBytes` when a method returns; the oldest arrivals go first.
 */
import type { LogPosition } from '../log/log-position.ts'
import type { LoadedCommit } from '../manifest/commit.ts'

/** Eight commits whose table is as large as may ride in a record by default. */
const DEFAULT_RECENT_COMMITS_BYTES: number = 8 * 1024 * 1024
/** What a commit takes beside its tables: metadata, keys, maps, as measured with tables of 200 bytes. */
const OVERHEAD_BYTES = 2048

export class RecentCommits {
	readonly #maxBytes: number
	/** By position; a Map keeps the order of arrival. */
	readonly #commits = new Map<string, LoadedCommit>()
	#bytes = 0
	#isWanted = false

	/** `maxBytes` 0 keeps nothing. */
	constructor(maxBytes: number = DEFAULT_RECENT_COMMITS_BYTES) {
		this.#maxBytes = maxBytes
	}

	get bytes(): number {
		return this.#bytes
	}

	get(position: LogPosition): LoadedCommit | undefined {
		return this.#commits.get(keyOf(position))
	}

	/** There is a tail: from now on commits are kept. Who never has one keeps none. */
	want(): void {
		this.#isWanted = true
	}

	add(loaded: LoadedCommit): void {
		if (!this.#isWanted) return
		const key = keyOf(loaded.commit.position)
		const bytes = weigh(loaded)
		if (bytes > this.#maxBytes || this.#commits.has(key)) return
		this.#commits.set(key, loaded)
		this.#bytes += bytes
		for (const [oldestKey, oldest] of this.#commits) {
			if (this.#bytes <= this.#maxBytes) break
			this.#commits.delete(oldestKey)
			this.#bytes -= weigh(oldest)
		}
	}

	clear(): void {
		this.#commits.clear()
		this.#bytes = 0
	}
}

function keyOf(position: LogPosition): string {
	return `${position.epoch}/${position.slot}`
}

function weigh(loaded: LoadedCommit): number {
	let bytes = OVERHEAD_BYTES
	for (const table of loaded.inlineTables.values()) bytes += table.length
	return bytes
}
