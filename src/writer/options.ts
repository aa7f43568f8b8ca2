/** Settings of a writer, and options of one write: their defaults and bounds. */
import { choiceOption, describe, integerOption } from '../arguments.ts'
import { APPENDS_IN_FLIGHT_MAX } from '../log/fenced-log.ts'
import { checkCodecName } from '../sst/codec.ts'
import type { CodecName } from '../sst/sst-meta.ts'

/** When a mutation resolves: once it is accepted in memory and in order, or once it is on the store. */
export type Durability = 'memory' | 'committed'

export interface WriterOptions {
	/** Default 'memory': `put` resolves when accepted. 'committed' makes every mutation durable before it resolves. */
	readonly durability?: Durability | undefined
	/** Entries that a memtable holds before it is frozen and flushed. Default 16 MiB; 64 KiB to 256 MiB. */
	readonly memtableMaxBytes?: number | undefined
	/**
	 * Memory of all memtables and of large values that wait for their commit. While commits on their way hold more than half
	 * of it mutations wait; a caller that does not await is refused at the whole (`ISLE_BACKPRESSURE`). One value or batch may
	 * stand above it. Default 256 MiB, and at least 8 × `memtableMaxBytes`.
	 */
	readonly writeBufferMaxBytes?: number | undefined
	/**
	 * Something that was accepted is committed after this long at the latest, by itself. Default 1000 ms; 0: only by
	 * `flush`, `durable` or a full memtable. An idle writer sends nothing.
	 */
	readonly flushIntervalMs?: number | undefined
	/** Tables up to this size ride in the log record: one PUT a commit. Default 1 MiB; 0 to 16 MiB. */
	readonly inlineMaxBytes?: number | undefined
	/** Values from this size on are stored apart, in blob packs. Default 256 KiB; 1 KiB to 16 MiB. */
	readonly blobThresholdBytes?: number | undefined
	/** Compression of tables. Default 'lz4'. A name that is not known is `ISLE_UNSUPPORTED`. */
	readonly codec?: CodecName | undefined
	/**
	 * Commits on their way at once. Durable writes begin the first half of them at once, and spread the others over the time
	 * that a commit takes. Default 8; 1 to 16, so that a record that is lost is missed.
	 */
	readonly maxCommitsInFlight?: number | undefined
	/** Durable writes start at most this many commits a second, on average. Default 1000; 1 to 100,000. */
	readonly maxCommitsPerSecond?: number | undefined
	/**
	 * From so many large tables in L0 on, that nobody has merged yet, writers slow down, the more the more there are. A table
	 * of 1 MiB or more counts 1, a smaller one by its bytes, at least 1/128. Default 48; 1 to 1,000,000,000.
	 */
	readonly l0SlowdownTables?: number | undefined
	/**
	 * From here on writes wait until L0 has been merged; `flush` and `close` still commit what was accepted. Default twice
	 * `l0SlowdownTables`. A prefix that nobody maintains stops here: see docs/maintenance.md.
	 */
	readonly l0StopTables?: number | undefined
}

export interface WriteOptions {
	/** The entry is gone this long after it was accepted, in milliseconds. Only for puts. Default: it stays. */
	readonly ttlMs?: number | undefined
	/** Resolve once the mutation is on the store. Default: the writer's `durability`. */
	readonly durable?: boolean | undefined
	/** Ends the wait; what was accepted stays accepted. Aborted before the call: nothing is written. */
	readonly signal?: AbortSignal | undefined
}

export interface WriterSettings {
	readonly durability: Durability
	readonly memtableMaxBytes: number
	readonly writeBufferMaxBytes: number
	readonly flushIntervalMs: number
	readonly inlineMaxBytes: number
	readonly blobThresholdBytes: number
	readonly codec: CodecName
	readonly maxCommitsInFlight: number
	readonly maxCommitsPerSecond: number
	readonly l0SlowdownTables: number
	readonly l0StopTables: number
}

const KIB = 1024
const MIB = 1024 * KIB
/**
 * 48 tables of full memtables are about half a gigabyte that was written faster than it was merged; reads then look at as many
 * filters. RocksDB slows down at 20 tables of 64 MiB.
 */
