/**
 * Reads an object that may be large: in one GET, or by pages side by side, put together in one buffer.
 *
 * Over a network one connection carries a part of what the machine could take; stores of this kind ask to be read by several at
 * once (Amazon S3, "Use byte-range fetches"). What is cut is read again alone, and not with all that had come already.
 */
import { forEachBounded } from '../host/parallel.ts'
import { uninitialised } from '../object-store/body.ts'
import type { ObjectStore, RangeRequestOptions, RequestOptions } from '../object-store/object-store.ts'
import type { RepeatedRequestOptions } from '../object-store/retrying-store.ts'

/** Up to this size it is one GET, which costs what a page does. */
export const WHOLE_MAX_BYTES = 8_388_608
export const PAGE_BYTES = 4_194_304
export const PAGES_AT_ONCE = 4

/** `bytes` is its size, as a LIST has told it. `undefined` when the object, or a part of it, is not there any more. */
export async function readByPages(
	store: ObjectStore,
	key: string,
	bytes: number,
	options: RequestOptions = {},
): Promise<Uint8Array | undefined> {
	if (bytes <= WHOLE_MAX_BYTES) return await store.get(key, options)
	const target = uninitialised(bytes)
	const stop = new AbortController()
	let isGone = false
	let isOurs = true
	const request: RangeRequestOptions & RepeatedRequestOptions = {
		...options,
		signal: options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]),
		onRepeat: () => {
			isOurs = false
		},
	}
	const readPage = async (offset: number): Promise<void> => {
		const into = target.subarray(offset, offset + PAGE_BYTES)
		const page = await store.getRange(key, { offset, bytes: into.length }, { ...request, into })
		if (page === undefined) isGone = true
		else if (page !== into) into.set(page)
		if (isGone) throw new Error('a page is missing: the others need not come')
	}
	const offsets = Array.from({ length: Math.ceil(bytes / PAGE_BYTES) }, (_, page) => page * PAGE_BYTES)
	try {
		await forEachBounded(offsets, PAGES_AT_ONCE, offset =>
			readPage(offset).catch((error: unknown) => {
				stop.abort(error)
				throw error
			}),
		)
	} catch (error) {
		if (isGone) return undefined
		throw error
	}
	// An attempt that was given up may yet write into the memory that it was offered.
	return isOurs ? target : target.slice()
}
