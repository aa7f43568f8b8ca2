/** One view, pinned in memory: reads repeat, whatever is written later. */
import { IsleError } from '../errors.ts'
import type { ReadCore, ViewProvider } from './read-core.ts'
import { ReadMethods } from './read-methods.ts'
import type { ReadView } from './read-view.ts'

export class Snapshot<Key, Value> extends ReadMethods<Key, Value> implements AsyncDisposable {
	protected readonly core: ReadCore<Key, Value>
	protected readonly views: ViewProvider
	readonly #view: ReadView
	readonly #onClose: (snapshot: Snapshot<Key, Value>) => void
	#isClosed = false

	/**
	 * Use `snapshot()`. Memtables of `view` are held until `close`. `nowMs` is the time by which entries have expired, for
	 * good: what is visible at first stays so.
	 */
	constructor(
		core: ReadCore<Key, Value>,
		view: ReadView,
		nowMs: number,
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
				return view
			},
			nowMs: () => nowMs,
			renew: (_gone, cause) =>
				Promise.reject(
					new IsleError('ISLE_EXPIRED', 'objects of the snapshot are gone from the store: it was kept too long', {
						cause,
					}),
				),
		}
	}

	/** Highest sequence number that it sees. */
	get lastSeq(): number {
		return this.#view.maxSeq
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
}
