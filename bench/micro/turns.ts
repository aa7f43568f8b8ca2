/**
 * What the long turns of the main thread are made of while records are put: for each beat of another thread that was answered late, what
 * the main thread did meanwhile by the kernel's books (ran, or was ready and had no core) and which collections there were.
 *
 *     npm exec -- node bench/micro/turns.ts [records] [none|lz4] [alone|merging]        Linux only
 *
 * What is neither run nor wait was sleep or a lock. A host that stops this virtual machine shows as any of them, and by itself in ticks of
 * 10 ms of all cores, where it tells.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { open } from '../../src/index.ts'
import { percentile } from '../statistics.ts'
import { stolenMs } from '../stolen-time.ts'
import { Workload } from '../workload.ts'

/** A beat that is answered later than this is looked at. */
const LATE_MS = 3
/** Between two looks at the kernel's books, each of which takes some ten microseconds. */
const LOOK_MS = 0.5
const SHOWN = 12

interface Look {
	readonly atMs: number
	/** Since the thread began: on a core, and ready without one. */
	readonly ranMs: number
	readonly waitedMs: number
	readonly stolenMs: number
}

interface LateTurn {
	readonly delayMs: number
	readonly from: Look
	readonly to: Look
}

interface Collection {
	readonly kind: string
	readonly startMs: number
	readonly ms: number
}

const COLLECTIONS: Readonly<Record<number, string>> = {
	[constants.NODE_PERFORMANCE_GC_MINOR]: 'young',
	[constants.NODE_PERFORMANCE_GC_MAJOR]: 'full',
	[constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'marking',
}

function look(): Look {
	// The main thread has the number of the process.
	const [ran = 0, waited = 0] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1')
		.split(' ')
		.map(Number)
	return { atMs: performance.now(), ranMs: ran / 1e6, waitedMs: waited / 1e6, stolenMs: stolenMs() ?? 0 }
}

class Turns {
	readonly delays: number[] = []
	readonly late: LateTurn[] = []
	readonly collections: Collection[] = []
	readonly #stop = new Int32Array(new SharedArrayBuffer(4))
	readonly #worker: Worker
	readonly #observer: PerformanceObserver
	#last = look()

	constructor() {
		const url = new URL('../heartbeat-thread.ts', import.meta.url)
		this.#worker = new Worker(url, { workerData: { intervalMs: 1, stop: this.#stop } })
		this.#worker.on('message', (message: bigint | number) => {
			if (typeof message === 'bigint') this.#beat(Number(process.hrtime.bigint() - message) / 1e6)
		})
		this.#observer = new PerformanceObserver(list => {
			for (const entry of list.getEntries()) this.collections.push(collectionOf(entry))
		})
		this.#observer.observe({ entryTypes: ['gc'] })
	}

	async begin(): Promise<void> {
		await once(this.#worker, 'message')
		for (const list of [this.delays, this.late, this.collections]) list.length = 0
		this.#last = look()
	}

	async end(): Promise<void> {
		Atomics.store(this.#stop, 0, 1)
		Atomics.notify(this.#stop, 0)
		await once(this.#worker, 'exit')
		this.#observer.disconnect()
	}

	#beat(delayMs: number): void {
		this.delays.push(delayMs)
		// Beats that waited together are of one turn: the first waited for the longest.
		if (performance.now() - this.#last.atMs <= LOOK_MS) return
		const [from, to] = [this.#last, look()]
		if (delayMs > LATE_MS) this.late.push({ delayMs, from, to })
		this.#last = to
	}
}

function collectionOf(entry: PerformanceEntry): Collection {
	const detail = 'detail' in entry ? entry.detail : undefined
	const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? Number(detail.kind) : 0
	return { kind: COLLECTIONS[kind] ?? 'other', startMs: entry.startTime, ms: entry.duration }
}

async function ingest(records: number, codec: 'none' | 'lz4', isMerged: boolean, turns: Turns): Promise<[Look, Look]> {
	const directory = mkdtempSync(join(tmpdir(), 'isledb-turns-'))
	const alone = { maintenance: false, l0SlowdownTables: 1_000_000 }
	const encoding = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
	const db = await open(`file:${directory}`, { ...encoding, codec, ...(isMerged ? {} : alone) })
	try {
		const workload = new Workload(1, 100, 1)
		await turns.begin()
		const from = look()
		for (let i = 0; i < records; i++) await db.put(workload.key(i), workload.value(i))
		await db.flush()
		const to = look()
		// Closing and removing the files is not what is looked at.
		await turns.end()
		return [from, to]
	} finally {
		await db.close()
		rmSync(directory, { recursive: true })
	}
}

function show(records: number, turns: Turns, [from, to]: [Look, Look]): void {
	const ms = (value: number): string => value.toFixed(1).padStart(7)
	const wallMs = to.atMs - from.atMs
	const at = (percent: number): string => percentile(turns.delays, percent).toFixed(2)
	console.log(`${(records / wallMs).toFixed(0)} k puts/s; delay p50 ${at(50)}, p99 ${at(99)}, max ${at(100)} ms`)
	console.log(
		`of ${ms(wallMs)} ms: ran ${ms(to.ranMs - from.ranMs)}, had no core ${ms(to.waitedMs - from.waitedMs)}, taken by the host ${ms(to.stolenMs - from.stolenMs)}`,
	)
	for (const kind of new Set(turns.collections.map(collection => collection.kind))) {
		const spans = turns.collections.filter(collection => collection.kind === kind).map(collection => collection.ms)
		const sum = spans.reduce((total, span) => total + span, 0)
		console.log(`${kind} collections: ${spans.length}, ${ms(sum)} ms, the longest ${ms(Math.max(...spans))}`)
	}
	console.log(`late beats: ${turns.late.length}; the latest:`)
	console.log('  delay |  since |    ran | no core |   host | collections')
	for (const { delayMs, ...turn } of turns.late.sort((a, b) => b.delayMs - a.delayMs).slice(0, SHOWN)) {
		const during = turns.collections
			.filter(({ startMs, ms: spanMs }) => startMs < turn.to.atMs && startMs + spanMs > turn.from.atMs)
			.map(({ kind, ms: spanMs }) => `${kind} ${spanMs.toFixed(1)}`)
		const spans = [delayMs, turn.to.atMs - turn.from.atMs, turn.to.ranMs - turn.from.ranMs]
		const lost = [turn.to.waitedMs - turn.from.waitedMs, turn.to.stolenMs - turn.from.stolenMs]
		console.log([...spans, ...lost].map(ms).join(' |'), '|', during.join(', '))
	}
}

const [records = '5000000', codec = 'none', merging = 'alone'] = process.argv.slice(2)
const turns = new Turns()
const span = await ingest(
	Number(records.replaceAll('_', '')),
	codec === 'lz4' ? 'lz4' : 'none',
	merging === 'merging',
	turns,
)
show(Number(records.replaceAll('_', '')), turns, span)
