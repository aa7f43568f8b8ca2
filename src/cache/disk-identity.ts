/**
 * Which database a disk cache is asked about, so that what it keeps of one is never taken for that of another.
 *
 * A name covers the URL of the database, and owner and nonce of the first seal of its log, which are random and never
 * deleted: a prefix that was wiped and used again is another database. While the seal is not known nothing is cached.
 */
import { createHash } from 'node:crypto'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { Clock } from '../host/clock.ts'
import { FencedLog } from '../log/fenced-log.ts'
import { LOG_START } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'

/** Persisted in names of files: never change without a new layout. */
const DIGEST_BYTES = 16
/** A database that was not there yet is looked for this often, while it is read. */
const IDENTIFY_PAUSE_MS = 1_000

export class DiskIdentity {
	readonly url: string
	readonly #store: ObjectStore
	readonly #clock: Clock
	/** URL, owner and nonce. */
	#identity: Uint8Array | undefined
	#nextLookMs = Number.NEGATIVE_INFINITY

	/** `store` is the one of the database, its prefix taken off. */
	constructor(store: ObjectStore, clock: Clock) {
		this.url = store.url
		this.#store = store
		this.#clock = clock
	}

	/** Finds out which database this is: one GET. Never rejects; called again by itself while there is no database. */
	async identify(options: RequestOptions = {}): Promise<void> {
		this.#nextLookMs = this.#clock.monotonicMs() + IDENTIFY_PAUSE_MS
		const log = new FencedLog({ store: this.#store, folder: 'log', newestCheckpoint: async () => undefined })
		try {
			const seal = await log.readSlot(LOG_START, options)
			if (seal === undefined) return
			this.#identity = new ByteWriter().string(this.url).bytes(seal.owner).bytes(seal.nonce).finish()
		} catch {
			// Reading works without a cache, and says itself what is wrong with the store.
		}
	}

	/** The name of what `write` describes in this database; undefined while it is not known which one it is. */
	digestOf(write: (writer: ByteWriter) => void): Uint8Array | undefined {
		const identity = this.#identity
		if (identity === undefined) {
			if (this.#clock.monotonicMs() >= this.#nextLookMs) void this.identify()
			return undefined
		}
		const writer = new ByteWriter().lengthPrefixed(identity)
		write(writer)
		return new Uint8Array(createHash('sha256').update(writer.finish()).digest()).slice(0, DIGEST_BYTES)
	}
}
