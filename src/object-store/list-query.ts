/** The question of a listing with its defaults filled in and its limits checked. */
import { checkKeyPrefix, MAX_LIST_LIMIT } from './object-key.ts'
import type { ListOptions } from './object-store.ts'

export interface ListQuery {
	readonly prefix: string
	/** Keys must be greater than this; '' admits all, because no key is empty. */
	readonly startAfter: string
	readonly limit: number
}

export function listQuery(options: ListOptions | undefined): ListQuery {
	const prefix = options?.prefix ?? ''
	const startAfter = options?.startAfter ?? ''
	const limit = options?.limit ?? MAX_LIST_LIMIT
	checkKeyPrefix(prefix)
	if (typeof startAfter !== 'string') {
		throw new TypeError(`Expected \`startAfter\` to be a string, got ${typeof startAfter}`)
	}
	if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIST_LIMIT) {
		throw new RangeError(`Expected \`limit\` to be a whole number from 1 to ${MAX_LIST_LIMIT}, got ${limit}`)
	}
	return { prefix, startAfter, limit }
}
