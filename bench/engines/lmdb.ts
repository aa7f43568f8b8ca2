/**
 * lmdb: LMDB in the process, a B+ tree in a file that is mapped into memory.
 *
 * Used as its documentation says is fastest: strings as keys where they are text, values by `string` or `binary` and not
 * MessagePack, puts of one turn of the event loop in one transaction, `noMemInit`. A put resolves when its transaction is
 * committed and visible; `flushed` follows when it is on the disk (`overlappingSync`, the default). Gets and ranges are
 * synchronous; there is no cache but the page cache.
 */
import type { RootDatabase } from 'lmdb'
import type { Datum, EmbeddedEngine, ScanRange } from '../engine.ts'

/** Rows of one batch: as many as a batch of ours has. */
const ROWS_PER_BATCH = 512
/** Of address space, not of disk: the largest database of a benchmark. */
const MAP_BYTES = 64 * 1024 * 1024 * 1024

export const engine: EmbeddedEngine = {
	kind: 'embedded',
	name: 'lmdb',
	packageName: 'lmdb',
	stores: ['file'],
	putsInFlight: 1_000,
	hasBatches: true,
	codecName: codec => (codec === 'none' ? 'none' : 'lz4'),
	settings: codec =>
		`noMemInit, values as string or binary, compression ${codec === 'none' ? 'off' : 'on, from 64 bytes'}, ` +
		'puts of one turn in one transaction, durable by `flushed`',
	async open({ directory, codec, form }) {
		const { open } = await import('lmdb')
		const db: RootDatabase<string | Buffer, string | Buffer> = open(directory, {
			encoding: form === 'bytes' ? 'binary' : 'string',
			compression: codec === 'none' ? false : { threshold: 64 },
			noMemInit: true,
			mapSize: MAP_BYTES,
		})
		const put = (key: Datum, value: Datum): Promise<boolean> => {
			const bytes = bufferOf(value)
			return db.put(bufferOf(key), form === 'text' && typeof bytes !== 'string' ? bytes.toString('latin1') : bytes)
		}
		const range = ({ start, limit, isReverse }: ScanRange) =>
			db.getRange({
				...(start === undefined ? {} : { start }),
				...(limit === undefined ? {} : { limit }),
				...(isReverse ? { reverse: true } : {}),
			})
		return {
			put: async (key, value) => void (await put(key, value)),
			async writeBatch(keys, values, isDurable) {
				// All of one turn are one transaction, so that the last one's promise is that of all.
				let last: Promise<boolean> | undefined
				for (let i = 0; i < keys.length; i++) last = put(keys[i] as Datum, values[i] as Datum)
				await last
				if (isDurable) await db.flushed
			},
			async putDurably(key, value) {
				await put(key, value)
				await db.flushed
			},
			commit: async () => void (await db.flushed),
			get: async key => db.get(key),
			getMany: keys => db.getMany([...keys]),
			getSync: key => db.get(key),
			getView: key => db.getBinaryFast(key),
			firstRows: async (start, limit) => [...range({ start, limit })].length,
			rows: of => range(of),
			*batches(of) {
				let rows: unknown[] = []
				for (const row of range(of)) {
					if (rows.push(row) < ROWS_PER_BATCH) continue
					yield rows
					rows = []
				}
				if (rows.length > 0) yield rows
			},
			close: () => db.close(),
		}
	},
}

/** The same bytes: lmdb takes a `Buffer` as it is, while other arrays would be encoded. */
function bufferOf(datum: Datum): Buffer | string {
	return typeof datum === 'string' ? datum : Buffer.from(datum.buffer, datum.byteOffset, datum.byteLength)
}
