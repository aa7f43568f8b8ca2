/** Settings of a reader: their defaults and bounds. */
import { choiceOption, describe, integerOption } from '../arguments.ts'
import { type Encoding, type Transcoder, transcoderOf } from '../bytes/encoding.ts'
import { DEFAULT_CACHE_DIR_MAX_BYTES, MIN_CACHE_DIR_MAX_BYTES } from '../cache/disk-cache.ts'
import { DEFAULT_BLOCK_CACHE_BYTES, DEFAULT_TABLE_CACHE_BYTES } from '../cache/table-source.ts'
import { stalenessOption } from './freshness.ts'

export interface ReaderOptions<KeyEncoding extends Encoding = 'utf8', ValueEncoding extends Encoding = 'utf8'> {
	/** Type and form of keys. Default 'utf8': strings. */
	readonly keyEncoding?: KeyEncoding | undefined
	/** Type and form of values. Default 'utf8': strings. */
	readonly valueEncoding?: ValueEncoding | undefined
	/**
	 * The view is brought up to date this often, in milliseconds, by one GET when there is nothing new. Default 1000;
	 * 0: only by `refresh` and `atLeast`. The timer does not keep the process alive.
	 */
	readonly refreshIntervalMs?: number | undefined
	/**
	 * No read sees a view that is older than so many milliseconds: it polls first where it is. Default Infinity: any view will
	 * do. @see FreshReadOptions for a bound of one read.
	 */
	readonly maxStalenessMs?: number | undefined
	/** Memory for decoded blocks. Default 64 MiB; 0 to 1 TiB. */
	readonly blockCacheBytes?: number | undefined
	/** Memory for the filters and indexes of open tables, about 1.7 bytes for each small entry. Default 256 MiB; 0 to 1 TiB. */
	readonly tableCacheBytes?: number | undefined
	/**
	 * A directory for a cache on disk, beneath the one in memory: of its own, made when it is missing. Processes and databases
	 * may share it; it outlives them, and may be deleted at any time. A disk that is full, read-only or gone makes reads
	 * slower and never fails them. Default: none, and no disk is touched.
	 */
	readonly cacheDir?: string | undefined
	/** Bound of all that is in `cacheDir`. Default 1 GiB; 1 MiB to 1 TiB. */
	readonly cacheDirMaxBytes?: number | undefined
	/**
	 * 'metadata': opening also reads the filters and indexes of tables, the newest first and at the most `tableCacheBytes` of
	 * them, so that the first reads of keys take one round trip. What fails of that does not fail opening. Default false.
	 */
	readonly warmUp?: 'metadata' | false | undefined
	/**
	 * Whether tables that were flushed or merged, here or elsewhere, are read into the caches as soon as they are known: `cacheDir`, if
	 * there is one, and memory. One GET a megabyte; not what is larger than an eighth of the cache when it comes. Default false.
	 */
	readonly cacheNewTables?: boolean | undefined
	/** How long the collector of this database keeps what was removed, in milliseconds. Default 900,000. */
	readonly gracePeriodMs?: number | undefined
}

export interface ReaderSettings {
	readonly keys: Transcoder<unknown>
	readonly values: Transcoder<unknown>
	readonly refreshIntervalMs: number
	readonly maxStalenessMs: number
	readonly blockCacheBytes: number
	readonly tableCacheBytes: number
	readonly cacheDir: string | undefined
	readonly cacheDirMaxBytes: number
	readonly gracePeriodMs: number | undefined
	readonly warmUp: 'metadata' | false
	readonly cacheNewTables: boolean
}

/** 2^40: more is a mistake. */
const CACHE_MAX_BYTES = 1_099_511_627_776
/** 2^31 − 1: what a timer takes. */
const INTERVAL_MAX_MS = 2_147_483_647
/** 100 years of 365.25 days: what maintenance allows. */
const GRACE_MAX_MS = 3_155_760_000_000

/** @throws TypeError, RangeError naming the option. */
export function readerSettings(options: ReaderOptions<Encoding, Encoding>): ReaderSettings {
	const { gracePeriodMs } = options
	return {
		keys: transcoderOf(options.keyEncoding ?? 'utf8', 'keyEncoding'),
		values: transcoderOf(options.valueEncoding ?? 'utf8', 'valueEncoding'),
		refreshIntervalMs: integerOption('refreshIntervalMs', options.refreshIntervalMs, 1000, 0, INTERVAL_MAX_MS),
		maxStalenessMs: stalenessOption(options.maxStalenessMs, Number.POSITIVE_INFINITY),
		blockCacheBytes: integerOption(
			'blockCacheBytes',
			options.blockCacheBytes,
			DEFAULT_BLOCK_CACHE_BYTES,
			0,
			CACHE_MAX_BYTES,
		),
		tableCacheBytes: integerOption(
			'tableCacheBytes',
			options.tableCacheBytes,
			DEFAULT_TABLE_CACHE_BYTES,
			0,
			CACHE_MAX_BYTES,
		),
		cacheDir: cacheDirOption(options.cacheDir),
		cacheDirMaxBytes: integerOption(
			'cacheDirMaxBytes',
			options.cacheDirMaxBytes,
			DEFAULT_CACHE_DIR_MAX_BYTES,
			MIN_CACHE_DIR_MAX_BYTES,
			CACHE_MAX_BYTES,
		),
		gracePeriodMs:
			gracePeriodMs === undefined ? undefined : integerOption('gracePeriodMs', gracePeriodMs, 0, 0, GRACE_MAX_MS),
		warmUp: warmUpOption(options.warmUp),
		cacheNewTables: booleanOption('cacheNewTables', options.cacheNewTables),
	}
}

function warmUpOption(value: unknown): 'metadata' | false {
	if (value === undefined || value === false) return false
	return choiceOption<'metadata'>('warmUp', value, 'metadata', ['metadata'])
}

function booleanOption(name: string, value: unknown): boolean {
	if (value === undefined || typeof value === 'boolean') return value ?? false
	throw new TypeError(`Expected \`${name}\` to be a boolean, got ${describe(value)}`)
}

/** `value`, or undefined. @throws TypeError, RangeError for what is no path. */
function cacheDirOption(value: unknown): string | undefined {
	if (value === undefined) return undefined
	if (typeof value !== 'string') throw new TypeError(`Expected \`cacheDir\` to be a string, got ${describe(value)}`)
	if (value === '' || value.includes('\0')) throw new RangeError('Expected `cacheDir` to be the path of a directory')
	return value
}
