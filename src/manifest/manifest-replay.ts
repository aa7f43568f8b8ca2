/** Builds a manifest from the newest checkpoint and the writer log behind it. What it holds counts once it is confirmed. */
import { IsleError } from '../errors.ts'
import type { LogReplay } from '../log/claim.ts'
import { FencedLog } from '../log/fenced-log.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { LogRecord } from '../log/record.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { newestCheckpoint, readCheckpoint } from './checkpoint.ts'
import { type Commit, decodeCommit, type LoadedCommit } from './commit.ts'
import { applyCommits, EMPTY_MANIFEST } from './fold.ts'
import type { Manifest } from './manifest.ts'

const WRITER_LOG_FOLDER = 'log'
/** A checkpoint is deleted only after a newer one exists; each attempt that misses it sees that one. */
const CHECKPOINT_MAX_ATTEMPTS = 20

/** The writer log of the database whose prefix `store` stands for. */
export function openWriterLog(store: ObjectStore): FencedLog {
	return new FencedLog({
		store,
		folder: WRITER_LOG_FOLDER,
		newestCheckpoint: async options => (await newestCheckpoint(store, options))?.writerPosition,
	})
}

export class ManifestReplay implements LogReplay {
	readonly #log: FencedLog
	readonly #onLoaded: (loaded: LoadedCommit) => void
	#base: Manifest = EMPTY_MANIFEST
	#commits: Commit[] = []

	/** `onLoaded` sees each commit with the tables that came in it, before it is confirmed; their bytes are not kept here. */
	constructor(log: FencedLog, onLoaded: (loaded: LoadedCommit) => void = () => undefined) {
		this.#log = log
		this.#onLoaded = onLoaded
	}

	async restart(options: RequestOptions): Promise<LogPosition> {
		this.#commits = []
		this.#base = await loadNewestCheckpoint(this.#log.store, options)
		return this.#base.writerPosition
	}

	apply(record: LogRecord): void {
		const loaded = decodeCommit(record, this.#log.key(record.position))
		this.#commits.push(loaded.commit)
		this.#onLoaded(loaded)
	}

	/** The manifest at `position`, where reading ended. */
	manifestAt(position: LogPosition): Manifest {
		return { ...applyCommits(this.#base, this.#commits), writerPosition: position }
	}
}

/** One LIST and one GET; `EMPTY_MANIFEST` where there is no checkpoint yet. */
async function loadNewestCheckpoint(store: ObjectStore, options: RequestOptions): Promise<Manifest> {
	for (let attempt = 0; attempt < CHECKPOINT_MAX_ATTEMPTS; attempt++) {
		const name = await newestCheckpoint(store, options)
		if (name === undefined) return EMPTY_MANIFEST
		const manifest = await readCheckpoint(store, name, options)
		if (manifest !== undefined) return manifest
	}
	throw new IsleError(
		'ISLE_UNAVAILABLE',
		`the newest checkpoint was gone in each of ${CHECKPOINT_MAX_ATTEMPTS} attempts`,
	)
}
