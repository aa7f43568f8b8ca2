/**
 * Many keys at once: one pass over what is in memory, some keys at a time so that their memory is waited for together, then
 * one cold lookup for all the rest, each key once.
 */
import type { Transcoder } from '../bytes/encoding.ts'
import type { TableSource } from '../cache/table-source.ts'
import { KIND_BLOB } from '../sst/entry.ts'
import type { BlobReader } from './blob-reader.ts'
import { type ColdKey, lookupCold } from './cold-lookup.ts'
import type { KeyEncoder } from './key-encoder.ts'
import { Hit, LOOKUP_ABSENT, LOOKUP_COLD, LOOKUP_FOUND, lookupCached } from './lookup.ts'
import type { ReadView } from './read-view.ts'
import type { SearchPlan } from './search-plan.ts'
import type { TouchAhead } from './touch-ahead.ts'

/** Keys whose memory is asked for together: as many as leave the nearest cache to it. */
const AHEAD_KEYS = 32

export interface GetManyContext<Value> {
	readonly ahead: TouchAhead
	readonly source: TableSource
	readonly plan: SearchPlan
	readonly view: ReadView
	readonly nowMs: number
	readonly keyEncoder: KeyEncoder
	readonly values: Transcoder<Value>
	readonly blobs: BlobReader
	readonly signal: AbortSignal | undefined
}

/** A key to fetch, with where its value goes. */
interface Wanted {
	readonly cold: ColdKey
	readonly positions: number[]
}

/** The values of `keys` in their order; a key that comes twice gets two values that share no memory. */
export async function getMany<Value>(
	keys: readonly unknown[],
	context: GetManyContext<Value>,
): Promise<(Value | undefined)[]> {
	const { ahead, source, plan, view, nowMs, keyEncoder, values, signal } = context
	const results: (Value | undefined)[] = Array.from({ length: keys.length }, () => undefined)
	const wanted = new Map<string, Wanted>()
	const hit = new Hit()
	for (let i = 0; i < keys.length; i++) {
		if (i % AHEAD_KEYS === 0) ahead.touch(context, keys, i, Math.min(i + AHEAD_KEYS, keys.length))
		const bytes = keyEncoder.encode(keys[i])
		const status = lookupCached(source, plan, view, bytes, hit, false)
		if (status === LOOKUP_ABSENT) continue
		if (status === LOOKUP_COLD || hit.kind === KIND_BLOB) want(wanted, bytes, i)
		else if (hit.isVisible(nowMs)) results[i] = values.decode(hit.bytes, hit.start, hit.end)
	}
	if (wanted.size === 0) return results
	const colds = Array.from(wanted.values(), ({ cold }) => cold)
	await lookupCold(source, plan, view, colds, signal)
	for (const { cold, positions } of wanted.values()) {
		if (cold.status !== LOOKUP_FOUND || !cold.hit.isVisible(nowMs)) continue
		let { bytes, start, end } = cold.hit
		if (cold.hit.kind === KIND_BLOB) {
			bytes = await context.blobs.read(view.manifest, bytes.slice(start, end), signal)
			start = 0
			end = bytes.length
		}
		for (const position of positions) results[position] = values.decode(bytes, start, end)
	}
	return results
}

function want(wanted: Map<string, Wanted>, key: Uint8Array, position: number): void {
	const name = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
	const known = wanted.get(name)
	if (known !== undefined) known.positions.push(position)
	else {
		const cold: ColdKey = { key: new Uint8Array(key), hit: new Hit(), status: LOOKUP_COLD }
		wanted.set(name, { cold, positions: [position] })
	}
}
