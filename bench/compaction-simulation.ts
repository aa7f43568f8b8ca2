/**
 * The policies of maintenance at sizes that no test machine holds: tables are metadata only, choices are carried out at once,
 * and what they would read, write and request is counted.
 *
 * Keys of a workload are either drawn evenly from a fixed number of keys (every table overlaps every other one; merging k parts
 * of the keys leaves 1 − Π(1 − part) of them) or ascend (nothing overlaps). Time passes with what is written. Not in it: work
 * that runs beside writing (runs are a few more while a large merge takes its hours), and garbage in its grace period.
 */
import type { Choice, MergeChoice } from '../src/maintenance/choice.ts'
import type { MaintenanceSettings } from '../src/maintenance/options.ts'
import { choose } from '../src/maintenance/policy.ts'
import { EMPTY_MANIFEST } from '../src/manifest/fold.ts'
import type { Manifest, SortedRun, TableRef } from '../src/manifest/manifest.ts'
import { KEY_SPACE, simulatedTable } from './simulated-table.ts'

export interface SimulatedWorkload {
	/** What is written in all, as stored. */
	readonly ingestBytes: number
	/** Of one commit. */
	readonly flushBytes: number
	readonly entryBytes: number
	/** Distinct keys for evenly drawn ones; 0: keys ascend. */
	readonly keyCount: number
	/** True: all keys are there at the beginning, in one run, and what is written replaces them. */
	readonly isLoaded: boolean
	/** Milliseconds of the workload's clock for each commit. */
	readonly flushEveryMs: number
}

export interface SimulatedFigures {
	/** Bytes written, flushes included, for each byte ingested. */
	readonly writeAmplification: number
	/** Bytes of live tables for each byte of the newest versions; the most ever seen, after the first tenth. */
	readonly spaceAmplification: number
	readonly runsMax: number
	readonly runsMean: number
	readonly tablesMax: number
	/** The largest merge. */
	readonly mergeBytesMax: number
	/** Of maintenance: PUTs of tables and edits, GETs of ranges, for each gigabyte ingested. */
	readonly putsPerGb: number
	readonly getsPerGb: number
	/** Of maintenance, for each commit. */
	readonly putsPerCommit: number
	readonly merges: number
}

const START_MS = 1_700_000_000_000
/** A table needs no rewrite for its size from this part of the target on, as in the executor. */
const SMALL_PARTS = 4
const GB = 1e9

export class CompactionSimulation {
	readonly #settings: MaintenanceSettings
	readonly #workload: SimulatedWorkload
	readonly #targetBytes: number
	#manifest: Manifest = EMPTY_MANIFEST
	#nowMs = START_MS
	#seq = 0
	#minted = 0
	#written = 0
	#puts = 0
	#gets = 0
	#merges = 0
	#mergeBytesMax = 0

	constructor(settings: MaintenanceSettings, workload: SimulatedWorkload) {
		this.#settings = settings
		this.#workload = workload
		this.#targetBytes = settings.compaction?.targetTableBytes ?? Infinity
		if (workload.isLoaded) {
			const tables = this.#evenTables(workload.keyCount, this.#seq, this.#seq + workload.keyCount, START_MS, START_MS)
			this.#seq += workload.keyCount
			this.#manifest = { ...EMPTY_MANIFEST, runs: [{ id: 'loaded', tables }] }
		}
	}

