/**
 * The engine under simulation: its own sources, loaded as they are but for two kinds of patches of their text.
 *
 * - Limits: some options refuse values below what makes sense in production. The simulation needs tables of hundreds of bytes, so
 *   that a handful of commits is merged, split and collected as gigabytes would be.
 * - A planted bug, when one is asked for.
 *
 * Modules are told apart by the query of their URL, which their imports inherit, so that several engines live in one process.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

export type Engine = typeof import('../../src/index.ts')

/** `find` occurs once in `file`, and becomes `replace`. */
export interface SourcePatch {
	readonly file: string
	readonly find: string
	readonly replace: string
}

const LIMITS: readonly SourcePatch[] = [
	{
		file: 'src/maintenance/options.ts',
		find: "number('targetTableBytes', 32 * MIB, MIB, 512 * MIB)",
		replace: "number('targetTableBytes', 32 * MIB, 256, 512 * MIB)",
	},
]

const ROOT = new URL('../../', import.meta.url).href
const PARTS = [`${ROOT}src/`, `${ROOT}workers/`]
const QUERY = 'simulated='
/** By the name that stands in the query. */
const patchesOf = new Map<string, readonly SourcePatch[]>()
let isHooked = false

/** Loads the engine with these patches; `name` tells it from others. */
export async function loadEngine(name = 'sound', patches: readonly SourcePatch[] = []): Promise<Engine> {
	if (!isHooked) hookModules()
	patchesOf.set(name, [...LIMITS, ...patches])
	return (await import(`${ROOT}src/index.ts?${QUERY}${name}`)) as Engine
}

function hookModules(): void {
	isHooked = true
	registerHooks({
		resolve(specifier, context, nextResolve) {
			const resolved = nextResolve(specifier, context)
			const query = /\?simulated=[\w-]+$/.exec(context.parentURL ?? '')?.[0]
			const isOurs = PARTS.some(part => resolved.url.startsWith(part))
			if (query === undefined || !isOurs || resolved.url.includes('?')) return resolved
			return { ...resolved, url: resolved.url + query }
		},
		load(url, context, nextLoad) {
			const at = url.indexOf(`?${QUERY}`)
			const patches = at < 0 ? undefined : patchesOf.get(url.slice(at + 1 + QUERY.length))
			if (patches === undefined) return nextLoad(url, context)
			const path = fileURLToPath(url.slice(0, at))
			const mine = patches.filter(({ file }) => path === fileURLToPath(ROOT + file))
			if (mine.length === 0) return nextLoad(url, context)
			const source = mine.reduce((text, patch) => patched(text, patch), readFileSync(path, 'utf8'))
			return { format: 'module-typescript', source, shortCircuit: true }
		},
	})
}

function patched(text: string, { file, find, replace }: SourcePatch): string {
	const parts = text.split(find)
	if (parts.length !== 2) throw new Error(`a patch fits ${parts.length - 1} times into ${file}: ${find}`)
	return parts.join(replace)
}
