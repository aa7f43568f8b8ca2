/**
 * A durable snapshot as its user holds it: reads of one state, whose objects stay on the store until the pin is released or
 * expires, whatever is written, merged or collected meanwhile, and whether or not this process lives.
 *
 * Closing the handle frees memory and leaves the pin; `release` ends the pin.
 */
import { integerOption } from '../arguments.ts'
import { IsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import { releasePin, renewPin, type StoredPin } from '../manifest/pin.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { ReadCore, ReadOptions } from './read-core.ts'
import type { ReadView } from './read-view.ts'
import { Snapshot } from './snapshot.ts'

export interface PinOptions extends ReadOptions {
	/**
	 * The pin expires so many milliseconds from now, and is then no longer kept. Default 86,400,000 (a day); 1 to about ten
	 * years, or Infinity for never: then it costs space until it is released.
	 */
	readonly ttlMs?: number | undefined
}

/** What a pin is kept in. */
export interface PinHome {
	readonly store: ObjectStore
	readonly host: Host
}

const DEFAULT_TTL_MS = 86_400_000
/** Ten years of 365.25 days: more is Infinity. */
const TTL_MAX_MS = 315_576_000_000

/** The time at which a pin that is made or renewed now expires; 0 is never. @throws TypeError, RangeError. */
export function expiryOf({ ttlMs }: PinOptions, host: Host): number {
	if (ttlMs === Number.POSITIVE_INFINITY) return 0
	return host.clock.nowMs() + integerOption('ttlMs', ttlMs, DEFAULT_TTL_MS, 1, TTL_MAX_MS)
}

export class Pin<Key, Value> extends Snapshot<Key, Value> {
	readonly #home: PinHome
	#stored: StoredPin

	/** Use `pin` or `openPin`. @internal */
	constructor(
		core: ReadCore<Key, Value>,
		view: ReadView,
		stored: StoredPin,
		home: PinHome,
		onClose: (pin: Snapshot<Key, Value>) => void,
	) {
		// Entries expire as of when it was made: what it shows never changes.
		super(core, view, stored.createdMs, { renew: (_gone, cause) => Promise.reject(lost(this.#stored, cause)) }, onClose)
		this.#home = home
		this.#stored = stored
	}

	/** As given; several pins may have one name. */
	get name(): string {
		return this.#stored.name
	}

	/** Of this pin alone. Renewing changes it. */
	get id(): string {
		return this.#stored.key
	}

	/** When it was made, by the clock of whoever made it: entries that had expired by then are not seen. */
	get createdMs(): number {
		return this.#stored.createdMs
	}

	/** From when on it is no longer kept, by wall clocks; 0 is never. */
	get expiresMs(): number {
		return this.#stored.expiresMs
	}

	/**
	 * Keeps it longer (or shorter): `ttlMs` from now. 2 GETs, 1 PUT, 1 DELETE.
	 * @throws ISLE_EXPIRED when it was released, or expired and was collected; RangeError; what the store throws.
	 */
	async renew(options: PinOptions = {}): Promise<void> {
		const { store, host } = this.#home
		const expiresMs = expiryOf(options, host)
		options.signal?.throwIfAborted()
		this.#stored = await renewPin({ store, host, key: this.#stored.key, expiresMs, signal: options.signal })
	}

	/** Ends the pin for everybody and closes the handle: what only it kept is collected. One DELETE. Idempotent. */
	async release(options: ReadOptions = {}): Promise<void> {
		options.signal?.throwIfAborted()
		await releasePin(this.#home.store, this.#stored.key, options)
		await this.close()
	}
}

function lost({ name, key, expiresMs }: StoredPin, cause: unknown): IsleError {
	return new IsleError('ISLE_EXPIRED', `what the pin kept is gone: it was released or has expired: name=\`${name}\``, {
		cause,
		details: { name, key, expiresMs },
	})
}