const L0_SLOWDOWN_TABLES = 48
const L0_TABLES_MAX = 1_000_000_000
/** Active, frozen and in-flight memtables with their copies: fewer than this in memory would stall at every flush. */
const BUFFERED_MEMTABLES_MIN = 8

export function writerSettings(options: WriterOptions): WriterSettings {
	const memtableMaxBytes = integerOption('memtableMaxBytes', options.memtableMaxBytes, 16 * MIB, 64 * KIB, 256 * MIB)
	return {
		durability: choiceOption('durability', options.durability, 'memory', ['memory', 'committed']),
		memtableMaxBytes,
		writeBufferMaxBytes: integerOption(
			'writeBufferMaxBytes',
			options.writeBufferMaxBytes,
			Math.max(256 * MIB, BUFFERED_MEMTABLES_MIN * memtableMaxBytes),
			BUFFERED_MEMTABLES_MIN * memtableMaxBytes,
			64 * 1024 * MIB,
		),
		flushIntervalMs: integerOption('flushIntervalMs', options.flushIntervalMs, 1000, 0, 86_400_000),
		inlineMaxBytes: integerOption('inlineMaxBytes', options.inlineMaxBytes, MIB, 0, 16 * MIB),
		blobThresholdBytes: integerOption('blobThresholdBytes', options.blobThresholdBytes, 256 * KIB, KIB, 16 * MIB),
		codec: codecOption(options.codec),
		maxCommitsInFlight: integerOption('maxCommitsInFlight', options.maxCommitsInFlight, 8, 1, APPENDS_IN_FLIGHT_MAX),
		maxCommitsPerSecond: integerOption('maxCommitsPerSecond', options.maxCommitsPerSecond, 1000, 1, 100_000),
		...l0Limits(options),
	}
}

function l0Limits(options: WriterOptions): { readonly l0SlowdownTables: number; readonly l0StopTables: number } {
	const { l0StopTables: stop } = options
	// Who says only where to stop slows down half way there.
	const halfWay = typeof stop === 'number' && stop >= 2 ? Math.floor(stop / 2) : L0_SLOWDOWN_TABLES
	const fallback = Math.min(L0_SLOWDOWN_TABLES, halfWay)
	const l0SlowdownTables = integerOption('l0SlowdownTables', options.l0SlowdownTables, fallback, 1, L0_TABLES_MAX - 1)
	// Between the two the pause grows from nothing to for ever: there must be something between.
	const minStop = l0SlowdownTables + 1
	const twice = Math.min(L0_TABLES_MAX, 2 * l0SlowdownTables)
	return { l0SlowdownTables, l0StopTables: integerOption('l0StopTables', stop, twice, minStop, L0_TABLES_MAX) }
}

export const WRITER_OPTION_NAMES: readonly (keyof WriterOptions)[] = [
	'durability',
	'memtableMaxBytes',
	'writeBufferMaxBytes',
	'flushIntervalMs',
	'inlineMaxBytes',
	'blobThresholdBytes',
	'codec',
	'maxCommitsInFlight',
	'maxCommitsPerSecond',
	'l0SlowdownTables',
	'l0StopTables',
]

/** Before anything is changed: an option that is misspelt, or that this call does not have, must not silently mean nothing. */
export function checkWriteOptions(options: WriteOptions, takesTtl: boolean): void {
	if (typeof options !== 'object' || options === null) {
		throw new TypeError(`Expected \`options\` to be an object, got ${describe(options)}`)
	}
	for (const name in options) {
		if (name === 'durable' || name === 'signal' || (name === 'ttlMs' && takesTtl)) continue
		if (name === 'ttlMs' && options.ttlMs === undefined) continue
		throw new TypeError(`Expected \`options\` to have only options of this call, got \`${name}\``)
	}
	const { durable } = options
	if (durable !== undefined && typeof durable !== 'boolean') {
		throw new TypeError(`Expected \`durable\` to be a boolean, got ${describe(durable)}`)
	}
	options.signal?.throwIfAborted()
}

function codecOption(codec: unknown): CodecName {
	if (codec === undefined) return 'lz4'
	if (typeof codec !== 'string') throw new TypeError(`Expected \`codec\` to be a string, got ${describe(codec)}`)
	return checkCodecName(codec)
}
