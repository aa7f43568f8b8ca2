/** What a caller may ask of a tail, checked and made ready. */
import { describe, integerOption, refuseUnknownOptions } from '../arguments.ts'
import type { KeyEncoder } from '../reader/key-encoder.ts'
import { parseRange, type RangeOptions } from '../reader/key-range.ts'
import { type Cursor, decodeCursor } from './cursor.ts'
import { KeyFilter } from './key-filter.ts'

const DEFAULT_POLL_INTERVAL_MS = 1000
/** 2^31 − 1: what a timer takes. */
const POLL_INTERVAL_MAX_MS = 2_147_483_647

/**
 * Where a tail begins:
 * - `'start'`: the current state, each live row as a put, in the order of keys; then what follows it.
 * - `'now'`: what is committed after the tail was subscribed to.
 * - a cursor: what follows the change that carried it, exactly.
 * - a time: the first commit made at or after it, by the writer's clock. Costs about log2(commits) GETs.
 */
export type TailFrom = 'start' | 'now' | (string & {}) | { readonly timeMs: number }

export interface TailOptions<Key = unknown> extends Pick<RangeOptions<Key>, 'gt' | 'gte' | 'lt' | 'lte' | 'prefix'> {
	/** Default 'now'. */
	readonly from?: TailFrom | undefined
	/**
	 * How often a process that only reads looks for new commits while it waits, in milliseconds. Default 1000; at least 1.
	 * Tails of one reader share one poller, which goes by the smallest interval among those that wait.
	 */
	readonly pollIntervalMs?: number | undefined
	/** Ends the tail with the signal's reason, and frees everything that it holds at once. */
	readonly signal?: AbortSignal | undefined
}

export type TailOrigin =
	| { readonly kind: 'start' }
	| { readonly kind: 'now' }
	| { readonly kind: 'time'; readonly timeMs: number }
	| { readonly kind: 'cursor'; readonly cursor: Cursor }

export interface TailPlan {
	readonly origin: TailOrigin
	readonly filter: KeyFilter
	readonly pollIntervalMs: number
	readonly signal: AbortSignal | undefined
}

const TAIL_OPTION_NAMES: readonly (keyof TailOptions)[] = [
	'from',
	'gt',
	'gte',
	'lt',
	'lte',
	'prefix',
	'pollIntervalMs',
	'signal',
]

/** @throws TypeError, RangeError naming the option. */
export function planTail(options: TailOptions, keys: KeyEncoder): TailPlan {
	if (typeof options !== 'object' || options === null) {
		throw new TypeError(`Expected tail options to be an object, got ${describe(options)}`)
	}
	refuseUnknownOptions('tail options', options, TAIL_OPTION_NAMES)
	const { gt, gte, lt, lte, prefix, signal } = options
	if (signal !== undefined && !(signal instanceof AbortSignal)) {
		throw new TypeError(`Expected \`signal\` to be an AbortSignal, got ${describe(signal)}`)
	}
	return {
		origin: parseFrom(options.from ?? 'now'),
		filter: new KeyFilter(parseRange({ gt, gte, lt, lte, prefix }, keys)),
		pollIntervalMs: integerOption(
			'pollIntervalMs',
			options.pollIntervalMs,
			DEFAULT_POLL_INTERVAL_MS,
			1,
			POLL_INTERVAL_MAX_MS,
		),
		signal,
	}
}

function parseFrom(from: unknown): TailOrigin {
	if (from === 'start' || from === 'now') return { kind: from }
	if (typeof from === 'string') return { kind: 'cursor', cursor: decodeCursor(from) }
	if (typeof from !== 'object' || from === null || !('timeMs' in from)) {
		throw new TypeError(`Expected \`from\` to be 'start', 'now', a cursor or { timeMs }, got ${describe(from)}`)
	}
	const { timeMs } = from
	if (typeof timeMs !== 'number')
		throw new TypeError(`Expected \`from.timeMs\` to be a number, got ${describe(timeMs)}`)
	if (!Number.isFinite(timeMs)) throw new RangeError(`Expected \`from.timeMs\` to be finite, got ${timeMs}`)
	return { kind: 'time', timeMs }
}
