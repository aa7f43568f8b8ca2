/**
 * Lists the public API: `npm run api` writes test/project/public-api.txt, which a test compares.
 *
 * Steps: build into a temporary folder; from the declarations that `exports` of package.json names, follow each exported
 * name to where it is declared, and from there everything that its declaration mentions and that is ours, because a
 * changed option changes `open()` too; print the declarations by name, without comments and without their files, whose
 * names are nobody else's business.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { build } from './build.ts'
import { child, field, isNode, parseSource, type SourceFile, type SyntaxNode, visit } from './source-tree.ts'

const ROOT = join(import.meta.dirname, '..')
export const API_LISTING: string = join(ROOT, 'test/project/public-api.txt')

/** A name as another module may import it, and where it is really declared. */
interface Origin {
	readonly path: string
	readonly name: string
}

interface Declarations {
	readonly file: SourceFile
	/** Statements by the name that they declare; overloads and merged declarations have several. */
	readonly own: ReadonlyMap<string, readonly SyntaxNode[]>
	/** Imported and re-exported names (`export *` is in `stars`) by their name here. */
	readonly imported: ReadonlyMap<string, Origin>
	readonly exported: ReadonlyMap<string, Origin>
	readonly stars: readonly string[]
}

/** The listing of the declarations below `root` that `entries` (their paths by the name to import) lead to. */
export function listApi(root: string, entries: Readonly<Record<string, string>>): string {
	const modules = new Map<string, Declarations>()
	const load = (path: string): Declarations => {
		const known = modules.get(path) ?? readDeclarations(path, readFileSync(join(root, path), 'utf8'))
		modules.set(path, known)
		return known
	}
	const reached = new Map<string, Origin>()
	const lines: string[] = []
	for (const [specifier, path] of Object.entries(entries)) {
		lines.push(`import from '${specifier}':`)
		const names = exportedNames(path, load)
		if (names.size === 0) throw new Error(`${path} exports nothing`)
		for (const [name, origin] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
			lines.push(`\t${name}${origin.name === name ? '' : ` (${origin.name})`}`)
			reach(origin, load, reached)
		}
	}
	const origins = [...reached.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, origin]) => origin)
	for (const { path, name } of origins) {
		const { file, own } = load(path)
		for (const node of own.get(name) ?? []) lines.push('', textWithoutComments(file, node))
	}
	return `${lines.join('\n')}\n`
}

type Load = (path: string) => Declarations

function exportedNames(path: string, load: Load): Map<string, Origin> {
	const { exported, stars } = load(path)
	const names = new Map<string, Origin>()
	for (const star of stars) for (const [name, origin] of exportedNames(star, load)) names.set(name, origin)
	for (const [name, origin] of exported) names.set(name, resolveOrigin(origin, load))
	return names
}

/** Follows re-exports to the file that declares the name. */
function resolveOrigin(origin: Origin, load: Load): Origin {
	const { own, imported } = load(origin.path)
	if (own.has(origin.name)) return origin
	const next = imported.get(origin.name) ?? exportedNames(origin.path, load).get(origin.name)
	if (next === undefined) throw new Error(`${origin.path} does not declare ${origin.name}`)
	return resolveOrigin(next, load)
}

/** Adds `origin` and all that its declaration mentions. */
function reach(origin: Origin, load: Load, reached: Map<string, Origin>): void {
	const key = `${origin.name} ${origin.path}`
	if (reached.has(key)) return
	reached.set(key, origin)
	const { file, own, imported } = load(origin.path)
	for (const statement of own.get(origin.name) ?? []) {
		visit(statement, node => {
			const mentioned = node.type === 'TSImportType' ? importedType(file.path, node) : mentionedName(node)
			if (mentioned === undefined) return
			if (typeof mentioned !== 'string') reach(resolveOrigin(mentioned, load), load, reached)
			else if (own.has(mentioned)) reach({ path: origin.path, name: mentioned }, load, reached)
			else {
				const target = imported.get(mentioned)
				if (target !== undefined) reach(resolveOrigin(target, load), load, reached)
			}
		})
	}
}

function mentionedName(node: SyntaxNode): string | undefined {
	const name = node.type === 'Identifier' ? field(node, 'name') : undefined
	return typeof name === 'string' ? name : undefined
}

