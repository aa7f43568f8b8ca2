/**
 * Micro-benchmark of tails: `npm exec -- node bench/micro/tail.ts [changes]`.
 *
 * Commits of 120,000 changes each (16-byte keys in random order, 100-byte values), as they lie in the memory of the
 * process that wrote them: what is measured is decoding, ordering and emitting. Then commits of one change each, and the
 * time from a push to its handler. Fixed seed; compare within a run. `held` is the longest time without a
 * macrotask; CPU is that of all threads, which says more than time while others use the machine.
 */
import { performance } from 'node:perf_hooks'
import type { Observable } from 'rxjs'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { systemHost } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import type { LoadedCommit } from '../../src/manifest/commit.ts'
import { openWriterLog } from '../../src/manifest/database-logs.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import type { Change } from '../../src/tail/change.ts'
import type { Changes } from '../../src/tail/change-iterator.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { RecentCommits } from '../../src/tail/recent-commits.ts'
import { createTails, type Tails } from '../../src/tail/tails.ts'

const CHANGES_PER_COMMIT = 120_000
const ROUNDS = 3
const total = Number(process.argv[2] ?? 960_000)
const random = seededRandom(7)
const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })
const values = Array.from({ length: 1024 }, (_, i) => Buffer.from(`{"id":${i},"n":${random.next()}}`.padEnd(100, '.')))

/** Holds every commit in memory; `push` adds one. */
class BenchDatabase {
	readonly tails: Tails<string, string>
	manifest: Manifest = { ...EMPTY_MANIFEST, writerPosition: { epoch: 1, slot: 0 } }

	readonly #store = new MemoryStore()

	constructor() {
		const store = this.#store
		const recent = new RecentCommits(4 * 1024 ** 3)
		// As if there had been a tail from the start.
		recent.want()
		const pool = createInlinePool(systemHost)
		const manifestOf = (): Manifest => this.manifest
		this.tails = createTails<string, string>({
			log: openWriterLog(store),
			source: {
				get manifest() {
					return manifestOf()
				},
			},
			recent,
			tables: new TableSource({ store, pool }),
			blobs: new BlobReader({ store }),
			pool,
			host: systemHost,
			keys: transcoderOf('utf8', 'keys'),
			values: transcoderOf('utf8', 'values'),
		})
	}

	/** `isStored`: scans can read it too. */
	async push(count: number, codec: CodecName, isStored = false): Promise<void> {
		const loaded = makeCommit(this.manifest, count, codec)
		for (const [id, bytes] of isStored ? loaded.inlineTables : []) await this.#store.put(id, bytes)
		this.manifest = applyCommits(this.manifest, [loaded.commit])
		this.tails.push(loaded)
	}
}

function makeCommit(manifest: Manifest, count: number, codec: CodecName): LoadedCommit {
	const firstSeq = manifest.lastSeq + 1
	const entries = Array.from({ length: count }, (_, i) => ({
		key: Buffer.from(Buffer.from(random.bytes(8)).toString('hex')),
		seq: firstSeq + i,
	})).sort((a, b) => Buffer.compare(a.key, b.key) || b.seq - a.seq)
	const builder = new TableBuilder({ codec, minWriteMs: 1, maxWriteMs: 1 })
	for (const { key, seq } of entries) {
		const value = values[seq % values.length] as Uint8Array
		builder.add(key, 0, key.length, seq, 1, 0, value, 0, value.length)
	}
	const { bytes, meta } = builder.finish()
	const id = `w1-${manifest.writerPosition.slot}`
	return {
		commit: {
			position: manifest.writerPosition,
			firstSeq,
			lastSeq: firstSeq + count - 1,
			committedAtMs: 1_700_000_000_000,
			tables: [{ id, objectKey: id, offset: 0, meta }],
			blobPacks: [],
		},
		inlineTables: new Map([[id, bytes]]),
	}
}

