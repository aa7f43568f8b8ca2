/** A mistake that is planted in the engine, as patches of its sources. */

import type { SourcePatch } from '../support/patched-modules.ts'
import type { HistoryKind } from './settings.ts'

export interface PlantedBug {
	readonly name: string
	/** What goes wrong without the rule that it breaks. */
	readonly what: string
	readonly patches: readonly SourcePatch[]
	/** It is looked for in histories of this kind. */
	readonly kind: HistoryKind
	/** Answers are right, and cost more requests than they may: at the end of each history that is judged. */
	readonly budgets?: boolean | undefined
	/** Histories in which it must have been found. Where it takes many the margin is thin from some seeds; CI begins with one. */
	readonly historiesMax: number
}

/** Merges run in TypeScript, not in the kernel, for a bug that is planted there. */
const WITHOUT_KERNEL: SourcePatch = {
	file: 'workers/merge-tables.ts',
	find: 'withoutKernel ? undefined : kernelFor(setup)',
	replace: 'undefined',
}

export function bug(
	kind: HistoryKind,
	name: string,
	what: string,
	historiesMax: number,
	file: string,
	find: string,
	replace: string,
): PlantedBug {
	const patches: SourcePatch[] = [{ file, find, replace }]
	if (file.startsWith('src/sst/merge-')) patches.push(WITHOUT_KERNEL)
	return { name, what, kind, historiesMax, patches }
}
