/**
 * The pins as the collector sees them: listed anew whenever something is about to be deleted, each read once if it can be.
 *
 * A pin that cannot be read (damaged, or of a newer release) keeps everything: what it holds is unknown. One that expired
 * longer ago than clocks may differ is deleted.
 */
import { isIsleError } from '../errors.ts'
import { listPinKeys, objectsOf, readPin } from '../manifest/pin.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import type { UnreadablePin } from './maintainer-parts.ts'
import { CLOCK_SKEW_MAX_MS } from './store-clock.ts'

/** While a pin keeps what would be deleted without it, pins are looked at again after an hour: whoever ends one tells nobody. */
const LOOK_AGAIN_MS = 3_600_000

interface KnownPin {
	readonly expiresMs: number
	readonly objectKeys: ReadonlySet<string>
}

export class PinBoard {
	readonly #store: ObjectStore
	readonly #known = new Map<string, KnownPin>()
	readonly #unreadable = new Map<string, UnreadablePin>()
	/** When the first pin may be deleted that has not expired yet, by the wall clock. */
	#nextExpiryMs = Number.POSITIVE_INFINITY

	constructor(store: ObjectStore) {
		this.#store = store
	}

	/** As of the last look. */
	get unreadable(): UnreadablePin[] {
		return [...this.#unreadable.values()]
	}

	/** When a look may show something else than the last one did: one has expired, or somebody has ended one. */
	nextInMs(nowMs: number): number {
		return Math.max(0, Math.min(LOOK_AGAIN_MS, this.#nextExpiryMs - nowMs))
	}

	/**
	 * Whether an object is kept by a pin. One LIST, one GET for each pin not read before, one DELETE for those that have
	 * expired: whose objects are kept this time yet, because one may just have been renewed unseen. `askTime` is called if
	 * any may have expired, and answers `undefined` when clocks are in doubt: then none has.
	 */
	async look(
		askTime: () => Promise<number | undefined>,
		options: RequestOptions,
	): Promise<{ readonly hasExpired: boolean; isKept(objectKey: string): boolean }> {
		const keys = new Set(await listPinKeys(this.#store, options))
		// Read again each time: it may have been put back.
		this.#unreadable.clear()
		for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key)
		const mortal: [string, number][] = []
		for (const key of keys) {
			const pin = this.#known.get(key) ?? (await this.#read(key, options))
			if (pin !== undefined && pin.expiresMs !== 0) mortal.push([key, pin.expiresMs])
		}
		const nowMs = mortal.length === 0 ? undefined : await askTime()
		const isOver = (expiresMs: number): boolean => nowMs !== undefined && expiresMs + CLOCK_SKEW_MAX_MS <= nowMs
		const goneMs = mortal.map(([, expiresMs]) => expiresMs + CLOCK_SKEW_MAX_MS)
		this.#nextExpiryMs = Math.min(...goneMs.filter(time => nowMs !== undefined && time > nowMs))
		const expired = mortal.flatMap(([key, expiresMs]) => (isOver(expiresMs) ? [key] : []))
		const pins = [...this.#known.values()]
		if (expired.length > 0) await this.#store.deleteMany(expired, options)
		const isAllKept = this.#unreadable.size > 0
		const isKept = (objectKey: string): boolean => isAllKept || pins.some(pin => pin.objectKeys.has(objectKey))
		return { hasExpired: expired.length > 0, isKept }
	}

	async #read(key: string, options: RequestOptions): Promise<KnownPin | undefined> {
		try {
			const pin = await readPin(this.#store, key, options)
			if (pin === undefined) return undefined
			const known = { expiresMs: pin.expiresMs, objectKeys: objectsOf(pin.manifest) }
			this.#known.set(key, known)
			return known
		} catch (error) {
			if (!isIsleError(error, 'ISLE_CORRUPT') && !isIsleError(error, 'ISLE_UNSUPPORTED')) throw error
			this.#unreadable.set(key, { key, error })
			return undefined
		}
	}
}
