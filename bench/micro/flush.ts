/**
 * Micro-benchmark of what happens to a frozen memtable: `npm exec -- node bench/micro/flush.ts [entries]`.
 *
 * The job on this thread (sort, encode by codec; in WebAssembly and in TypeScript), then the pool: round trips, main-thread time per job, throughput by
 * number of threads while the main thread writes, and the settings of Piscina beside each other. A fixed seed; best of
 * several rounds; compare within a run.
 */
import { availableParallelism } from 'node:os'
import { performance } from 'node:perf_hooks'
import { Piscina } from 'piscina'
import { systemHost } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { toSeq } from '../../src/sst/entry.ts'
import { viewSegments } from '../../src/sst/entry-arena.ts'
import { sortEntries } from '../../src/sst/entry-sort.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { encodeTableJob } from '../../workers/encode-table.ts'

const ROUNDS = 6
const entryCount = Number(process.argv[2] ?? 120_000)
const random = seededRandom(7)
const below = (limit: number): number => Math.floor(random.next() * limit)
const values = Array.from({ length: 1_024 }, () => {
	const user = `"name":"user ${below(10_000)}","email":"u${below(100_000)}@example.com"`
	return Buffer.from(
		`{"id":${below(1e6)},${user},"active":${below(2) === 1},"score":${below(1000)}}`.padEnd(100).slice(0, 100),
	)
})
const arena = new ArenaPool()
const shapes: Readonly<Record<string, () => Uint8Array>> = {
	'16 random bytes': () => random.bytes(16),
	'16 hex digits': () => Buffer.from(Buffer.from(random.bytes(8)).toString('hex')),
	'16 decimal digits': () => Buffer.from(String(below(1e12)).padStart(16, '0')),
	'17 random bytes': () => random.bytes(17),
	'path of 40 bytes': () => Buffer.from(`tenant/${below(97)}/users/${below(1e9)}/profile`.padEnd(40, '/')),
}

function filled(key: (i: number) => Uint8Array | string, count = entryCount): Memtable {
	const memtable = new Memtable({ baseSeq: toSeq(1), pool: arena })
	for (let i = 0; i < count; i++) memtable.put(key(i), values[i % values.length] as Uint8Array, 1, 0)
	memtable.freeze()
	return memtable
}

const options = (codec: CodecName): { codec: CodecName; minWriteMs: number; maxWriteMs: number } => ({
	codec,
	minWriteMs: 1,
	maxWriteMs: 1,
})

function show(what: string, figures: Readonly<Record<string, number>>): void {
	const shown = Object.entries(figures).map(([name, value]) => `${name} ${+value.toPrecision(3)}`)
	console.log(`${what.padEnd(30)} ${shown.join('   ')}`)
}

/** Milliseconds of processor time of this thread: other work on the machine disturbs them less than it does the clock. */
function cpuMs(): number {
	const { user, system } = process.threadCpuUsage()
	return (user + system) / 1e3
}

function best(run: () => void): number {
	let bestMs = Number.POSITIVE_INFINITY
	for (let round = 0; round < ROUNDS; round++) {
		const startMs = cpuMs()
		run()
		bestMs = Math.min(bestMs, cpuMs() - startMs)
	}
	return bestMs
}

function encodeFigures(): void {
	for (const [shape, key] of Object.entries(shapes)) {
		const memtable = filled(key)
		const { input } = memtable.makeEncodeJob(options('none'))
		const views = viewSegments(input.segments)
		const sortNs = (best(() => void sortEntries(input.segments, views, entryCount)) * 1e6) / entryCount
		const figures: Record<string, number> = { 'sort ns': sortNs }
		for (const codec of ['none', 'lz4', 'deflate', 'zstd'] as const) {
			if (codec !== 'none' && shape !== '16 random bytes') continue
			let rawBytes = 0
			for (const withoutKernel of [false, true]) {
				const ms = best(() => {
					rawBytes = encodeTableJob({ ...input, table: options(codec) }, withoutKernel).output.meta.rawBytes
				})
				figures[`${codec}${withoutKernel ? ' TypeScript' : ''} MB/s`] = rawBytes / 1e3 / ms
			}
		}
		show(shape, figures)
		memtable.recycle()
	}
}

