/**
 * The engine under simulation: its own sources, loaded as they are but for patches of their text, and with files of a virtual disk.
 *
 * - Limits: some bounds make sense in production only. The simulation needs tables of hundreds of bytes, so that a handful of commits
 *   is merged, split, collected and waited for as gigabytes would be; in short histories, of which there are many, it looks as far
 *   ahead in a log as their few commits need, and not as far as thousands would.
 * - A planted bug, when one is asked for.
 */
import { registerHooks } from 'node:module'
import { importPatched, type SourcePatch } from '../support/patched-modules.ts'
import type { HistoryKind } from './settings.ts'

export type Engine = typeof import('../../src/index.ts')

/** Of each kind of history its own. */
export type EngineOf = (kind: HistoryKind) => Promise<Engine>

/** Of a batch of a tail, of the commits that are kept for tails, of small tables that are kept for merges. */
export const BATCH_ROWS = 4
export const BATCH_BYTES = 4096
export const KEPT_COMMITS_BYTES = 2048
export const KEPT_TABLES_BYTES = 2048
/** Of a store that is not probed at its first use. */
export const TRUSTED_URL = 'virtual:trusted'
const LIMITS: readonly SourcePatch[] = [
	{
		file: 'src/maintenance/options.ts',
		find: "number('targetTableBytes', 32 * MIB, MIB, 512 * MIB)",
		replace: "number('targetTableBytes', 32 * MIB, 256, 512 * MIB)",
	},
	{
		file: 'src/writer/l0-pressure.ts',
		find: 'const SMALLEST_WEIGHT = 1 / 128',
		replace: 'const SMALLEST_WEIGHT = 1 / 2',
	},
	{
		file: 'src/tail/change-batch.ts',
		find: 'const BATCH_ROWS = 1024',
		replace: `const BATCH_ROWS = ${BATCH_ROWS}`,
	},
	{
		file: 'src/tail/change-batch.ts',
		find: 'const BATCH_BYTES = 1_048_576',
		replace: `const BATCH_BYTES = ${BATCH_BYTES}`,
	},
	{
		file: 'src/tail/recent-commits.ts',
		find: 'const DEFAULT_RECENT_COMMITS_BYTES: number = 8 * 1024 * 1024',
		replace: `const DEFAULT_RECENT_COMMITS_BYTES: number = ${KEPT_COMMITS_BYTES}`,
	},
	{
		file: 'src/tail/recent-commits.ts',
		find: 'const OVERHEAD_BYTES = 2048',
		replace: 'const OVERHEAD_BYTES = 64',
	},
	{
		file: 'src/maintenance/recent-tables.ts',
		find: 'const RECENT_MAX_BYTES: number = 16 * SMALL_TABLE_BYTES',
		replace: `const RECENT_MAX_BYTES: number = ${KEPT_TABLES_BYTES}`,
	},
	{
		file: 'src/writer/writer.ts',
		find: 'await probeStore(store, { host, signal })',
		replace: `if (store.url !== '${TRUSTED_URL}') await probeStore(store, { host, signal })`,
	},
]
/** Slots that opening asks for at once at first, and slots behind the end of a log that it asks for. */
export const OPEN_WINDOW_SLOTS: Readonly<Record<HistoryKind, number>> = { short: 2, long: 8 }
export const LOOK_BEHIND_SLOTS: Readonly<Record<HistoryKind, number>> = { short: 4, long: 16 }
const SHORT_LIMITS: readonly SourcePatch[] = [
	{
		file: 'src/log/claim.ts',
		find: `const OPEN_WINDOW_SLOTS = ${OPEN_WINDOW_SLOTS.long}`,
		replace: `const OPEN_WINDOW_SLOTS = ${OPEN_WINDOW_SLOTS.short}`,
	},
	{
		file: 'src/log/fenced-log.ts',
		find: 'const LOOK_BEHIND_SLOTS: number = APPENDS_IN_FLIGHT_MAX',
		replace: `const LOOK_BEHIND_SLOTS: number = ${LOOK_BEHIND_SLOTS.short}`,
	},
]

/** Which modules see the virtual disk instead of `node:fs`, and as what. */
const ON_DISK =
	/\/(?:src\/cache\/[\w-]+|workers\/[\w-]+|src\/object-store\/file-calls)\.ts\?patched=[\w-]+-(?:short|long)$/
const DISK_MODULES: Readonly<Record<string, string>> = {
	'node:fs': new URL('virtual-disk-calls.ts?default', import.meta.url).href,
	'node:fs/promises': new URL('virtual-disk-promises.ts', import.meta.url).href,
}
let isHooked = false

/** Engines with that bug, or sound ones; each is loaded when it is asked for. */
export function enginesWith(bug?: { readonly name: string; readonly patches: readonly SourcePatch[] }): EngineOf {
	const loaded = new Map<HistoryKind, Promise<Engine>>()
	return kind => {
		const engine = loaded.get(kind) ?? loadEngine(kind, bug?.name, bug?.patches)
		loaded.set(kind, engine)
		return engine
	}
}

async function loadEngine(kind: HistoryKind, name = 'sound', patches: readonly SourcePatch[] = []): Promise<Engine> {
	hookDisk()
	const all = [...LIMITS, ...(kind === 'short' ? SHORT_LIMITS : []), ...patches]
	return (await importPatched('src/index.ts', `${name}-${kind}`, all)) as Engine
}

function hookDisk(): void {
	if (isHooked) return
	isHooked = true
	registerHooks({
		resolve(specifier, context, nextResolve) {
			const url = ON_DISK.test(context.parentURL ?? '') ? DISK_MODULES[specifier] : undefined
			return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true }
		},
		load(url, context, nextLoad) {
			if (url !== DISK_MODULES['node:fs']) return nextLoad(url, context)
			const source = "export { diskCalls as default } from './virtual-disk-calls.ts'"
			return { format: 'module', source, shortCircuit: true }
		},
	})
}