	run(progress: (done: number) => void = () => undefined): SimulatedFigures {
		const { ingestBytes, flushBytes, flushEveryMs } = this.#workload
		const commits = Math.ceil(ingestBytes / flushBytes)
		let [runsMax, runsSum, tablesMax, spaceMax] = [0, 0, 0, 1]
		for (let i = 0; i < commits; i++) {
			this.#nowMs += flushEveryMs
			this.#flush()
			this.#rest()
			const { l0, runs } = this.#manifest
			runsMax = Math.max(runsMax, runs.length)
			runsSum += runs.length
			if (i % 64 === 0) {
				tablesMax = Math.max(tablesMax, l0.length + runs.reduce((sum, run) => sum + run.tables.length, 0))
				if (i > commits / 10) spaceMax = Math.max(spaceMax, this.#spaceAmplification())
				progress(i / commits)
			}
		}
		return {
			writeAmplification: this.#written / (commits * flushBytes),
			spaceAmplification: spaceMax,
			runsMax,
			runsMean: runsSum / commits,
			tablesMax,
			mergeBytesMax: this.#mergeBytesMax,
			putsPerGb: this.#puts / (ingestBytes / GB),
			getsPerGb: this.#gets / (ingestBytes / GB),
			putsPerCommit: this.#puts / commits,
			merges: this.#merges,
		}
	}

	#flush(): void {
		const { flushBytes, entryBytes, keyCount } = this.#workload
		const count = Math.max(1, Math.floor(flushBytes / entryBytes))
		const [minSeq, maxSeq] = [this.#seq + 1, this.#seq + count]
		this.#seq = maxSeq
		this.#written += flushBytes
		const [from, to] = keyCount === 0 ? [minSeq, maxSeq] : [0, KEY_SPACE - 1]
		const table = simulatedTable(`t${this.#minted++}`, {
			from,
			to,
			count,
			bytes: flushBytes,
			minSeq,
			maxSeq,
			minMs: this.#nowMs,
			maxMs: this.#nowMs,
		})
		this.#manifest = { ...this.#manifest, l0: [...this.#manifest.l0, table] }
	}

	#rest(): void {
		for (;;) {
			const choice = choose(this.#manifest, this.#nowMs, this.#settings)
			if (choice === undefined) return
			this.#apply(choice)
		}
	}

	#apply(choice: Choice): void {
		this.#puts++
		switch (choice.kind) {
			case 'merge':
				this.#merges++
				this.#mergeBytesMax = Math.max(this.#mergeBytesMax, choice.bytes)
				this.#replace(choice.inputs, this.#merged(choice), choice.runId)
				break
			case 'move':
				this.#replace(choice.tables, choice.tables, choice.runId)
				break
			case 'drop':
				this.#replace(choice.tables, [], undefined)
				break
			default:
				throw new Error(`a simulation without packs and failures chose ${choice.kind}`)
		}
	}