async function poolFigures(pool: JobPool): Promise<void> {
	const probe = (): Promise<unknown> => pool.run('probe', () => ({ input: { word: 'x' }, transfer: [] }))
	for (let i = 0; i < 500; i++) await probe()
	const count = 2_000
	let startMs = performance.now()
	for (let i = 0; i < count; i++) await probe()
	const sequentialMicros = ((performance.now() - startMs) * 1e3) / count
	startMs = performance.now()
	const before = performance.eventLoopUtilization()
	for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, probe))
	const pipelinedMicros = ((performance.now() - startMs) * 1e3) / count
	const activeMicros = (performance.eventLoopUtilization(before).active * 1e3) / count
	show('round trip', {
		'one by one µs': sequentialMicros,
		'50 in flight µs': pipelinedMicros,
		'main thread µs': activeMicros,
	})

	const memtables = Array.from({ length: 4 }, () => filled(() => random.bytes(16)))
	const start = performance.eventLoopUtilization()
	for (const memtable of memtables) {
		const { buffers } = await pool.run('encode-table', () => memtable.makeEncodeJob(options('none')))
		for (const buffer of buffers) arena.give(buffer)
	}
	show('encode job of 16 MiB', { 'main thread ms': performance.eventLoopUtilization(start).active / memtables.length })
	for (const memtable of memtables) memtable.recycle()
}

/** Memtables filled here and encoded there, two in flight: what ingest comes to. */
async function throughput(maxThreads: number, codec: CodecName): Promise<number> {
	// A URL of its own gives each number of threads a pool of its own.
	const workerUrl = new URL('../../workers/main.ts', import.meta.url)
	workerUrl.hash = String(maxThreads)
	const pool = acquireWorkerPool(systemHost, { maxThreads, workerUrl })
	await pool.run('probe', () => ({ input: { word: 'x' }, transfer: [] }))
	const keys = Array.from({ length: entryCount }, () => random.bytes(16))
	const flushes = 12
	const inFlight: Promise<void>[] = []
	const startMs = performance.now()
	for (let i = 0; i < flushes; i++) {
		const memtable = new Memtable({ baseSeq: toSeq(1), pool: arena })
		for (let k = 0; k < entryCount; k++) {
			memtable.put(keys[k] as Uint8Array, values[k % values.length] as Uint8Array, 1, 0)
			if (k % 8_192 === 0) await systemHost.clock.yieldToIo()
		}
		memtable.freeze()
		inFlight.push(
			pool
				.run('encode-table', () => memtable.makeEncodeJob(options(codec)))
				.then(({ buffers }) => {
					for (const buffer of buffers) arena.give(buffer)
					memtable.recycle()
				}),
		)
		if (inFlight.length >= 3) await inFlight.shift()
	}
	await Promise.all(inFlight)
	const seconds = (performance.now() - startMs) / 1e3
	await pool.close()
	return (flushes * entryCount) / seconds / 1e6
}

async function piscinaFigures(): Promise<void> {
	const filename = new URL('../../workers/main.ts', import.meta.url).href
	for (const atomics of ['sync', 'async', 'disabled'] as const) {
		for (const concurrentTasksPerWorker of [1, 8]) {
			const piscina = new Piscina({
				filename,
				minThreads: 0,
				maxThreads: 1,
				idleTimeout: 10_000,
				recordTiming: false,
				execArgv: [],
				atomics,
				concurrentTasksPerWorker,
			})
			const probe = (): Promise<unknown> => piscina.run({ name: 'probe', input: { word: 'x' } })
			for (let i = 0; i < 500; i++) await probe()
			const count = 1_500
			let startMs = performance.now()
			for (let i = 0; i < count; i++) await probe()
			const sequential = ((performance.now() - startMs) * 1e3) / count
			const before = performance.eventLoopUtilization()
			startMs = performance.now()
			for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, probe))
			const pipelined = ((performance.now() - startMs) * 1e3) / count
			const main = (performance.eventLoopUtilization(before).active * 1e3) / count
			show(`piscina ${atomics}, ${concurrentTasksPerWorker} a worker`, {
				'one by one µs': sequential,
				'50 in flight µs': pipelined,
				'main thread µs': main,
			})
			await piscina.destroy()
		}
	}
}

console.log(`${entryCount} entries of 100-byte values, ${availableParallelism()} processors`)
encodeFigures()
const pool = acquireWorkerPool(systemHost)
await poolFigures(pool)
await pool.close()
for (const codec of ['none', 'lz4'] as const) {
	show(`ingest through the pool, ${codec}`, {
		'1 thread M/s': await throughput(1, codec),
		'2 threads M/s': await throughput(2, codec),
		'1 again M/s': await throughput(1, codec),
	})
}
await piscinaFigures()
