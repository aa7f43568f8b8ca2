/**
 * Finds engines, stores and scenarios by the files in their folders: adding one is adding a file.
 *
 * An engine whose package is not installed is reported as missing, by the name to install, and one whose program cannot be
 * had with the reason; any other failure to load is an error.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { UsageError } from './arguments.ts'
import type { EmbeddedEngine } from './engine.ts'
import type { ProgramEngine } from './program-engine.ts'
import type { Scenario } from './scenario.ts'
import type { BenchStore } from './store.ts'

export function namesIn(folder: 'engines' | 'scenarios' | 'stores'): string[] {
	const files = readdirSync(join(import.meta.dirname, folder)).filter(file => file.endsWith('.ts'))
	return files.map(file => file.slice(0, -'.ts'.length)).sort()
}

export type AnyEngine = EmbeddedEngine | ProgramEngine

export async function loadEngine(name: string): Promise<AnyEngine> {
	return (await load<{ engine: AnyEngine }>('engines', name)).engine
}

export async function loadScenario(name: string): Promise<Scenario> {
	return (await load<{ scenario: Scenario }>('scenarios', name)).scenario
}

export async function loadStore(name: string): Promise<BenchStore> {
	return (await load<{ store: BenchStore }>('stores', name)).store
}

/** Those of `names` that can run here, and what the others lack. What takes long is said before it begins. */
export async function loadEngines(
	names: readonly string[],
	say: (line: string) => void,
): Promise<{ readonly engines: readonly AnyEngine[]; readonly missing: readonly string[] }> {
	const engines: AnyEngine[] = []
	const missing: string[] = []
	for (const name of names) {
		const engine = await loadEngine(name)
		const reason = engine.kind === 'program' ? await engine.prepare(say) : reasonOf(engine)
		if (reason === undefined) engines.push(engine)
		else missing.push(`${name} does not run: ${reason}`)
	}
	return { engines, missing }
}

function reasonOf({ packageName }: EmbeddedEngine): string | undefined {
	if (packageName === undefined) return undefined
	try {
		import.meta.resolve(packageName)
		return undefined
	} catch {
		return `${packageName} is not installed (npm install --save-dev ${packageName})`
	}
}

/** Of its package or module, or of this project. */
export function versionOf(engine: AnyEngine): string {
	if (engine.kind === 'program') return engine.version
	const { packageName } = engine
	const inside = packageName === undefined ? import.meta.url : import.meta.resolve(packageName)
	let folder = dirname(fileURLToPath(inside))
	while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
	const described: { readonly version?: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
	return described.version ?? 'of unknown version'
}

async function load<Module>(folder: 'engines' | 'scenarios' | 'stores', name: string): Promise<Module> {
	const known = namesIn(folder)
	if (!known.includes(name)) throw new UsageError(`there is no ${name} among the ${folder}: ${known.join(', ')}`)
	return (await import(pathToFileURL(join(import.meta.dirname, folder, `${name}.ts`)).href)) as Module
}
