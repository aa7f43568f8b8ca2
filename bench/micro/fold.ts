/**
 * What the turn of the event loop takes that follows an edit of a maintainer: 8 neighbours of a run of most tables become 4. Prints
 * the median of its steps over edits that follow one another, the mean of its CPU time, and what a table takes of memory; run it as
 * `node bench/micro/fold.ts [tables …]`.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { TableSource } from '../../src/cache/table-source.ts'
import { systemHost } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import { checkpointKey, encodeCheckpoint, newestCheckpoint, readCheckpoint } from '../../src/manifest/checkpoint.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { Manifest, SortedRun, TableRef } from '../../src/manifest/manifest.ts'
import { tablesChanged } from '../../src/manifest/tables-changed.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { holdsStateAt } from '../../src/reader/read-view.ts'
import { planSearch } from '../../src/reader/search-plan.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { ManyTables, RUNS } from './many-tables.ts'

const COUNTS = process.argv.slice(2).map(Number)
const EDITS = 60
const [IN, OUT] = [8, 4]

const random = seededRandom(1)
const maker = new ManyTables(random)

/** Neighbours of the oldest run, from `at` on, become half as many. */
function editAt({ runs, maintenancePosition, writerPosition }: Manifest, at: number): EditRecord {
	const run = runs[RUNS - 1] as SortedRun
	const inputs = run.tables.slice(at, at + IN)
	const numberOf = (key: Uint8Array): number => Number(Buffer.from(key.subarray(1)).toString())
	const add = Array.from({ length: OUT }, (_, i) => {
		const [first, last] = [inputs[i * (IN / OUT)] as TableRef, inputs[(i + 1) * (IN / OUT) - 1] as TableRef]
		const table = maker.table(RUNS - 1, numberOf(first.meta.smallestKey), numberOf(last.meta.largestKey))
		return { runId: run.id, table }
	})
	const edits: Edit[] = [{ kind: 'replace', remove: inputs.map(({ id }) => id), add, addPacks: [] }]
	return { position: maintenancePosition, writerPosition, committedAtMs: 1, edits }
}

function memoryInUse(): number {
	setFlagsFromString('--expose-gc')
	const gc: unknown = runInNewContext('gc')
	if (typeof gc !== 'function') throw new Error('no gc')
	// Twice: buffers that the first finds unused are given back behind it.
	Reflect.apply(gc, undefined, [])
	Reflect.apply(gc, undefined, [])
	const { heapUsed, arrayBuffers } = process.memoryUsage()
	return heapUsed + arrayBuffers
}

interface Opened {
	readonly manifest: Manifest
	readonly bytes: number
	readonly cpuMs: number
}

/** A state of `count` tables as a reader has it, its checkpoint in memory. */
async function opened(count: number): Promise<Opened> {
	const store = new MemoryStore()
	const state = maker.state(count)
	await store.put(checkpointKey(state), encodeCheckpoint(state))
	const name = await newestCheckpoint(store)
	if (name === undefined) throw new Error('it was just written')
	const before = memoryInUse()
	const cpu = process.threadCpuUsage()
	const manifest = await readCheckpoint(store, name, { clock: systemHost.clock })
	if (manifest === undefined) throw new Error('it was just written')
	const { user, system } = process.threadCpuUsage(cpu)
	return { manifest, bytes: memoryInUse() - before, cpuMs: (user + system) / 1000 }
}

function median(values: readonly number[]): string {
	const sorted = values.toSorted((a, b) => a - b)
	return (sorted[Math.floor(sorted.length / 2)] as number).toFixed(3)
}

for (const count of COUNTS.length > 0 ? COUNTS : [10_000, 100_000, 1_000_000]) {
	const { manifest, bytes, cpuMs: openingMs } = await opened(count)
	const pool = acquireWorkerPool(systemHost)
	const source = new TableSource({ store: new MemoryStore(), pool, blockCacheBytes: 0, tableCacheBytes: 0 })
	planSearch(manifest, source)
	const times = { fold: [] as number[], changed: [] as number[], plan: [] as number[] }
	let cpuMs = 0
	let state = manifest
	for (let i = 0; i < EDITS; i++) {
		const record = editAt(state, Math.floor(random.next() * (count / 2)))
		const cpu = process.threadCpuUsage()
		const began = performance.now()
		const after = applyEdits(state, [record])
		const folded = performance.now()
		tablesChanged(state, after)
		const compared = performance.now()
		holdsStateAt(after, after.lastSeq)
		planSearch(after, source)
		const planned = performance.now()
		const used = process.threadCpuUsage(cpu)
		cpuMs += (used.user + used.system) / 1000
		times.fold.push(folded - began)
		times.changed.push(compared - folded)
		times.plan.push(planned - compared)
		state = after
	}
	await pool.close()
	const { fold, changed, plan } = times
	console.log(
		`${String(count).padStart(9)} tables: fold ${median(fold)} ms, what changed ${median(changed)} ms, search plan ${median(plan)} ms;`,
		`CPU of a turn ${(cpuMs / EDITS).toFixed(2)} ms, of opening ${openingMs.toFixed(0)} ms; memory ${(bytes / count).toFixed(1)} bytes a table`,
	)
}
