/**
 * Ranges as the caller states them, and the half-open byte ranges that reading works with.
 *
 * The successor of a key k is k followed by 0x00: nothing lies between them. A prefix ends before the prefix with its
 * last byte that is not 0xFF raised by one; a prefix of 0xFF bytes alone has no end.
 */
import { describe } from '../arguments.ts'
import { compareBytes } from '../bytes/compare.ts'
import type { KeyEncoder } from './key-encoder.ts'

export interface RangeOptions<Key> {
	/** Keys greater than this one. Of `gt` and `gte` (and `lt` and `lte`) the stricter holds; bounds may be empty. */
	readonly gt?: Key | undefined
	readonly gte?: Key | undefined
	readonly lt?: Key | undefined
	readonly lte?: Key | undefined
	/** Only keys whose bytes begin with this. */
	readonly prefix?: Key | undefined
	/** Descending order. Default false. */
	readonly reverse?: boolean | undefined
	/** At the most this many entries. Default Infinity. */
	readonly limit?: number | undefined
	/** Ends the iteration: it rejects with the signal's reason. */
	readonly signal?: AbortSignal | undefined
}

export interface KeyRange {
	/** Inclusive; undefined is the beginning. */
	readonly lower: Uint8Array | undefined
	/** Exclusive; undefined is the end. */
	readonly upper: Uint8Array | undefined
	readonly reverse: boolean
	readonly limit: number
	/** No key can lie inside, or none is wanted. */
	readonly isEmpty: boolean
}

/** Checks and translates. TypeError for a wrong type, RangeError for a limit that is negative or not whole. */
export function parseRange<Key>(options: RangeOptions<Key>, encoder: KeyEncoder): KeyRange {
	if (typeof options !== 'object' || options === null) {
		throw new TypeError(`Expected \`range\` to be an object, got ${describe(options)}`)
	}
	const { limit = Number.POSITIVE_INFINITY, reverse = false } = options
	checkLimit(limit)
	if (typeof reverse !== 'boolean') {
		throw new TypeError(`Expected \`reverse\` to be a boolean, got ${describe(reverse)}`)
	}
	let lower: Uint8Array | undefined
	let upper: Uint8Array | undefined
	const raise = (bound: Uint8Array): void => {
		if (lower === undefined || compareBytes(bound, lower) > 0) lower = bound
	}
	const reduce = (bound: Uint8Array): void => {
		if (upper === undefined || compareBytes(bound, upper) < 0) upper = bound
	}
	if (options.gte !== undefined) raise(encoder.encodeBound(options.gte, 'gte'))
	if (options.gt !== undefined) raise(successor(encoder.encodeBound(options.gt, 'gt')))
	if (options.lt !== undefined) reduce(encoder.encodeBound(options.lt, 'lt'))
	if (options.lte !== undefined) reduce(successor(encoder.encodeBound(options.lte, 'lte')))
	if (options.prefix !== undefined) {
		const prefix = encoder.encodeBound(options.prefix, 'prefix')
		raise(prefix)
		const end = prefixEnd(prefix)
		if (end !== undefined) reduce(end)
	}
	const isEmpty = limit === 0 || (lower !== undefined && upper !== undefined && compareBytes(lower, upper) >= 0)
	return { lower, upper, reverse, limit, isEmpty: isEmpty || (upper as Uint8Array | undefined)?.length === 0 }
}

function checkLimit(limit: unknown): void {
	if (typeof limit !== 'number') throw new TypeError(`Expected \`limit\` to be a number, got ${describe(limit)}`)
	if (limit >= 0 && (Number.isInteger(limit) || limit === Number.POSITIVE_INFINITY)) return
	throw new RangeError(`Expected \`limit\` to be a whole number of at least 0, got ${limit}`)
}

/** The smallest key above `key`. */
export function successor(key: Uint8Array): Uint8Array {
	const next = new Uint8Array(key.length + 1)
	next.set(key)
	return next
}

/** The smallest key above every key that begins with `prefix`, or undefined when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
	let last = prefix.length - 1
	while (last >= 0 && prefix[last] === 0xff) last--
	if (last < 0) return undefined
	const end = prefix.slice(0, last + 1)
	end[last] = (prefix[last] as number) + 1
	return end
}
