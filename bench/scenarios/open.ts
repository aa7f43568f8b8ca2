/**
 * What opening costs, by the length of the history and by the number of tables: milliseconds, requests, requests in sequence,
 * memory that stays.
 *
 * The histories are real: a writer commits one record at a time, and for every second case maintenance then runs once, and 200 more
 * commits follow. Of the many tables there is only the checkpoint that names them. Everything is built in memory; for another
 * store it is copied there.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemHost } from '../../src/host/host.ts'
import {
	createInlinePool,
	type ObjectStore,
	openCompactor,
	openReader,
	openStore,
	openWriter,
} from '../../src/index.ts'
import { checkpointKey, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { DepthStore } from '../depth-store.ts'
import { loadStore } from '../discover.ts'
import type { Case, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { KEY_SPACE, simulatedTable } from '../simulated-table.ts'
import { median } from '../statistics.ts'
import { Workload } from '../workload.ts'

const TABLE = 'opening'
const HISTORIES: readonly number[] = [10, 1_000, 100_000]
/** As many as may follow a checkpoint before the next one, about: 224 are the most. */
const COMMITS_AFTER_CHECKPOINT = 200
const MANY_TABLES = 100_000
const RUNS = 4
const TABLE_BYTES = 33_554_432
const OPENINGS = 5
const COLLECTIONS = 3
const COPIES_AT_ONCE = 64
const MIB = 1_048_576
/** Behind a checkpoint windows of 248 slots of one log and 120 of the other, 17 behind the end of each, 2 LISTs and the checkpoint. */
const CHECKPOINTED_REQUESTS_MAX = 405

function cases({ records }: Plan): Case[] {
	const histories = HISTORIES.filter(commits => commits <= records).flatMap(commits =>
		[false, true].map(isMaintained => ({
			label: `${commits} commits${isMaintained ? `, maintained, then ${COMMITS_AFTER_CHECKPOINT}` : ''}`,
			settings: { commits, isMaintained, tables: 0 },
		})),
	)
	const tables = Math.min(MANY_TABLES, records)
	const simulated = {
		label: `${tables} tables, simulated`,
		settings: { commits: 1, isMaintained: false, tables },
	}
	return [...histories, simulated].map(item => ({ ...item, engine: 'isledb', table: TABLE }))
}

async function measure({ settings, plan, directory, progress }: Task): Promise<Figures> {
	const built = new MemoryStore()
	const workload = new Workload(plan.seed, plan.valueBytes, 1)
	const commits = Number(settings['commits'])
	await commit(built, workload, 0, commits, done => progress(done * 0.6))
	if (settings['isMaintained'] === true) {
		const compactor = await openCompactor(built, { background: false, pool: createInlinePool(systemHost) })
		await compactor.runOnce()
		await compactor.close()
		await commit(built, workload, commits, COMMITS_AFTER_CHECKPOINT, () => undefined)
	}
	const tables = Number(settings['tables'])
	if (tables > 0) await simulateTables(built, tables)
	progress(0.7)
	const store = new DepthStore(plan.store === 'memory' ? built : await copied(built, plan, directory))
	progress(0.9)
	const reader = await measureOpenings(store, () => openReader(store, { refreshIntervalMs: 0 }))
	const writer = await measureOpenings(store, () => openWriter(store, { l0SlowdownTables: 1_000_000_000 - 2 }))
	await store.close()
	const named = (role: string, figures: Figures): [string, number][] =>
		Object.entries(figures).map(([name, value]) => [`${role}/${name}`, value])
	return Object.fromEntries([...named('reader', reader), ...named('writer', writer)])
}

async function commit(
	store: ObjectStore,
	workload: Workload,
	from: number,
	count: number,
	progress: (done: number) => void,
): Promise<void> {
	const writer = await openWriter(store, {
		keyEncoding: 'buffer',
		valueEncoding: 'buffer',
		flushIntervalMs: 0,
		pool: createInlinePool(systemHost),
		maxCommitsPerSecond: 100_000,
		l0SlowdownTables: 1_000_000_000 - 2,
	})
	for (let i = from; i < from + count; i++) {
		await writer.put(workload.key(i), workload.value(i), { durable: true })
		if (i % 1_000 === 0) progress((i - from) / count)
	}
	await writer.close()
}

