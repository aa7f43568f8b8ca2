/**
 * Modules of the project, loaded with patches of their text: for planted bugs, which show that a test finds what it is there for.
 *
 * Modules are told apart by the query of their URL, which their imports inherit, so that several versions live in one process. It works
 * in a process of one's own, not under a test runner that loads modules in its own way.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** `find` occurs once in `file`, and becomes `replace`. */
export interface SourcePatch {
	readonly file: string
	readonly find: string
	readonly replace: string
}

const ROOT = new URL('../../', import.meta.url).href
const QUERY = 'patched='

interface Version {
	readonly patches: readonly SourcePatch[]
	/** What is loaded anew: folders, as URLs. */
	readonly folders: readonly string[]
}

/** By the name that stands in the query. */
const versions = new Map<string, Version>()
let isHooked = false

/**
 * Imports `entry` with these patches in it and in what it imports of `folders`, as paths from the root of the project; `name` tells the
 * version from others.
 */
export async function importPatched(
	entry: string,
	name: string,
	patches: readonly SourcePatch[],
	folders: readonly string[] = ['src/', 'workers/'],
): Promise<unknown> {
	if (!isHooked) hookModules()
	versions.set(name, { patches, folders: folders.map(folder => ROOT + folder) })
	return await import(`${ROOT}${entry}?${QUERY}${name}`)
}

function hookModules(): void {
	isHooked = true
	registerHooks({
		resolve(specifier, context, nextResolve) {
			const resolved = nextResolve(specifier, context)
			const name = nameIn(context.parentURL ?? '')
			const isOurs = versions.get(name ?? '')?.folders.some(folder => resolved.url.startsWith(folder)) === true
			if (!isOurs || resolved.url.includes('?')) return resolved
			return { ...resolved, url: `${resolved.url}?${QUERY}${name}` }
		},
		load(url, context, nextLoad) {
			const path = nameIn(url) === undefined ? '' : fileURLToPath(url.slice(0, url.indexOf('?')))
			const patches = versions.get(nameIn(url) ?? '')?.patches ?? []
			const mine = patches.filter(({ file }) => path === fileURLToPath(ROOT + file))
			if (mine.length === 0) return nextLoad(url, context)
			const source = mine.reduce((text, patch) => patched(text, patch), readFileSync(path, 'utf8'))
			return { format: 'module-typescript', source, shortCircuit: true }
		},
	})
}

function nameIn(url: string): string | undefined {
	return new RegExp(`\\?${QUERY}([\\w-]+)$`).exec(url)?.[1]
}

function patched(text: string, { file, find, replace }: SourcePatch): string {
	const parts = text.split(find)
	if (parts.length !== 2) throw new Error(`a patch fits ${parts.length - 1} times into ${file}: ${find}`)
	return parts.join(replace)
}
