/**
 * One page of the contract out of the listings of Azure, which differ in three ways.
 *
 * - **Start**: from version 2026-02-06 of the service `startFrom` names the first key, inclusive. Where the service or an
 *   older SDK ignores it, the listing begins at the front of the prefix and what lies before the start is dropped: one
 *   more LIST for every 5000 objects that are skipped.
 * - **Pages** may be short, or empty, while more follows: they are asked for until the page is full.
 * - **Order** beyond the Basic Multilingual Plane is nowhere promised, and Azurite orders by UTF-16. The two orders
 *   agree about every key without a unit from D800 up (a "plain" key): its first difference from any other key is at a
 *   unit that both orders read alike. So keys with such units form groups, contiguous in both orders, that share the
 *   plain text before the first of them; a group is listed to its end and then sorted. Plain keys cost nothing.
 */
import type { ListQuery } from './list-query.ts'
import { compareKeys } from './object-key.ts'
import type { ListPage, ObjectInfo } from './object-store.ts'

/** The most that Azure gives in one page. */
const MAX_PAGE = 5000
/** Greatest unit below the surrogates: sorts at or before every group of the same beginning, in both orders. */
const BEFORE_GROUPS = '\ud7ff'

export interface AzureListRequest {
	readonly prefix: string
	/** The first key, inclusive; `undefined`: from the front of the prefix. */
	readonly startFrom: string | undefined
	readonly maxPageSize: number
	/** Where the last page ended. */
	readonly marker: string | undefined
}

export interface AzureListPage {
	readonly objects: readonly ObjectInfo[]
	/** `undefined`: nothing follows. */
	readonly marker: string | undefined
}

export async function listAzure(
	query: ListQuery,
	fetchPage: (request: AzureListRequest) => Promise<AzureListPage>,
): Promise<ListPage> {
	const { prefix, startAfter, limit } = query
	const startsBeyond = compareKeys(startAfter, prefix) > 0
	if (startsBeyond && !startAfter.startsWith(prefix)) return { objects: [], isTruncated: false }
	const first = groupStart(startAfter)
	const startFrom = startsBeyond && first.startsWith(prefix) && first !== prefix ? first : undefined
	const found: ObjectInfo[] = []
	// One more than asked for, because what follows decides `isTruncated`, and one that equals the start.
	let maxPageSize = Math.min(MAX_PAGE, limit + 2)
	let marker: string | undefined
	do {
		const page = await fetchPage({ prefix, startFrom, maxPageSize, marker })
		for (const object of page.objects) {
			if (compareKeys(object.key, startAfter) > 0) found.push(object)
			else if (object.key !== startAfter) maxPageSize = MAX_PAGE
		}
		marker = page.marker
	} while (marker !== undefined && (found.length <= limit || !isPlain(found.at(-1)?.key ?? '')))
	found.sort((a, b) => compareKeys(a.key, b.key))
	return { objects: found.slice(0, limit), isTruncated: found.length > limit }
}

function plainUnits(key: string): number {
	for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) >= 0xd800) return i
	return key.length
}

function isPlain(key: string): boolean {
	return plainUnits(key) === key.length
}

/** Where to begin so that nothing after `key` is missed, whichever order the store keeps. */
function groupStart(key: string): string {
	const units = plainUnits(key)
	return units === key.length ? key : key.slice(0, units) + BEFORE_GROUPS
}