	#merged({ inputs }: MergeChoice): readonly TableRef[] {
		const seqs = [Math.min(...inputs.map(t => t.meta.minSeq)), Math.max(...inputs.map(t => t.meta.maxSeq))] as const
		if (this.#workload.keyCount === 0) return this.#joined(inputs)
		const { keyCount } = this.#workload
		let missing = 1
		for (const part of this.#partsOf(inputs)) missing *= 1 - part
		const times = [
			Math.min(...inputs.map(t => t.meta.minWriteMs)),
			Math.max(...inputs.map(t => t.meta.maxWriteMs)),
		] as const
		const tables = this.#evenTables(Math.round(keyCount * (1 - missing)), seqs[0], seqs[1], times[0], times[1])
		for (const { meta } of tables) this.#written += meta.storedBytes
		this.#puts += tables.length
		// One to open each input, then a range of each run and each table of L0 for each output.
		this.#gets += inputs.length + tables.length * this.#partsOf(inputs).length
		return tables
	}

	/** Parts of all keys that each run, and each table of L0, among `inputs` has. */
	#partsOf(inputs: readonly TableRef[]): readonly number[] {
		const ids = new Set(inputs.map(table => table.id))
		const isIn = (table: TableRef): boolean => ids.has(table.id)
		const sources = [
			...this.#manifest.l0.filter(isIn).map(table => [table]),
			...this.#manifest.runs.map(run => run.tables.filter(isIn)),
		]
		return sources
			.filter(tables => tables.length > 0)
			.map(tables =>
				Math.min(1, tables.reduce((sum, table) => sum + table.meta.entryCount, 0) / this.#workload.keyCount),
			)
	}

	/** Tables that overlap nowhere: large ones pass, small neighbours become one. */
	#joined(inputs: readonly TableRef[]): readonly TableRef[] {
		const sorted = inputs.toSorted((a, b) => a.meta.minSeq - b.meta.minSeq)
		const outputs: TableRef[] = []
		let group: TableRef[] = []
		const end = (): void => {
			const [first, last] = [group[0], group.at(-1)]
			if (first === undefined || last === undefined) return
			const sum = (of: (table: TableRef) => number): number => group.reduce((total, table) => total + of(table), 0)
			const bytes = sum(table => table.meta.storedBytes)
			const count = sum(table => table.meta.entryCount)
			const { minSeq, minWriteMs } = first.meta
			const { maxSeq, maxWriteMs } = last.meta
			outputs.push(
				simulatedTable(`t${this.#minted++}`, {
					from: minSeq,
					to: maxSeq,
					count,
					bytes,
					minSeq,
					maxSeq,
					minMs: minWriteMs,
					maxMs: maxWriteMs,
				}),
			)
			this.#written += bytes
			this.#puts++
			this.#gets += group.length
			group = []
		}
		let groupBytes = 0
		for (const table of sorted) {
			if (table.meta.storedBytes >= this.#targetBytes / SMALL_PARTS) {
				end()
				outputs.push(table)
				groupBytes = 0
				continue
			}
			group.push(table)
			groupBytes += table.meta.storedBytes
			if (groupBytes < this.#targetBytes) continue
			end()
			groupBytes = 0
		}
		end()
		return outputs
	}

	#evenTables(count: number, minSeq: number, maxSeq: number, minMs: number, maxMs: number): readonly TableRef[] {
		const bytes = count * this.#workload.entryBytes
		const parts = Math.max(1, Math.ceil(bytes / this.#targetBytes))
		return Array.from({ length: parts }, (_, i) =>
			simulatedTable(`t${this.#minted++}`, {
				from: Math.floor((KEY_SPACE / parts) * i),
				to: Math.floor((KEY_SPACE / parts) * (i + 1)) - 1,
				count: count / parts,
				bytes: bytes / parts,
				minSeq,
				maxSeq,
				minMs,
				maxMs,
			}),
		)
	}

	#replace(remove: readonly TableRef[], add: readonly TableRef[], runId: string | undefined): void {
		const gone = new Set(remove.map(table => table.id))
		const stays = (table: TableRef): boolean => !gone.has(table.id)
		let runs: SortedRun[] = this.#manifest.runs
			.map(run => (run.tables.every(stays) ? run : { id: run.id, tables: run.tables.filter(stays) }))
			.filter(run => run.tables.length > 0 || run.id === runId)
		if (add.length > 0) {
			const id = runId ?? `r${this.#minted++}`
			const target = runs.find(run => run.id === id)
			const tables = [...(target?.tables ?? []), ...add].sort((a, b) =>
				Buffer.compare(a.meta.smallestKey, b.meta.smallestKey),
			)
			runs = [...runs.filter(run => run !== target), { id, tables }]
			const maxSeq = ({ tables: all }: SortedRun): number =>
				all.reduce((most, table) => Math.max(most, table.meta.maxSeq), 0)
			const order = new Map(runs.map(run => [run, maxSeq(run)]))
			runs.sort((a, b) => (order.get(b) ?? 0) - (order.get(a) ?? 0))
		}
		this.#manifest = { ...this.#manifest, l0: this.#manifest.l0.filter(stays), runs }
	}

	#spaceAmplification(): number {
		const { l0, runs } = this.#manifest
		const { keyCount, entryBytes } = this.#workload
		if (keyCount === 0) return 1
		const tables = [...l0.map(table => [table]), ...runs.map(run => run.tables)]
		let [missing, bytes] = [1, 0]
		for (const source of tables) {
			const entries = source.reduce((sum, table) => sum + table.meta.entryCount, 0)
			missing *= 1 - Math.min(1, entries / keyCount)
			bytes += entries * entryBytes
		}
		return bytes / (keyCount * entryBytes * (1 - missing))
	}
}
