/**
 * The project's own sources as data, for the build and for the tests that judge them.
 *
 * Steps: walk the folders, parse each TypeScript file with oxc (types are seen, nothing is resolved or run), and give
 * for each file its text, its comments, its syntax tree and every import that it makes in whatever form.
 * A file that does not parse is an error and never an empty result: a checker must not pass on what it could not read.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Comment, parseSync } from 'oxc-parser'

/** A node of the ESTree that oxc gives; its other fields are read through `field` and `child`. */
export interface SyntaxNode {
	readonly type: string
	readonly start: number
	readonly end: number
}

/** `runtime` imports are there when the program runs; `type` imports are erased. */
export type ImportKind = 'runtime' | 'type'

export interface ImportEdge {
	/** As written; `undefined` when it is computed and cannot be judged. */
	readonly specifier: string | undefined
	readonly kind: ImportKind
	/** Counted from 1. */
	readonly line: number
}

export interface SourceFile {
	/** Relative to the root, with forward slashes. */
	readonly path: string
	readonly text: string
	readonly lineCount: number
	readonly comments: readonly Comment[]
	readonly program: SyntaxNode
	readonly imports: readonly ImportEdge[]
}

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(['node_modules', 'dist', 'data', '.git', '.cache'])

/** Paths of all files under `folders` of `root` (a folder that is absent has none), sorted. */
export function listFiles(root: string, folders: readonly string[]): string[] {
	const found: string[] = []
	const walk = (folder: string): void => {
		for (const item of readdirSync(join(root, folder), { withFileTypes: true })) {
			const path = folder === '' ? item.name : `${folder}/${item.name}`
			if (item.isDirectory() && !SKIPPED_FOLDERS.has(item.name)) walk(path)
			if (item.isFile()) found.push(path)
		}
	}
	for (const folder of folders) if (existsSync(join(root, folder))) walk(folder)
	return found.sort()
}

/** The parsed `.ts` files (no `.d.ts`) under `folders` of `root`. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
	return listFiles(root, folders)
		.filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))
		.map(path => parseSource(path, readFileSync(join(root, path), 'utf8')))
}

export function parseSource(path: string, text: string): SourceFile {
	const parsed = parseSync(path, text, { sourceType: 'module', lang: path.endsWith('.d.ts') ? 'dts' : 'ts' })
	const failure = parsed.errors[0]
	if (failure !== undefined) throw new Error(`cannot parse ${path}: ${failure.message}`)
	const program: SyntaxNode = parsed.program
	const imports: ImportEdge[] = []
	visit(program, node => {
		const edge = importOf(node, text)
		if (edge !== undefined) imports.push(edge)
	})
	return { path, text, lineCount: countLines(text), comments: parsed.comments, program, imports }
}

/** Calls `onNode` for `node` and everything below it, parents first. */
export function visit(
	node: SyntaxNode,
	onNode: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
	parent?: SyntaxNode,
): void {
	onNode(node, parent)
	for (const value of Object.values(node)) {
		for (const item of Array.isArray(value) ? value : [value]) if (isNode(item)) visit(item, onNode, node)
	}
}

export function isNode(value: unknown): value is SyntaxNode {
	return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

/** The value of a field of a node, or `undefined`. */
export function field(node: SyntaxNode | undefined, name: string): unknown {
	return node === undefined ? undefined : Reflect.get(node, name)
}

/** The node in a field of a node, or `undefined`. */
export function child(node: SyntaxNode | undefined, name: string): SyntaxNode | undefined {
	const value = field(node, name)
	return isNode(value) ? value : undefined
}

/** Line of a character position, counted from 1. */
export function lineAt(text: string, position: number): number {
	let line = 1
	for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line++
	return line
}

function countLines(text: string): number {
	return lineAt(text, text.length) - (text === '' || text.endsWith('\n') ? 1 : 0)
}

/**
 * The import that a node makes: `import`, `export … from`, `import()`, `import('…').Type`, `import x = require()`,
 * `require()`, `createRequire(…)()`, `process.getBuiltinModule()`. `import { type A } from` keeps a runtime import (`verbatimModuleSyntax` leaves `import {} from`).
 */
function importOf(node: SyntaxNode, text: string): ImportEdge | undefined {
	const edge = (source: SyntaxNode | undefined, kind: ImportKind): ImportEdge => {
		const value = field(source, 'value')
		return { specifier: typeof value === 'string' ? value : undefined, kind, line: lineAt(text, node.start) }
	}
	switch (node.type) {
		case 'ImportDeclaration':
			return edge(child(node, 'source'), field(node, 'importKind') === 'type' ? 'type' : 'runtime')
		case 'ExportAllDeclaration':
		case 'ExportNamedDeclaration':
			if (child(node, 'source') === undefined) return undefined
			return edge(child(node, 'source'), field(node, 'exportKind') === 'type' ? 'type' : 'runtime')
		case 'ImportExpression':
			return edge(child(node, 'source'), 'runtime')
		case 'TSImportType':
			return edge(child(node, 'source') ?? child(node, 'argument'), 'type')
		case 'TSExternalModuleReference':
			return edge(child(node, 'expression'), 'runtime')
		case 'CallExpression':
			return isRequire(child(node, 'callee')) ? edge(firstArgument(node), 'runtime') : undefined
		default:
			return undefined
	}
}

/** `require`, `createRequire(…)`, `process.getBuiltinModule`: what is called to load a module. */
function isRequire(callee: SyntaxNode | undefined): boolean {
	const nameOf = (node: SyntaxNode | undefined): unknown =>
		field(node, 'name') ?? field(child(node, 'property'), 'name')
	if (callee?.type === 'CallExpression') return nameOf(child(callee, 'callee')) === 'createRequire'
	return nameOf(callee) === 'getBuiltinModule' || (callee?.type === 'Identifier' && nameOf(callee) === 'require')
}

function firstArgument(call: SyntaxNode): SyntaxNode | undefined {
	const args = field(call, 'arguments')
	const first: unknown = Array.isArray(args) ? args[0] : undefined
	return isNode(first) ? first : undefined
}
