/** The reads of the public API over one provider of views: what readers, snapshots and databases have in common. */
import type { Encodable } from '../bytes/encoding.ts'
import type { RangeOptions } from './key-range.ts'
import { type PrefetchOptions, type PrefetchResult, prefetchSettings } from './prefetch.ts'
import type { ReadCore, ReadOptions, ViewProvider } from './read-core.ts'
import type { Scan } from './scan.ts'
import type { StreamOptions } from './value-stream.ts'

export abstract class ReadMethods<Key, Value> {
	/** @internal */
	protected abstract readonly core: ReadCore<Key, Value>
	/** @internal */
	protected abstract readonly views: ViewProvider

	/**
	 * The value of `key`, or undefined. A `Uint8Array` is a copy that the caller owns; small ones share an ArrayBuffer.
	 * @throws TypeError, RangeError for a bad key; ISLE_CORRUPT, ISLE_UNAVAILABLE, ISLE_CLOSED; the signal's reason.
	 */
	get(key: Encodable<Key>, options?: ReadOptions): Promise<Value | undefined> {
		return this.core.get(this.views, key, options)
	}

	/**
	 * The same at once and from memory alone: `ifCold` when something would have to be fetched (pass a value of your own to
	 * tell "not in memory" from "not there"). @throws as `get` rejects.
	 */
	getCached<Cold>(key: Encodable<Key>, ifCold: Cold): Value | undefined | Cold {
		return this.core.getCached(this.views, key, ifCold)
	}

	/** The values of `keys` in their order, all of one view; what is not in memory is fetched side by side. */
	getMany(keys: readonly Encodable<Key>[], options?: ReadOptions): Promise<(Value | undefined)[]> {
		return this.core.getMany(this.views, keys, options)
	}

	/** Whether `key` has a value. */
	has(key: Encodable<Key>, options?: ReadOptions): Promise<boolean> {
		return this.core.has(this.views, key, options)
	}

	/**
	 * The value of `key`, or the part of it that `options` say, in pieces that the caller owns: for values too large to hold;
	 * undefined when there is none. Nothing of it is asked for beyond the part (in frames of 256 KiB). The stream goes on when its
	 * object is replaced meanwhile or a connection is cut; it fails with ISLE_EXPIRED when the value was overwritten and collected.
	 */
	getStream(key: Encodable<Key>, options?: StreamOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.core.getStream(this.views, key, options)
	}

	/** Keys and values of `range` in order of their bytes; the view is that of this call. @throws TypeError, RangeError. */
	entries(range: RangeOptions<Encodable<Key>> = {}): Scan<[Key, Value]> {
		return this.core.entries(this.views, range)
	}

	/** The same without values: they are not even read from large-value packs. */
	keys(range: RangeOptions<Encodable<Key>> = {}): Scan<Key> {
		return this.core.keysOf(this.views, range)
	}

	/** The same without keys. */
	values(range: RangeOptions<Encodable<Key>> = {}): Scan<Value> {
		return this.core.valuesOf(this.views, range)
	}

	/**
	 * Brings what reads of `range` need into the caches (in memory, and on disk where there is one): the filters and indexes of
	 * its tables first, then its blocks, until `maxBytes` are spent. Large values are not read.
	 * @throws TypeError, RangeError; what reading throws; what `onProgress` throws; the signal's reason.
	 */
	prefetch(range: PrefetchRange<Encodable<Key>> = {}, options: PrefetchOptions = {}): Promise<PrefetchResult> {
		try {
			return this.core.prefetch(this.views, range, prefetchSettings(range, options))
		} catch (error) {
			return Promise.reject(error)
		}
	}
}

/** Keys to prefetch. */
export type PrefetchRange<Key> = Pick<RangeOptions<Key>, 'gt' | 'gte' | 'lt' | 'lte' | 'prefix'>