/** `import('./errors.js').WireError`, when it is ours. */
function importedType(path: string, node: SyntaxNode): Origin | undefined {
	const target = localPath(path, field(child(node, 'source') ?? child(node, 'argument'), 'value'))
	const name = field(child(node, 'qualifier'), 'name')
	return target === undefined || typeof name !== 'string' ? undefined : { path: target, name }
}

function localPath(path: string, specifier: unknown): string | undefined {
	if (typeof specifier !== 'string' || !specifier.startsWith('.')) return undefined
	return posix.normalize(posix.join(posix.dirname(path), specifier)).replace(/\.js$/, '.d.ts')
}

function readDeclarations(path: string, text: string): Declarations {
	const file = parseSource(path, text)
	const own = new Map<string, SyntaxNode[]>()
	const imported = new Map<string, Origin>()
	const exported = new Map<string, Origin>()
	const stars: string[] = []
	const body = field(file.program, 'body')
	for (const statement of Array.isArray(body) ? body.filter(isNode) : []) {
		const from = localPath(path, field(child(statement, 'source'), 'value'))
		const declaration = child(statement, 'declaration')
		const isExport = statement.type === 'ExportNamedDeclaration'
		for (const name of declaredNames(declaration ?? statement)) {
			own.set(name, [...(own.get(name) ?? []), statement])
			if (isExport) exported.set(name, { path, name })
		}
		if (statement.type === 'ExportAllDeclaration' && from !== undefined) stars.push(from)
		for (const specifier of specifiers(statement)) {
			const exportedName = nameOf(specifier, 'exported')
			if (isExport && from === undefined && child(statement, 'source') !== undefined) {
				// Of another package: the statement is all that there is to see.
				own.set(exportedName, [statement])
				exported.set(exportedName, { path, name: exportedName })
			} else if (isExport) exported.set(exportedName, { path: from ?? path, name: nameOf(specifier, 'local') })
			else if (from !== undefined)
				imported.set(nameOf(specifier, 'local'), { path: from, name: nameOf(specifier, 'imported') })
		}
	}
	return { file, own, imported, exported, stars }
}

function specifiers(statement: SyntaxNode): SyntaxNode[] {
	const value = field(statement, 'specifiers')
	return Array.isArray(value) ? value.filter(isNode).filter(node => /^(?:Im|Ex)portSpecifier$/.test(node.type)) : []
}

const nameOf = (specifier: SyntaxNode, side: string): string => String(field(child(specifier, side), 'name'))

function declaredNames(declaration: SyntaxNode): string[] {
	const declarators = field(declaration, 'declarations')
	const holders = Array.isArray(declarators) ? declarators.filter(isNode) : [declaration]
	return holders.map(holder => field(child(holder, 'id'), 'name')).filter(name => typeof name === 'string')
}

/** Comments change often and are no part of what programs see. */
function textWithoutComments(file: SourceFile, node: SyntaxNode): string {
	let text = file.text.slice(node.start, node.end)
	for (const { start, end } of file.comments.toReversed()) {
		if (start < node.start || end > node.end) continue
		text = text.slice(0, start - node.start) + text.slice(end - node.start)
	}
	return text.replaceAll(/[ \t]+$/gm, '').replaceAll(/\n{2,}/g, '\n')
}

/** The listing of the package as it stands. */
export function currentApi(): string {
	const folder = mkdtempSync(join(tmpdir(), 'isledb-api-'))
	try {
		build(folder)
		const manifest: { readonly exports: Readonly<Record<string, string | { readonly types: string }>> } = JSON.parse(
			readFileSync(join(ROOT, 'package.json'), 'utf8'),
		)
		const entries: Record<string, string> = {}
		for (const [name, target] of Object.entries(manifest.exports)) {
			if (typeof target !== 'string') entries[posix.join('isledb', name)] = target.types.replace('./dist/', '')
		}
		return `Made by \`npm run api\`: do not edit. A change here is a change of the public API.\n\n${listApi(folder, entries)}`
	} finally {
		rmSync(folder, { recursive: true })
	}
}

if (process.argv[1] === import.meta.filename) {
	writeFileSync(API_LISTING, currentApi())
	console.log(`written: ${API_LISTING}`)
}
