/**
 * classic-level: LevelDB in the process, the usual embedded store of Node.js.
 *
 * Used as its documentation says is fastest: arrays of operations for batches, a larger write buffer for bulk loads
 * ("Larger values increase performance, especially during bulk loads"), iterators that may hold as much as a batch asks for
 * ("Optimal performance can be achieved by setting `highWaterMarkBytes`" so), bytes without transcoding. LevelDB does not
 * fsync its log unless asked: `sync` on a write makes it, and all before it, durable.
 */
import type { ClassicLevel } from 'classic-level'
import type { Datum, EmbeddedEngine } from '../engine.ts'
import { boundsOf } from '../scan-bounds.ts'

/** The fastest of 4 (the default), 16 and 64 MiB for 3 million records by batches: 184, 309, 253 thousand a second. */
const WRITE_BUFFER_BYTES = 16_777_216
/** Rows of one `nextv`: as many as a batch of ours has. */
const ROWS_PER_BATCH = 512
/** More than 1,000 rows of the largest values here, the most that an iterator reads at once. The default, 16 KiB, is 140 rows of the smallest. */
const ITERATOR_MAX_BYTES = 2_097_152

export const engine: EmbeddedEngine = {
	kind: 'embedded',
	name: 'classic-level',
	packageName: 'classic-level',
	stores: ['file'],
	putsInFlight: 64,
	hasBatches: true,
	codecName: codec => (codec === 'none' ? 'none' : 'snappy'),
	settings: codec =>
		`writeBufferSize 16 MiB, compression ${codec !== 'none'}, batches as arrays, last write with sync, iterators of 2 MiB`,
	async open({ directory, codec, form, cacheBytes }) {
		const { ClassicLevel: Level } = await import('classic-level')
		const encoding = form === 'bytes' ? 'view' : 'utf8'
		const db: ClassicLevel<string | Uint8Array, string | Uint8Array> = new Level(directory, {
			keyEncoding: encoding,
			valueEncoding: encoding,
			compression: codec !== 'none',
			writeBufferSize: WRITE_BUFFER_BYTES,
			...(cacheBytes === undefined ? {} : { cacheSize: cacheBytes }),
		})
		await db.open()
		const iterates = { highWaterMarkBytes: ITERATOR_MAX_BYTES }
		return {
			put: (key, value) => db.put(key, value),
			writeBatch(keys, values, sync) {
				const operations = keys.map((key, i) => ({ type: 'put' as const, key, value: values[i] as Datum }))
				return db.batch(operations, { sync })
			},
			putDurably: (key, value) => db.put(key, value, { sync: true }),
			// One synced write makes all that were accepted before it durable.
			commit: () => db.batch([{ type: 'del', key: new Uint8Array([0]) }], { sync: true }),
			get: key => db.get(key),
			getMany: keys => db.getMany([...keys]),
			getSync: key => db.getSync(key),
			firstRows: async (start, limit) => (await db.iterator({ gte: start, limit, ...iterates }).all()).length,
			rows: range => db.iterator({ ...boundsOf(range), ...iterates }),
			async *batches(range) {
				const iterator = db.iterator({ ...boundsOf(range), ...iterates })
				try {
					for (;;) {
						const rows = await iterator.nextv(ROWS_PER_BATCH)
						if (rows.length === 0) return
						yield rows
					}
				} finally {
					await iterator.close()
				}
			},
			close: () => db.close(),
		}
	},
}
