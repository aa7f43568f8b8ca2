/** Figures of a manifest, for `stats`: pure. */
import type { Manifest } from '../manifest/manifest.ts'
import { storedBytesOf } from '../manifest/run-parts.ts'
import { tablesOfChoice } from './choice.ts'
import type { MaintenanceSettings } from './options.ts'
import { choose } from './policy.ts'
import { factsOf } from './run-facts.ts'

export interface StateShape {
	/** Newest first. */
	readonly runs: readonly { readonly tables: number; readonly bytes: number }[]
	/** Bytes of the tables that the policies would rewrite or drop now, as stored. */
	readonly compactionDebtBytes: number
	/**
	 * An estimate: all that is stored, garbage included, for each byte of the largest run, which holds every key once. 1 when
	 * there is no run.
	 */
	readonly spaceAmplification: number
	/** Objects that nothing refers to any more and that have not been deleted yet. */
	readonly garbageObjects: number
	readonly garbageBytes: number
	readonly pendingMerges: number
}

/** Choices that are counted: a database that is at rest has none, one under load a handful. */
const CHOICES_MAX = 100

export function shapeOf(manifest: Manifest, nowMs: number, settings: MaintenanceSettings): StateShape {
	const runs = manifest.runs.map(run => ({ tables: run.tables.length, bytes: factsOf(run).bytes }))
	const garbageBytes = manifest.removed.reduce((sum, object) => sum + object.bytes, 0)
	const largestBytes = runs.reduce((largest, run) => Math.max(largest, run.bytes), 0)
	return {
		runs,
		compactionDebtBytes: debtOf(manifest, nowMs, settings),
		spaceAmplification: largestBytes === 0 ? 1 : (storedBytesOf(manifest) + garbageBytes) / largestBytes,
		garbageObjects: manifest.removed.length,
		garbageBytes,
		pendingMerges: manifest.pendingMerges.length,
	}
}

function debtOf(manifest: Manifest, nowMs: number, settings: MaintenanceSettings): number {
	const busy = new Set<string>()
	let bytes = 0
	for (let choices = 0; choices < CHOICES_MAX; choices++) {
		const choice = choose(manifest, nowMs, settings, { busy, quarantined: new Set() })
		if (choice === undefined) return bytes
		const tables = choice.kind === 'abandon' ? [] : tablesOfChoice(choice)
		if (choice.kind !== 'move') bytes += tables.reduce((sum, { meta }) => sum + meta.storedBytes, 0)
		for (const { id } of tables) busy.add(id)
		if (choice.kind === 'abandon') for (const id of choice.merge.inputs) busy.add(id)
	}
	return bytes
}
