/** What a run of the benchmark found, whole: plain data, from which text, HTML and Markdown are made, now or later. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import type { CaseResult } from './harness.ts'
import type { Column, LineChart, Plan, Target } from './scenario.ts'

export interface BenchReport {
	readonly scenario: string
	readonly summary: string
	readonly machine: Machine
	readonly plan: Plan
	readonly engines: readonly EngineSettings[]
	/** Why some engines did not run. */
	readonly missing: readonly string[]
	readonly results: readonly CaseResult[]
	/** As in `Scenario`. */
	readonly columns: Readonly<Record<string, readonly Column[]>>
	readonly parts: Readonly<Record<string, readonly string[]>>
	readonly lines: readonly LineChart[]
	readonly targets: readonly Target[]
	readonly notes: readonly string[]
}

export interface EngineSettings {
	readonly name: string
	readonly version: string
	/** One for each codec, where they differ. */
	readonly settings: readonly string[]
}

/** The machine, as far as it explains figures. */
export interface Machine {
	readonly cores: number
	readonly processor: string
	readonly memoryBytes: number
	readonly system: string
	readonly node: string
	/** When the run ended. */
	readonly date: string
	/** Processes that wanted a processor, averaged over a minute, when the run began and when it ended. */
	readonly loadBefore: number
	readonly loadAfter: number
}

/** `loadBefore` is what `loadNow` said when the run began. */
export function thisMachine(date: Date, loadBefore: number): Machine {
	return {
		cores: availableParallelism(),
		processor: cpus()[0]?.model ?? 'unknown',
		memoryBytes: totalmem(),
		system: `${process.platform} ${release()} ${process.arch}`,
		node: process.versions.node,
		date: date.toISOString().slice(0, 16).replace('T', ' '),
		loadBefore,
		loadAfter: loadNow(),
	}
}

export function loadNow(): number {
	return loadavg()[0] ?? 0
}

/** On one line. */
export function machineLine({ cores, processor, memoryBytes, system, node }: Omit<Machine, 'date'>): string {
	return `${cores} cores (${processor}), ${Math.round(memoryBytes / 2 ** 30)} GiB, ${system}, Node ${node}`
}

/** What all runs of it had in common. */
export function planLine({ records, valueBytes, batch, seed, seconds, repeat, ...place }: Plan): string {
	const runs = repeat === 1 ? '1 run' : `medians of ${repeat} runs`
	return `${records} records, values of ${valueBytes} bytes, batches of ${batch}, seed ${seed}, ${placeOf(place)}, at most ${seconds} s a measurement, ${runs}`
}

function placeOf({ store, rttMs, uploadMbit }: Pick<Plan, 'store' | 'rttMs' | 'uploadMbit'>): string {
	const bandwidth = uploadMbit === undefined ? '' : ` at ${uploadMbit} Mbit/s`
	return `store ${store}${rttMs > 0 ? ` over +${rttMs} ms` : ''}${bandwidth}`
}
