/**
 * SlateDB: the nearest relative, an LSM tree on object storage, in Rust, by its official package for Node.js.
 *
 * Used as its documentation says is fastest: writes do not wait for durability unless asked (`await_durable`), scans read
 * ahead, and everything else is the default. Every call of the package crosses a foreign-function interface: one call a
 * put, one a row.
 */
import { pathToFileURL } from 'node:url'
import type { Db, ObjectStore, ScanOptions } from '@slatedb/uniffi'
import { loadStore } from '../discover.ts'
import type { Datum, EmbeddedEngine, ScanRange, Session } from '../engine.ts'

/** Rows of one batch: as many as a batch of ours has. */
const ROWS_PER_BATCH = 512
const READ_AHEAD_BYTES = 4 * 1024 * 1024
const FETCH_TASKS = 4

type Slate = typeof import('@slatedb/uniffi')

/** A memory store ends with its handle: it is kept for those who open the same directory again. */
const memoryStores = new Map<string, ObjectStore>()

export const engine: EmbeddedEngine = {
	kind: 'embedded',
	name: 'slatedb',
	packageName: '@slatedb/uniffi',
	stores: ['file', 'memory', 'ceph'],
	putsInFlight: 64,
	hasBatches: true,
	codecName: codec => codec,
	settings: codec =>
		`defaults, compression ${codec}, await_durable only where asked, a log record each 100 ms (1 ms where durable puts are waited for), scans read ${READ_AHEAD_BYTES >> 20} MiB ahead ` +
		`by ${FETCH_TASKS} tasks`,
	async open({ directory, store, codec, form, cacheBytes, isLatencyBound }) {
		const slate = await import('@slatedb/uniffi')
		const objects = await storeOf(slate.ObjectStore, store, directory)
		const settings = slate.Settings.default()
		if (codec === 'lz4') settings.set('compression_codec', '"Lz4"')
		if (isLatencyBound) settings.set('flush_interval', '"1ms"')
		const builder = new slate.DbBuilder('db', objects)
		builder.with_settings(settings)
		if (cacheBytes === 0) builder.with_db_cache_disabled()
		const db: Db = await builder.build()
		builder.dispose()
		return sessionOf(slate, db, form)
	},
}

function sessionOf(slate: Slate, db: Db, form: 'text' | 'bytes'): Session {
	const text = (bytes: Uint8Array | undefined): unknown =>
		bytes === undefined || form === 'bytes' ? bytes : latin1(bytes)
	const put = async (key: Datum, value: Datum, isDurable: boolean): Promise<void> => {
		await db.put_with_options(bytesOf(key), bytesOf(value), { ttl: slate.Ttl.Default() }, { await_durable: isDurable })
	}
	const get = async (key: string): Promise<unknown> => text(await db.get(Buffer.from(key)))
	const rows = (range: ScanRange) => rowsOf(slate, db, range, text)
	return {
		put: (key, value) => put(key, value, false),
		async writeBatch(keys, values, isDurable) {
			const batch = new slate.WriteBatch()
			for (let i = 0; i < keys.length; i++) batch.put(bytesOf(keys[i] as Datum), bytesOf(values[i] as Datum))
			await db.write_with_options(batch, { await_durable: isDurable })
			batch.dispose()
		},
		putDurably: (key, value) => put(key, value, true),
		commit: () => db.flush(),
		get,
		getMany: keys => Promise.all(keys.map(get)),
		async firstRows(start, limit) {
			let count = 0
			for await (const _ of rows({ start, limit })) count++
			return count
		},
		rows,
		async *batches(of) {
			let batch: unknown[] = []
			for await (const row of rows(of)) {
				if (batch.push(row) < ROWS_PER_BATCH) continue
				yield batch
				batch = []
			}
			if (batch.length > 0) yield batch
		},
		async close() {
			await db.shutdown()
			db.dispose()
		},
	}
}

const scanOptions = (slate: Slate, isReverse: boolean | undefined): ScanOptions => ({
	durability_filter: slate.DurabilityLevel.Memory,
	dirty: false,
	read_ahead_bytes: READ_AHEAD_BYTES,
	cache_blocks: true,
	max_fetch_tasks: FETCH_TASKS,
	order: isReverse ? slate.IterationOrder.Descending : slate.IterationOrder.Ascending,
})

async function* rowsOf(
	slate: Slate,
	db: Db,
	{ start, limit = Number.POSITIVE_INFINITY, isReverse }: ScanRange,
	text: (bytes: Uint8Array) => unknown,
): AsyncIterable<unknown> {
	const range = {
		start: start === undefined ? undefined : Buffer.from(start),
		start_inclusive: start !== undefined,
		end: undefined,
		end_inclusive: false,
	}
	const iterator = await db.scan_with_options(range, scanOptions(slate, isReverse))
	try {
		for (let count = 0; count < limit; count++) {
			const row = await iterator.next()
			if (row === undefined) return
			yield [text(row.key), text(row.value)]
		}
	} finally {
		iterator.dispose()
	}
}

async function storeOf(stores: typeof ObjectStore, store: string, directory: string): Promise<ObjectStore> {
	if (store === 'file') return stores.resolve(`${pathToFileURL(directory).href}/`)
	if (store === 'memory') {
		const known = memoryStores.get(directory) ?? stores.resolve('memory:///')
		memoryStores.set(directory, known)
		return known
	}
	// Of the rest only buckets by the S3 protocol: what the URL says beyond the bucket, SlateDB takes from the environment.
	const { host, pathname, searchParams } = new URL((await loadStore(store)).url(directory))
	process.env['AWS_ENDPOINT'] = searchParams.get('endpoint') ?? ''
	process.env['AWS_REGION'] = searchParams.get('region') ?? ''
	process.env['AWS_ALLOW_HTTP'] = 'true'
	return stores.resolve(`s3://${host}${pathname}`)
}

function bytesOf(datum: Datum): Uint8Array {
	return typeof datum === 'string' ? Buffer.from(datum) : datum
}

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
