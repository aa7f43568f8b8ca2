/**
 * Which file may import what: the layer table of the architecture as data, and the judge that holds sources to it.
 *
 * Rules, each named by the `rule` of its violations; type-only imports count as imports, because a type is a
 * dependency of the one who reads the code:
 * - `layer`: an import points to the same layer or down; a folder that the table does not know is a violation.
 * - `sideways-cycle`: folders of one layer may import each other in one direction only.
 * - `meet-in-the-log`: writer and reader never import each other.
 * - `worker`: `workers/` imports only its list, and what a worker loads when it runs stays in that list too.
 * - `public-api-only`: command line, inspector, adapters and examples see `src/index.ts` and nothing behind it.
 * - `edge-package`: each outside package is imported by its one owner; a package without owner is a violation.
 * - `pure`: folders of pure code import no built-in that does I/O.
 * - `inside`: the product imports nothing from tests, tools, benchmarks or examples.
 * - `computed`: an `import()` of a computed name cannot be judged.
 * - `unresolved`: a relative import names no file.
 * - `cycle`: files do not import each other in a circle when they run (types may).
 */
import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import type { ImportEdge, SourceFile } from '../../tools/source-tree.ts'

export interface ImportViolation {
	readonly rule: string
	readonly path: string
	readonly line: number
	readonly what: string
}

export interface ImportVerdict {
	readonly violations: readonly ImportViolation[]
	readonly fileCount: number
	readonly edgeCount: number
}

/** Layer of a folder (ends in `/`) or a file; the first line that matches counts. */
const LAYERS: readonly (readonly [place: string, layer: number])[] = [
	['src/errors.ts', 0],
	['src/arguments.ts', 0],
	['src/bytes/', 0],
	['src/host/', 0],
	['src/sst/', 1],
	['src/blob/', 1],
	['src/object-store/', 1],
	['src/memtable/', 2],
	['src/log/', 2],
	['src/manifest/', 2],
	['workers/', 2],
	['src/runtime/', 3],
	['src/cache/', 4],
	['src/writer/', 5],
	['src/reader/', 5],
	['src/tail/', 6],
	['src/maintenance/', 6],
]
/** Files that stand in `src` itself compose the layers. */
const COMPOSITION_LAYER = 7

const PUBLIC_ENTRY = 'src/index.ts'
const PUBLIC_API_ONLY: readonly string[] = ['src/cli/', 'src/inspect/', 'src/adapters/', 'examples/']

const WORKER_PLACES: readonly string[] = ['workers/', 'src/bytes/', 'src/sst/', 'src/blob/', 'src/errors.ts']
const WORKER_BUILTINS: readonly string[] = ['node:fs', 'node:zlib']

const PURE_FOLDERS: readonly string[] = [
	'src/bytes/',
	'src/sst/',
	'src/blob/',
	'src/memtable/',
	'src/manifest/',
	'src/errors.ts',
]
/** `node:module` loads a codec's native addon where there is one. */
const PURE_BUILTINS: readonly string[] = ['node:zlib', 'node:buffer', 'node:module']

/**
 * Outside packages and the one file that may import each.
 * Piscina has two ends: the pool, and the entry of its threads, which needs `move` to transfer a result.
 */
const PACKAGE_OWNERS: Readonly<Record<string, readonly string[]>> = {
	rxjs: ['src/tail/observable.ts'],
	piscina: ['src/runtime/worker-pool.ts', 'workers/main.ts'],
	comlink: ['src/runtime/actor-thread.ts'],
	fflate: ['src/sst/codec-deflate.ts'],
	'lz4-napi': ['src/sst/codec-lz4.ts'],
	'@aws-sdk/client-s3': ['src/object-store/s3-store.ts'],
	'@azure/storage-blob': [
		'src/object-store/azure-store.ts',
		'src/object-store/azure-driver.ts',
		'src/object-store/azure-writes.ts',
	],
	'@azure/identity': ['src/object-store/azure-store.ts'],
	'@google-cloud/storage': [
		'src/object-store/gcs-store.ts',
		'src/object-store/gcs-driver.ts',
		'src/object-store/gcs-streams.ts',
		'src/object-store/gcs-upload.ts',
	],
}

const isWithin = (path: string, place: string): boolean =>
	place.endsWith('/') ? path.startsWith(place) : path === place
const isWithinAny = (path: string, places: readonly string[]): boolean => places.some(place => isWithin(path, place))
const isProduct = (path: string): boolean => path.startsWith('src/') || path.startsWith('workers/')

/** The layer of a file of the product; `undefined` when no line of the table knows its folder. */
export function layerOf(path: string): number | undefined {
	const known = LAYERS.find(([place]) => isWithin(path, place))
	if (known !== undefined) return known[1]
	return posix.dirname(path) === 'src' ? COMPOSITION_LAYER : undefined
}

const folderOf = (path: string): string => posix.dirname(path).split('/').slice(0, 2).join('/')
const packageOf = (specifier: string): string =>
	specifier
		.split('/')
		.slice(0, specifier.startsWith('@') ? 2 : 1)
		.join('/')

