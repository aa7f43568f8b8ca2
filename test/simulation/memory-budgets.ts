/**
 * What writers, tails and maintainers may hold in memory, whatever else goes on: judged while they work, by what they say of themselves
 * and by what is seen from outside. The bounds are those of the engine under simulation, in which some are lower than in life: `engine.ts`.
 */
import type { Change, Compactor, Database, DatabaseReader, JobPool } from '../../src/index.ts'
import type { MaintenanceMemory } from '../../src/maintenance/maintainer-parts.ts'
import { BATCH_BYTES, BATCH_ROWS, KEPT_COMMITS_BYTES, KEPT_TABLES_BYTES } from './engine.ts'
import type { WriterLife } from './history-record.ts'
import { WRITE_BUFFER_BYTES } from './simulated-database.ts'
import type { Stage } from './stage.ts'

/** A batch of four of the largest values. */
const ABOVE_BUFFER_BYTES = 4 * 120_000
/** A range that is larger than the budget has all of it, but for tables that were kept before. */
const KEPT_FRACTION = 4
/** Input, and as much output. */
const MEMORY_PER_INPUT_BYTE = 2

/** A pool of one process, which tells what the merges of its maintainer have given to jobs. */
export class WatchedPool implements JobPool {
	readonly #pool: JobPool
	readonly #stage: Stage
	readonly #where: string
	#maintainer: Pick<Compactor, 'status'> | undefined
	/** In jobs of merges that wait or run. */
	#jobBytes = 0

	constructor(stage: Stage, where: string, pool: JobPool) {
		this.#stage = stage
		this.#where = where
		this.#pool = pool
	}

	/** The maintainer whose merges come here, once it is open. */
	watch(maintainer: Pick<Compactor, 'status'>): void {
		this.#maintainer = maintainer
	}

	run: JobPool['run'] = async (name, make, options) => {
		let bytes = 0
		try {
			return await this.#pool.run(
				name,
				() => {
					const job = make()
					if (name === 'merge-tables' || name === 'collect-blob-refs') {
						this.#jobBytes -= bytes
						bytes = job.transfer.reduce((sum, buffer) => sum + buffer.byteLength, 0)
						this.#jobBytes += bytes
						this.#judge(bytes)
					}
					return job
				},
				options,
			)
		} finally {
			this.#jobBytes -= bytes
		}
	}

	stats(): ReturnType<JobPool['stats']> {
		return this.#pool.stats()
	}

	close(): Promise<void> {
		return this.#pool.close()
	}

	/** A job of so many bytes has begun: its range is lent, beside what other merges have. */
	#judge(bytes: number): void {
		const memory = this.#maintainer?.status().memory
		if (memory === undefined) return
		const { mergeMemoryBytes = Number.POSITIVE_INFINITY } = this.#stage.settings.compaction
		const { mergeBytes } = memory
		const alone = MEMORY_PER_INPUT_BYTE * bytes + mergeMemoryBytes / KEPT_FRACTION
		if (mergeBytes > Math.max(mergeMemoryBytes, alone)) {
			this.#stage.fault(`${this.#where}: merges hold ${mergeBytes} bytes where they may hold ${mergeMemoryBytes}`)
		}
		if (this.#jobBytes > mergeBytes) {
			this.#stage.fault(`${this.#where}: jobs hold ${this.#jobBytes} bytes, and merges say ${mergeBytes}`)
		}
		judgeKept(this.#stage, this.#where, memory)
	}
}

/** Of a maintainer between its works: nothing that runs, nothing that is held. */
export function judgeMaintainerMemory(stage: Stage, where: string, maintainer: Pick<Compactor, 'status'>): void {
	const { running, memory } = maintainer.status()
	judgeKept(stage, where, memory)
	if (running.length === 0 && memory.mergeBytes > 0) {
		stage.fault(`${where}: no merge runs, and ${memory.mergeBytes} bytes are held for merges`)
	}
}

function judgeKept(stage: Stage, where: string, { tableBytes }: MaintenanceMemory): void {
	if (tableBytes > KEPT_TABLES_BYTES) {
		stage.fault(`${where}: ${tableBytes} bytes of small tables are kept where ${KEPT_TABLES_BYTES} may be`)
	}
}

/** What waits for its commit is bounded, but for one batch or value above it: as the engine counts it, and as anybody can. */
export function judgeWriterMemory(
	stage: Stage,
	{ db, life }: { readonly db: Pick<Database, 'stats'>; readonly life: WriterLife },
): void {
	if (stage.settings.hugeShare === 0) return
	// Large values of frozen memtables are in both.
	const { memtableBytes, pendingBlobBytes, committedSeq } = db.stats()
	const waiting = life.mutations.slice(Math.max(0, committedSeq - life.baseSeq))
	const valueBytes = waiting.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
	const bytes = Math.max(memtableBytes, pendingBlobBytes, valueBytes)
	if (bytes > WRITE_BUFFER_BYTES + ABOVE_BUFFER_BYTES) {
		stage.fault(`${life.process} holds ${bytes} bytes that are not committed`)
	}
}

/** A batch that a tail has given: it and the commits that are kept for tails are all that grows with the history. */
export function judgeBatch(
	stage: Stage,
	where: string,
	batch: readonly Change<string, string>[],
	reader: Pick<DatabaseReader, 'stats'>,
): void {
	const sizes = batch.map(({ key, value }) => key.length + (value?.length ?? 0))
	const bytes = sizes.reduce((sum, size) => sum + size, 0)
	// The last row of a state is known by the one behind it; a value that is larger than a batch comes whole.
	if (batch.length > BATCH_ROWS + 1 || bytes > BATCH_BYTES + 2 * Math.max(...sizes)) {
		stage.fault(`${where}: a batch of ${batch.length} changes and ${bytes} bytes`)
	}
	judgeKeptCommits(stage, where, reader)
}

export function judgeKeptCommits(stage: Stage, where: string, reader: Pick<DatabaseReader, 'stats'>): void {
	const { keptCommitBytes } = reader.stats().tails
	if (keptCommitBytes > KEPT_COMMITS_BYTES) {
		stage.fault(`${where}: ${keptCommitBytes} bytes of commits are kept where ${KEPT_COMMITS_BYTES} may be`)
	}
}
