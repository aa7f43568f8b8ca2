/** Tables and memtables made of given versions, a core that reads them, and a naive model that says what it should see. */
import type { Encoding } from '../../src/bytes/encoding.ts'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource, type TableSourceOptions } from '../../src/cache/table-source.ts'
import { systemHost } from '../../src/host/host.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, SortedRun, TableRef } from '../../src/manifest/manifest.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { ReadCore, type ViewProvider } from '../../src/reader/read-core.ts'
import { ReadMethods } from '../../src/reader/read-methods.ts'
import type { ReadView } from '../../src/reader/read-view.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { type EntryKind, isExpired, KIND_TOMBSTONE, KIND_VALUE, toSeq } from '../../src/sst/entry.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import type { TableOptions } from '../../src/sst/table-options.ts'

export interface Version {
	readonly key: Uint8Array
	readonly seq: number
	readonly kind: EntryKind
	readonly expiresAtMs: number
	readonly value: Uint8Array
}

export const NOW_MS = 1_000_000

export function put(key: string, seq: number, value: string = `${key}@${seq}`): Version {
	return { key: Buffer.from(key), seq, kind: KIND_VALUE, expiresAtMs: 0, value: Buffer.from(value) }
}

export function inOrder(versions: readonly Version[]): Version[] {
	return [...versions].sort((a, b) => Buffer.compare(a.key, b.key) || b.seq - a.seq)
}

export interface TableFixture {
	readonly ref: TableRef
	readonly bytes: Uint8Array
}

/** Bytes that stand before the table in its object, as in a log record. */
const LEADING_BYTES = 100

export function tableOf(id: string, versions: readonly Version[], options: Partial<TableOptions> = {}): TableFixture {
	const builder = new TableBuilder({ codec: 'lz4', minWriteMs: 0, maxWriteMs: 0, ...options })
	for (const { key, seq, kind, expiresAtMs, value } of inOrder(versions)) {
		builder.add(key, 0, key.length, seq, kind, expiresAtMs, value, 0, value.length)
	}
	const { bytes, meta } = builder.finish()
	return { ref: { id, objectKey: `sst/${id}`, offset: LEADING_BYTES, meta }, bytes }
}

export async function storeTable(store: ObjectStore, table: TableFixture): Promise<TableRef> {
	await store.put(table.ref.objectKey, [new Uint8Array(LEADING_BYTES), table.bytes])
	return table.ref
}

export function manifestOf(parts: Partial<Manifest>): Manifest {
	const all = [...(parts.l0 ?? []), ...(parts.runs ?? []).flatMap(run => run.tables)]
	return {
		...EMPTY_MANIFEST,
		writerPosition: { epoch: 1, slot: 0 },
		lastSeq: all.reduce((newest, ref) => Math.max(newest, ref.meta.maxSeq), 0),
		...parts,
	}
}

export function runOf(id: string, tables: readonly TableRef[]): SortedRun {
	return { id, tables }
}

const arenas = new ArenaPool()

/** `versions` have contiguous sequence numbers, in order. */
export function memtableOf(versions: readonly Version[]): Memtable {
	const memtable = new Memtable({ baseSeq: toSeq(versions[0]?.seq ?? 1), pool: arenas })
	for (const { key, value, kind, expiresAtMs } of versions) memtable.put(key, value, kind, expiresAtMs)
	return memtable
}

export class CoreReads<Key, Value> extends ReadMethods<Key, Value> {
	readonly core: ReadCore<Key, Value>
	readonly views: ViewProvider
	readonly source: TableSource

	constructor(core: ReadCore<Key, Value>, views: ViewProvider, source: TableSource) {
		super()
		this.core = core
		this.views = views
		this.source = source
	}
}

export interface CoreOptions extends Partial<Omit<TableSourceOptions, 'store' | 'pool'>> {
	readonly keyEncoding?: Encoding
	readonly valueEncoding?: Encoding
	readonly source?: TableSource
	readonly renew?: ViewProvider['renew']
	readonly nowMs?: number
}

/** Reads over a view that does not change. */
export function readsOf<Key = string, Value = string>(
	store: ObjectStore,
	view: ReadView | (() => ReadView),
	options: CoreOptions = {},
): CoreReads<Key, Value> {
	const pool = createInlinePool(systemHost)
	const source = options.source ?? new TableSource({ store, pool, ...options })
	const core = new ReadCore<Key, Value>({
		source,
		blobs: new BlobReader({ store }),
		pool,
		host: systemHost,
		keys: transcoderOf(options.keyEncoding ?? 'utf8', 'keyEncoding'),
		values: transcoderOf(options.valueEncoding ?? 'utf8', 'valueEncoding'),
	})
	const views: ViewProvider = {
		view: typeof view === 'function' ? view : () => view,
		nowMs: () => options.nowMs ?? NOW_MS,
		renew: options.renew ?? ((_gone, cause) => Promise.reject(cause)),
	}
	return new CoreReads(core, views, source)
}

/** What a reader must see of `versions` at `maxSeq`, in order of keys. */
export function modelOf(
	versions: readonly Version[],
	maxSeq: number,
	nowMs: number = NOW_MS,
): readonly (readonly [key: Uint8Array, value: Uint8Array])[] {
	const newest = new Map<string, Version>()
	for (const version of versions) {
		const name = Buffer.from(version.key).toString('hex')
		const other = newest.get(name)
		if (version.seq <= maxSeq && (other === undefined || other.seq < version.seq)) newest.set(name, version)
	}
	return [...newest.values()]
		.filter(({ kind, expiresAtMs }) => kind !== KIND_TOMBSTONE && !isExpired(expiresAtMs, nowMs))
		.sort((a, b) => Buffer.compare(a.key, b.key))
		.map(({ key, value }) => [key, value] as const)
}

export async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
	const all: Row[] = []
	for await (const row of rows) all.push(row)
	return all
}