/** Judges every import of `files`, which are the product and the examples of one tree. */
export function judgeImports(files: readonly SourceFile[]): ImportVerdict {
	const byPath = new Map(files.map(file => [file.path, file]))
	const violations: ImportViolation[] = []
	const sideways = new Map<string, ImportViolation>()
	const runtimeGraph = new Map<string, string[]>()
	let edgeCount = 0
	for (const file of files) {
		if (isProduct(file.path) && layerOf(file.path) === undefined && !isWithinAny(file.path, PUBLIC_API_ONLY)) {
			violations.push({ rule: 'layer', path: file.path, line: 1, what: 'its folder is not in the layer table' })
		}
		const targets: string[] = []
		runtimeGraph.set(file.path, targets)
		for (const edge of file.imports) {
			edgeCount++
			const report = (rule: string, what: string): number =>
				violations.push({ rule, path: file.path, line: edge.line, what })
			const target = localTarget(file.path, edge)
			if (edge.specifier === undefined) report('computed', 'imports a computed name')
			else if (target === undefined) judgeOutside(file.path, edge.specifier, report)
			else if (isProduct(file.path) && !isProduct(target)) report('inside', `imports ${target}`)
			else if (isProduct(target) && !byPath.has(target)) report('unresolved', `imports ${target}, which is not there`)
			else if (isProduct(target)) {
				if (edge.kind === 'runtime') targets.push(target)
				judgeInside(file.path, target, report)
				if (layerOf(file.path) === layerOf(target) && folderOf(file.path) !== folderOf(target)) {
					sideways.set(`${folderOf(file.path)} → ${folderOf(target)}`, {
						rule: 'sideways-cycle',
						path: file.path,
						line: edge.line,
						what: `imports ${target}, and ${folderOf(target)} imports ${folderOf(file.path)}`,
					})
				}
			}
		}
	}
	for (const [way, violation] of sideways) {
		if (sideways.has(way.split(' → ').reverse().join(' → '))) violations.push(violation)
	}
	violations.push(...judgeWorkerClosure(runtimeGraph), ...findCycles(runtimeGraph))
	return { violations, fileCount: files.length, edgeCount }
}

/** Path of the imported file; `undefined` for packages and built-ins. */
function localTarget(path: string, edge: ImportEdge): string | undefined {
	if (!edge.specifier?.startsWith('.')) return undefined
	return posix.normalize(posix.join(posix.dirname(path), edge.specifier))
}

type Report = (rule: string, what: string) => void

function judgeOutside(path: string, specifier: string, report: Report): void {
	if (isBuiltin(specifier)) {
		if (path.startsWith('workers/') && !WORKER_BUILTINS.includes(specifier)) report('worker', `imports ${specifier}`)
		if (isWithinAny(path, PURE_FOLDERS) && !PURE_BUILTINS.includes(specifier)) report('pure', `imports ${specifier}`)
		return
	}
	if (!isProduct(path)) return
	const name = packageOf(specifier)
	const owners = PACKAGE_OWNERS[name]
	if (owners === undefined) report('edge-package', `imports ${name}, which has no owning file in import-rules.ts`)
	else if (!owners.includes(path)) report('edge-package', `imports ${name}, which only ${owners.join(' and ')} may`)
}

function judgeInside(path: string, target: string, report: Report): void {
	if (isWithinAny(path, PUBLIC_API_ONLY)) {
		if (target !== PUBLIC_ENTRY && folderOf(target) !== folderOf(path)) report('public-api-only', `imports ${target}`)
		return
	}
	if (path.startsWith('workers/') && !isWithinAny(target, WORKER_PLACES)) report('worker', `imports ${target}`)
	const pair = [folderOf(path), folderOf(target)].sort().join(' ')
	if (pair === 'src/reader src/writer') report('meet-in-the-log', `imports ${target}`)
	const from = layerOf(path)
	const to = layerOf(target)
	if (from !== undefined && to !== undefined && to > from)
		report('layer', `layer ${from} imports ${target} of layer ${to}`)
}

/** What a worker thread loads, followed through all files: one import of too much costs every thread its memory. */
function judgeWorkerClosure(graph: ReadonlyMap<string, readonly string[]>): ImportViolation[] {
	const violations: ImportViolation[] = []
	const reached = new Set([...graph.keys()].filter(path => path.startsWith('workers/')))
	for (const path of reached) {
		for (const target of graph.get(path) ?? []) {
			reached.add(target)
			if (isWithinAny(path, WORKER_PLACES) && !isWithinAny(target, WORKER_PLACES)) {
				violations.push({ rule: 'worker', path, line: 1, what: `makes worker threads load ${target}` })
			}
		}
	}
	return violations
}

/** One violation for each circle of runtime imports (Tarjan's strongly connected components). */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): ImportViolation[] {
	const order = new Map<string, number>()
	const low = new Map<string, number>()
	const stack: string[] = []
	const violations: ImportViolation[] = []
	const connect = (path: string): number => {
		const index = order.size
		order.set(path, index)
		stack.push(path)
		let lowest = index
		for (const target of graph.get(path) ?? []) {
			if (!order.has(target)) lowest = Math.min(lowest, connect(target))
			else if (stack.includes(target)) lowest = Math.min(lowest, low.get(target) ?? order.get(target) ?? lowest)
		}
		low.set(path, lowest)
		if (lowest !== index) return lowest
		const circle = stack.splice(stack.indexOf(path))
		if (circle.length > 1 || graph.get(path)?.includes(path)) {
			violations.push({ rule: 'cycle', path, line: 1, what: `circle of imports: ${circle.join(' → ')}` })
		}
		return lowest
	}
	for (const path of graph.keys()) if (!order.has(path)) connect(path)
	return violations
}