/** In place of what is there: a state of so many tables, of which there is only the checkpoint. */
async function simulateTables(store: ObjectStore, count: number): Promise<void> {
	const manifest = await loadManifest(new DatabaseLogs(store), undefined)
	const perRun = Math.floor(count / RUNS)
	const width = KEY_SPACE / perRun
	const runs = Array.from({ length: RUNS }, (_, run) => ({
		id: `run${run}`,
		tables: Array.from({ length: perRun }, (__, i) => {
			const table = simulatedTable(`m1-${run * perRun + i}`, {
				from: Math.floor(i * width),
				to: Math.floor((i + 1) * width) - 1,
				count: 300_000,
				bytes: TABLE_BYTES,
				minSeq: (RUNS - run) * 1_000_000,
				maxSeq: (RUNS - run) * 1_000_000 + 300_000,
				minMs: manifest.lastCommitMs,
				maxMs: manifest.lastCommitMs,
			})
			const { meta } = table
			return { ...table, objectKey: `sst/${table.id}`, meta: { ...meta, metaOffset: TABLE_BYTES - 400_000 } }
		}),
	}))
	const large: Manifest = { ...manifest, lastSeq: 10_000_000, l0: [], runs }
	await store.put(checkpointKey(large), encodeCheckpoint(large))
}

async function copied(from: MemoryStore, plan: Plan, directory: string): Promise<ObjectStore> {
	const to = await openStore((await loadStore(plan.store)).url(directory))
	let startAfter = ''
	for (let isTruncated = true; isTruncated; ) {
		const page = await from.list({ startAfter })
		const keys = page.objects.map(object => object.key)
		await Promise.all(
			Array.from({ length: COPIES_AT_ONCE }, async () => {
				for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
					const bytes = await from.get(key)
					if (bytes !== undefined) await to.put(key, bytes)
				}
			}),
		)
		startAfter = page.objects.at(-1)?.key ?? ''
		isTruncated = page.isTruncated
	}
	return to
}

interface Opened {
	requests(): {
		readonly total: { readonly requests: number; readonly receivedBytes: number; readonly estimatedUsd: number }
	}
	close(): Promise<void>
}

async function measureOpenings(store: DepthStore, openOne: () => Promise<Opened>): Promise<Figures> {
	const [ms, cpuMs, heap]: [number[], number[], number[]] = [[], [], []]
	let [requests, depth, bytes, usd] = [0, 0, 0, 0]
	// A function of its own, so that nothing of one opening is still referred to when the next one's memory is counted.
	const measureOne = async (): Promise<void> => {
		const heapBefore = await usedAfterCollection()
		store.begin()
		const cpu = process.cpuUsage()
		const started = performance.now()
		const opened = await openOne()
		ms.push(performance.now() - started)
		const { user, system } = process.cpuUsage(cpu)
		cpuMs.push((user + system) / 1000)
		const { total } = opened.requests()
		requests = Math.max(requests, total.requests)
		depth = Math.max(depth, store.depth)
		bytes = Math.max(bytes, total.receivedBytes)
		usd = Math.max(usd, total.estimatedUsd)
		heap.push((await usedAfterCollection()) - heapBefore)
		await opened.close()
	}
	for (let i = 0; i < OPENINGS; i++) await measureOne()
	return { ms: median(ms), cpuMs: median(cpuMs), requests, depth, bytes, heap: median(heap), usdPerMillion: usd * 1e6 }
}

setFlagsFromString('--expose-gc')
const collectGarbage: unknown = runInNewContext('gc')

/** Heap and ArrayBuffers. Memory of buffers is given back by another thread, and what was awaited is let go in the next turn. */
async function usedAfterCollection(): Promise<number> {
	for (let round = 0; round < COLLECTIONS; round++) {
		if (typeof collectGarbage === 'function') collectGarbage()
		await systemHost.clock.yieldToIo()
	}
	const { heapUsed, arrayBuffers } = process.memoryUsage()
	return heapUsed + arrayBuffers
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return cases(plan)
		.filter(({ settings }) => settings['isMaintained'] === true)
		.map(({ label }) => ({
			name: `${label}: requests of a reader`,
			isAtLeast: false,
			required: CHECKPOINTED_REQUESTS_MAX,
			actual: of('isledb', label)?.['reader/requests'],
			digits: 0,
		}))
}

export const scenario: Scenario = {
	name: 'open',
	summary: 'opening a reader and a writer, by the length of the history and the number of tables',
	records: 100_000,
	repeat: 1,
	engines: ['isledb'],
	cases,
	measure,
	columns: {
		[TABLE]: [
			{ title: 'ms', figure: 'ms', digits: 1 },
			{ title: 'CPU ms', figure: 'cpuMs', digits: 1 },
			{ title: 'requests', figure: 'requests', digits: 0 },
			{ title: 'in sequence', figure: 'depth', digits: 0 },
			{ title: 'MB read', figure: 'bytes', digits: 2, unit: 1e6 },
			{ title: 'MiB kept', figure: 'heap', digits: 1, unit: MIB },
			{ title: 'US$/million', figure: 'usdPerMillion', digits: 0 },
		],
	},
	parts: { [TABLE]: ['reader', 'writer'] },
	targets,
	notes: [
		`Medians of ${OPENINGS}. Kept: heap and ArrayBuffers after a collection, more than before opening. US$ as on S3.`,
		'Over a network add a round trip for each request in sequence. --records bounds the histories and the tables.',
	],
}
