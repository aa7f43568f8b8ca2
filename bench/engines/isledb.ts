/** This project, through its public API. */

import { lastValueFrom, take } from 'rxjs'
import { systemHost } from '../../src/host/host.ts'
import { acquireWorkerPool, type Change, createInlinePool, type JobPool, open, openStore } from '../../src/index.ts'
import { loadStore } from '../discover.ts'
import type { Datum, EmbeddedEngine } from '../engine.ts'
import { boundsOf } from '../scan-bounds.ts'

/** 256 MiB: a bulk load becomes one table at each commit. */
const BULK_MEMTABLE_BYTES = 268_435_456

export const engine: EmbeddedEngine = {
	kind: 'embedded',
	name: 'isledb',
	packageName: undefined,
	stores: ['file', 'memory', 'ceph', 'azurite'],
	putsInFlight: 1,
	hasBatches: true,
	codecName: codec => codec,
	settings: codec => `defaults, codec ${codec}`,
	async open({ directory, store, codec, form, cacheBytes, isBulkLoad, isUnmaintained, pool }) {
		const encoding = form === 'bytes' ? 'buffer' : 'utf8'
		const url = (await loadStore(store)).url(directory)
		const jobs = pool === undefined ? undefined : poolOf(pool)
		const db = await open(url, {
			prefix: 'db',
			keyEncoding: encoding,
			valueEncoding: encoding,
			codec,
			blockCacheBytes: cacheBytes,
			pool: jobs,
			...(isUnmaintained ? { maintenance: false } : {}),
			...(isBulkLoad ? { memtableMaxBytes: BULK_MEMTABLE_BYTES, flushIntervalMs: 0 } : {}),
		})
		const bare = await openStore(url, { prefix: 'bare' })
		let barePuts = 0
		// Used again and again: once `write` has been called, its mutations are copied.
		const batch = db.batch()
		const batchOf = (keys: readonly Datum[], values: readonly Datum[]) => {
			batch.clear()
			for (let i = 0; i < keys.length; i++) batch.put(keys[i] as Datum, values[i] as Datum)
			return batch
		}
		return {
			put: (key, value) => db.put(key, value),
			writeBatch: (keys, values, durable) => db.write(batchOf(keys, values), durable ? { durable } : undefined),
			putDurably: (key, value) => db.put(key, value, { durable: true }),
			commit: async () => void (await db.flush()),
			get: key => db.get(key),
			getMany: keys => db.getMany(keys),
			getSync: key => db.getCached(key, undefined),
			async firstRows(start, limit) {
				let count = 0
				for await (const rows of db.entries({ gte: start, limit }).batches()) count += rows.length
				return count
			},
			rows: range => db.entries(boundsOf(range)),
			batches: range => db.entries(boundsOf(range)).batches(),
			tail: from => ({
				async cursorAfter(count) {
					let seen = 0
					for await (const changes of db.changes({ from })) {
						seen += changes.length
						// Exactly the first `count`: a batch may hold more.
						if (seen >= count) return (changes[changes.length - 1 - (seen - count)] as Change).cursor
					}
					throw new Error(`a tail ended after ${seen} changes`)
				},
				observe: async count => void (await lastValueFrom(db.tail({ from }).pipe(take(count)))),
			}),
			requests() {
				const { total, byKind } = db.requests()
				return { ...total, byKind }
			},
			barePut: async bytes => void (await bare.createIfAbsent(`object-${barePuts++}`, new Uint8Array(bytes))),
			async close() {
				await db.close()
				await jobs?.close()
				await bare.close()
			},
		}
	},
}

export function poolOf(pool: 'inline' | number): JobPool {
	return pool === 'inline' ? createInlinePool(systemHost) : acquireWorkerPool(systemHost, { maxThreads: pool })
}
