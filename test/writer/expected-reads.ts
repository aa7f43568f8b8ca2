/** Reads of every key through the reading core, compared with the last of some entries. */
import { expect } from 'vitest'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { BlobReader, type BlobReaderOptions } from '../../src/reader/blob-reader.ts'
import { ReadCore } from '../../src/reader/read-core.ts'
import type { ReadView } from '../../src/reader/read-view.ts'
import { latin1 } from './committed-history.ts'
import type { WriterRig } from './writer-rig.ts'

export interface ReadableEntry {
	readonly key: string
	/** As latin1; `undefined`: a delete. */
	readonly value: string | undefined
	readonly expiresAtMs: number
}

/** `isPartial`: keys that `entries` does not name are another writer's. */
export async function expectReads(
	rig: WriterRig,
	keys: readonly string[],
	view: () => ReadView,
	blobOptions: Omit<BlobReaderOptions, 'store'>,
	entries: readonly ReadableEntry[],
	isPartial: boolean,
): Promise<void> {
	const { store } = rig.layers()
	const { host, pool, clock } = rig
	const source = new TableSource({ store, pool })
	const blobs = new BlobReader({ store, ...blobOptions })
	const bytes = transcoderOf('buffer', 'bytes')
	const core = new ReadCore<Uint8Array, Uint8Array>({ source, blobs, pool, host, keys: bytes, values: bytes })
	const renew = (_gone: unknown, cause: unknown): Promise<never> => Promise.reject(cause)
	for (const key of keys) {
		const last = entries.findLast(entry => entry.key === key)
		if (last === undefined && isPartial) continue
		const isGone = last !== undefined && last.expiresAtMs !== 0 && last.expiresAtMs <= clock.nowMs()
		const got = await rig.drive(core.get({ view, nowMs: () => clock.nowMs(), renew }, key))
		const expected = isGone ? undefined : last?.value
		expect((got === undefined ? undefined : latin1(got)) === expected, `read of ${key}`).toBe(true)
	}
}
