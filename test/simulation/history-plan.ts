/** What names a history: a seed from which everything is drawn, or data. */

import { seededRandom } from '../../src/host/random.ts'
import { drawOperations, type PlannedOperation } from './operations.ts'
import { drawKind, drawSettings, type HistoryKind, PLAIN_SETTINGS, type SimulationSettings } from './settings.ts'

/** Names a history. */
export interface HistoryPlan {
	readonly seed: number
	/** Default: drawn from the seed. */
	readonly kind?: HistoryKind | undefined
	/** Instead of what is drawn from the seed. */
	readonly script?: HistoryScript | undefined
	/** Default: that of the seed. Another one runs the same operations and faults in another order. */
	readonly schedule?: number | undefined
	/** Indexes of the operations that are done. Default: all. */
	readonly operations?: readonly number[] | undefined
	/** Names of the faults that happen. Default: those of the seed. */
	readonly faults?: readonly string[] | undefined
	/** Whether what operations cost is judged at its end. Default: drawn from the seed, now and then. */
	readonly budgets?: boolean | undefined
}

/** A history as data: it stays what it is when other things are drawn from seeds. */
export interface HistoryScript {
	/** What is not said is plain. */
	readonly settings: Partial<SimulationSettings>
	readonly operations: readonly PlannedOperation[]
}

/** What a history is made of. */
export interface DrawnHistory {
	readonly settings: SimulationSettings
	readonly operations: readonly PlannedOperation[]
}

/** Settings and operations of a history, by its script or its seed. */
export function scriptOf({ seed, kind, script }: HistoryPlan): DrawnHistory {
	if (script !== undefined) {
		return { settings: { ...PLAIN_SETTINGS, ...script.settings }, operations: script.operations }
	}
	const random = seededRandom(seed)
	const drawn = drawKind(random)
	const settings = drawSettings(kind ?? drawn, random)
	return { settings, operations: drawOperations(settings, random) }
}
