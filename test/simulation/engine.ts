/**
 * The engine under simulation: its own sources, loaded as they are but for two kinds of patches of their text.
 *
 * - Limits: some options refuse values below what makes sense in production. The simulation needs tables of hundreds of bytes, so
 *   that a handful of commits is merged, split and collected as gigabytes would be.
 * - A planted bug, when one is asked for.
 */
import { importPatched, type SourcePatch } from '../support/patched-modules.ts'

export type Engine = typeof import('../../src/index.ts')

const LIMITS: readonly SourcePatch[] = [
	{
		file: 'src/maintenance/options.ts',
		find: "number('targetTableBytes', 32 * MIB, MIB, 512 * MIB)",
		replace: "number('targetTableBytes', 32 * MIB, 256, 512 * MIB)",
	},
]

/** Loads the engine with these patches; `name` tells it from others. */
export async function loadEngine(name = 'sound', patches: readonly SourcePatch[] = []): Promise<Engine> {
	return (await importPatched('src/index.ts', name, [...LIMITS, ...patches])) as Engine
}
