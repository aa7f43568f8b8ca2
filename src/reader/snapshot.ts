/** One view, pinned in memory: reads repeat, whatever is written later. */
import { IsleError } from '../errors.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ReadCore, ViewProvider } from './read-core.ts'
import { ReadMethods } from './read-methods.ts'
import { holdsView, type ReadView } from './read-view.ts'

export class Snapshot<Key, Value> extends ReadMethods<Key, Value> implements AsyncDisposable {
	/** @internal */
	protected readonly core: ReadCore<Key, Value>
	/** @internal */
	protected readonly views: ViewProvider
	/** Another manifest may come to stand for the first one, with the same entries. */
	#view: ReadView
	readonly #onClose: (snapshot: Snapshot<Key, Value>) => void
	#isClosed = false

	/**
	 * Use `snapshot()`. Memtables of `view` are held until `close`. `nowMs` is the time by which entries have expired, for
	 * good: what is visible at first stays so. `live` is asked for another view when objects of this one are gone.
	 * @internal
	 */
	constructor(
		core: ReadCore<Key, Value>,
		view: ReadView,
		nowMs: number,
		live: Pick<ViewProvider, 'renew'>,
		onClose: (snapshot: Snapshot<Key, Value>) => void,
	) {
		super()
		this.core = core
		this.#view = view
		this.#onClose = onClose
		for (const memtable of view.memtables) memtable.ref()
		this.views = {
			view: () => {
				if (this.#isClosed) throw new IsleError('ISLE_CLOSED', 'the snapshot is closed')
				return this.#view
			},
			nowMs: () => nowMs,
			renew: (gone, cause, signal) => this.#renew(live, gone, cause, signal),
		}
	}

	/** Highest sequence number that it sees. */
	get lastSeq(): number {
		return this.#view.maxSeq
	}

	/** What it reads. @internal */
	get manifest(): Manifest {
		return this.#view.manifest
	}

	/** Lets the view go. Iterators that were made before go on. Idempotent. */
	close(): Promise<void> {
		if (!this.#isClosed) {
			this.#isClosed = true
			for (const memtable of this.#view.memtables) memtable.unref()
			this.#onClose(this)
		}
		return Promise.resolve()
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	/** The same state in a newer manifest, where that still holds it. */
	async #renew(
		live: Pick<ViewProvider, 'renew'>,
		gone: ReadView,
		cause: unknown,
		signal: AbortSignal | undefined,
	): Promise<ReadView> {
		if (this.#view.manifest !== gone.manifest) return this.#view
		const { manifest } = await live.renew(gone, cause, signal)
		if (!holdsView(manifest, gone)) {
			throw new IsleError('ISLE_EXPIRED', 'objects of the snapshot are gone from the store: it was kept too long', {
				cause,
			})
		}
		this.#view = { ...this.#view, manifest }
		return this.#view
	}
}