async function drain(changes: Changes<string, string>, count: number): Promise<number> {
	let seen = 0
	let bytes = 0
	for await (const batch of changes) {
		for (const change of batch) bytes += change.key.length
		seen += batch.length
		if (seen >= count) break
	}
	return bytes
}

function drainObservable(observable: Observable<Change<string, string>>, count: number): Promise<void> {
	return new Promise((resolve, reject) => {
		let seen = 0
		const subscription = observable.subscribe({
			next: () => {
				if (++seen < count) return
				subscription.unsubscribe()
				resolve()
			},
			error: reject,
		})
	})
}

/** Best of several rounds, with the longest time that no macrotask ran. */
async function measure(what: string, count: number, run: () => Promise<unknown>): Promise<void> {
	let bestMs = Number.POSITIVE_INFINITY
	let bestCpuNs = Number.POSITIVE_INFINITY
	let heldMs = 0
	for (let round = 0; round < ROUNDS; round++) {
		let isOver = false
		let lastMs = performance.now()
		const beat = (): void => {
			const nowMs = performance.now()
			heldMs = Math.max(heldMs, nowMs - lastMs)
			lastMs = nowMs
			if (!isOver) setImmediate(beat)
		}
		setImmediate(beat)
		const startMs = performance.now()
		const startCpu = process.cpuUsage()
		await run()
		const cpu = process.cpuUsage(startCpu)
		bestMs = Math.min(bestMs, performance.now() - startMs)
		bestCpuNs = Math.min(bestCpuNs, ((cpu.user + cpu.system) * 1000) / count)
		isOver = true
		await new Promise(resolve => setImmediate(resolve))
	}
	const rate = count / bestMs / 1000
	console.log(
		`${what.padEnd(34)} ${rate.toFixed(2)} M/s   ${((bestMs * 1e6) / count).toFixed(0)} ns   CPU ${bestCpuNs.toFixed(0)} ns   held ${heldMs.toFixed(1)} ms`,
	)
}

for (const codec of ['none', 'lz4'] as const) {
	const database = new BenchDatabase()
	for (let made = 0; made < total; made += CHANGES_PER_COMMIT) await database.push(CHANGES_PER_COMMIT, codec, true)
	const count = database.manifest.lastSeq
	const { tails } = database
	await measure(`${codec}: changes()`, count, () => drain(tails.changes({ from: BEGINNING }), count))
	await measure(`${codec}: tail() Observable`, count, () => drainObservable(tails.tail({ from: BEGINNING }), count))
	const prefix = '0'
	let matching = 0
	for await (const batch of tails.changes({ from: BEGINNING })) {
		for (const change of batch) if (change.key.startsWith(prefix)) matching++
		if (batch.at(-1)?.seq === count) break
	}
	await measure(`${codec}: changes() of prefix, 1/16`, matching, () =>
		drain(tails.changes({ from: BEGINNING, prefix }), matching),
	)
	await measure(`${codec}: state, from 'start'`, count, () => drain(tails.changes({ from: 'start' }), count))
}

const small = new BenchDatabase()
for (let i = 0; i < 20_000; i++) await small.push(1, 'none')
await measure('commits of one change', 20_000, () => drain(small.tails.changes({ from: BEGINNING }), 20_000))

const latencies: number[] = []
const iterator = small.tails.changes()[Symbol.asyncIterator]()
for (let i = 0; i < 2000; i++) {
	const next = iterator.next()
	await new Promise(resolve => setImmediate(resolve))
	const startMs = performance.now()
	await small.push(1, 'none')
	await next
	latencies.push(performance.now() - startMs)
}
await iterator.return()
latencies.sort((a, b) => a - b)
console.log(
	`commit, encoding included, to handler: p50 ${((latencies[1000] ?? 0) * 1000).toFixed(0)} µs, p99 ${((latencies[1980] ?? 0) * 1000).toFixed(0)} µs`,
)
