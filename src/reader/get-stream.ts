/** One value as a stream: found as by `get`, then read from wherever it lies. */
import { KIND_BLOB } from '../sst/entry.ts'
import { type BlobReader, streamOf } from './blob-reader.ts'
import type { Hit } from './lookup.ts'
import type { ViewProvider } from './read-core.ts'
import type { ReadView } from './read-view.ts'
import { type Reading, withRenewal } from './renewal.ts'
import { lastingStream, type OpenPieces, type ValueRange, valueIsGone } from './value-stream.ts'

export interface GetStreamContext {
	readonly views: ViewProvider
	readonly blobs: BlobReader
	readonly range: ValueRange
	readonly signal: AbortSignal | undefined
	/** How to read over a view. */
	reading(first: ReadView): Reading
	/** Hands `use` what a view has of the key, to use before it returns. */
	lookup<Result>(view: ReadView, use: (hit: Hit | undefined) => Result | Promise<Result>): Promise<Result>
}

/** The pieces of `range`, or undefined when there is no value. */
export async function getStream(context: GetStreamContext): Promise<AsyncIterable<Uint8Array> | undefined> {
	const { views, blobs, range, signal } = context
	const openAt = async (first: ReadView, hit: Hit | undefined): Promise<AsyncIterable<Uint8Array> | undefined> => {
		if (hit === undefined || !hit.isVisible(views.nowMs())) return undefined
		const value = hit.bytes.slice(hit.start, hit.end)
		if (hit.kind !== KIND_BLOB) return streamOf(value.subarray(range.start, range.end))
		const { seq } = hit
		let view = first
		const opener =
			(ref: Uint8Array, { manifest }: ReadView): OpenPieces =>
			part =>
				blobs.stream(manifest, ref, signal, part)
		const open = opener(value, view)
		const renew = async (cause: unknown): Promise<OpenPieces> => {
			const newer = await views.renew(view, cause, signal)
			return await withRenewal(context.reading(newer), latest => {
				view = latest
				return context.lookup(latest, found => {
					if (found?.seq !== seq) throw valueIsGone(cause)
					return opener(found.bytes.slice(found.start, found.end), latest)
				})
			})
		}
		return lastingStream({ open, pieces: await open(range) }, range, renew)
	}
	return await withRenewal(context.reading(views.view()), view => context.lookup(view, hit => openAt(view, hit)))
}
