/**
 * What the code of the project does not contain, each ban with its replacement, judged on syntax trees (a ban that is
 * only mentioned in a comment or a string does not count).
 *
 * The bans of `FORBIDDEN_NAMES` are written as they stand in code: `Date.now`, `setTimeout`, `new Date()`. Sizes are in
 * lines as an editor counts them.
 */
import { posix } from 'node:path'
import { child, field, isNode, lineAt, type SourceFile, type SyntaxNode, visit } from '../../tools/source-tree.ts'

export interface TidyViolation {
	readonly path: string
	readonly line: number
	readonly what: string
}

const FILE_MAX_LINES = 300
/** A file of more than `FILE_MAX_LINES` states its reason in tidy-exceptions.ts; this is the end for every file. */
const FILE_HARD_MAX_LINES = 400
const FUNCTION_MAX_LINES = 70
/** Shorter than this is no account of what a file is. */
const HEADER_MIN_CHARACTERS = 20

const CLOCK = 'take a Clock (src/host/clock.ts)'
const RANDOM = 'take a Random (src/host/random.ts)'

/** Asking the machine for time, timers, randomness or ids, and what to use. */
const FORBIDDEN_NAMES: Readonly<Record<string, string>> = {
	'Date.now': CLOCK,
	'new Date()': CLOCK,
	'performance.now': CLOCK,
	'performance.timeOrigin': CLOCK,
	'process.hrtime': CLOCK,
	'process.uptime': CLOCK,
	setTimeout: CLOCK,
	setInterval: CLOCK,
	setImmediate: CLOCK,
	'AbortSignal.timeout': CLOCK,
	'Math.random': RANDOM,
	randomBytes: RANDOM,
	randomUUID: RANDOM,
	randomInt: RANDOM,
	randomFill: RANDOM,
	randomFillSync: RANDOM,
	getRandomValues: RANDOM,
}
const FORBIDDEN_MODULES: Readonly<Record<string, string>> = {
	'node:timers': CLOCK,
	'node:timers/promises': CLOCK,
}

const CONSOLE = 'console: publish on a diagnostics channel, or return data'
const LASTING: Readonly<Record<string, string>> = {
	generator: 'a method of a class, or a function of the module',
	accessor: 'a class, or a method',
	'assigned function': 'give it a name first',
}
const FOCUSED = 'delete the marker: a test that does not run is deleted or mended'

const FILE_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config)?$/
const EMPTY_FILE_NAMES = /(?:^|-)(?:utils?|helpers?|common|misc|types)(?:-|$)/

/** `TODO(why it waits): what` or nothing. */
const LEFT_OVER = /\b(?:TODO(?!\([^)]{10,}\): \S)|FIXME|XXX|HACK)\b/
/** A linter or the compiler told to look away must be told why. */
const SILENT_SUPPRESSION =
	/@ts-ignore|@ts-nocheck|@ts-expect-error(?!\s+\S{2})|biome-ignore(?!.*:\s*\S)|(?:oxlint|eslint)-disable(?!.* -- \S)/
const MACHINE_PATH = /(?<![\w.$}/-])\/(?:work|root|farm|home)\/[\w.]/

const isHost = (path: string): boolean => path.startsWith('src/host/')
const isProduct = (path: string): boolean => path.startsWith('src/') || path.startsWith('workers/')
/** Runs so often that it matters what outlives a scavenge. */
const isHot = (path: string): boolean =>
	(isProduct(path) || path.startsWith('test/simulation/')) && !path.startsWith('src/object-store/conformance')
const isTest = (path: string): boolean => path.startsWith('test/')
/** Its jobs end with a turn of the event loop, and have no clock. */
const isThreadEntry = (path: string): boolean => path === 'workers/main.ts'
const mayDefaultExport = (path: string): boolean => isThreadEntry(path) || path.endsWith('.config.ts')
const mayPrint = (path: string): boolean => !isProduct(path) || path.startsWith('src/cli/')

/** A turn of the event loop is no time: tests may wait for it. */
const ALLOWED_IN_TESTS: ReadonlySet<string> = new Set(['setImmediate', 'new Date()'])

/** Everything that is wrong with one file but for its length. `mayAskMachine` frees it from the bans on time and chance. */
export function judgeFile(file: SourceFile, mayAskMachine: boolean = isHost(file.path)): TidyViolation[] {
	const violations: TidyViolation[] = []
	const report = (line: number, what: string): void => {
		const isKnown = violations.some(known => known.line === line && known.what === what)
		if (!isKnown) violations.push({ path: file.path, line, what })
	}
	const name = posix.basename(file.path, '.ts')
	if (!FILE_NAME.test(name)) report(1, 'file name: kebab-case, as `table-builder.ts`')
	if (EMPTY_FILE_NAMES.test(name)) report(1, 'file name: name the one concept that the file holds')
	if (!isTest(file.path) && !hasHeader(file))
		report(1, 'no header: a file opens with what it is, its steps, its invariants')
	for (const comment of file.comments) {
		const line = lineAt(file.text, comment.start)
		if (LEFT_OVER.test(comment.value)) report(line, 'left-over: `TODO(why it waits): what`, or do it now')
		if (SILENT_SUPPRESSION.test(comment.value)) report(line, 'suppression without a reason: say why after `--` or `:`')
	}
	visit(file.program, (node, parent) => {
		const what = judgeNode(file, node) ?? (mayAskMachine ? undefined : forbidden(file, node, parent))
		if (what !== undefined) report(lineAt(file.text, node.start), what)
	})
	if (isHot(file.path)) judgeLasting(file, report)
	return violations
}

function judgeNode(file: SourceFile, node: SyntaxNode): string | undefined {
	switch (node.type) {
		case 'TSAnyKeyword':
			return 'any: unknown, and narrow it'
		case 'TSNonNullExpression':
			return '!: a condition, `invariant()`, or `?? fallback`'
		case 'TSEnumDeclaration':
			return 'enum: a union of string literals'
		case 'TSModuleDeclaration':
			return 'namespace: a module'
		case 'ExportDefaultDeclaration':
			return mayDefaultExport(file.path) ? undefined : 'default export: a named export'
		case 'CallExpression':
			return isTest(file.path) ? focusedTest(node) : undefined
		default:
			return functionLines(file, node)
	}
}

/**
 * What is made within a function, and outlives a scavenge with all that it closes over: V8 puts it, or its hidden class, in old space.
 * Measured, Node 24: docs/testing.md, D-098.
 */
function judgeLasting(file: SourceFile, report: (line: number, what: string) => void): void {
	const functions: SyntaxNode[] = []
	const found: (readonly [SyntaxNode, what: string])[] = []
	visit(file.program, (node, parent) => {
		if (FUNCTIONS.has(node.type)) functions.push(node)
		const isMethod = parent?.type === 'MethodDefinition'
		if (FUNCTIONS.has(node.type) && field(node, 'generator') === true && !isMethod) found.push([node, 'generator'])
		if (node.type === 'Property' && field(node, 'kind') !== 'init') found.push([node, 'accessor'])
		const isSet = node.type === 'AssignmentExpression' && child(node, 'left')?.type === 'MemberExpression'
		if (isSet && FUNCTIONS.has(child(node, 'right')?.type ?? '')) found.push([node, 'assigned function'])
	})
	for (const [node, what] of found) {
		const isWithin = functions.some(({ start, end }) => start < node.start && node.end <= end)
		if (isWithin) report(lineAt(file.text, node.start), `${what}: ${LASTING[what]}`)
	}
}

/** Time, chance and printing; tests and product are held to it, tools, benchmarks and examples are not. */
function forbidden(file: SourceFile, node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
	if (!isProduct(file.path) && !isTest(file.path)) return undefined
	if (node.type === 'ImportDeclaration') return forbiddenModule(node)
	return /^(?:Identifier|MemberExpression|NewExpression)$/.test(node.type)
		? forbiddenName(file, node, parent)
		: undefined
}

function forbiddenModule(node: SyntaxNode): string | undefined {
	const specifier = field(child(node, 'source'), 'value')
	const replacement = typeof specifier === 'string' ? FORBIDDEN_MODULES[specifier] : undefined
	return replacement === undefined ? undefined : `${String(specifier)}: ${replacement}`
}

function forbiddenName(file: SourceFile, node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
	const name = writtenName(node, parent)
	if (name === undefined) return undefined
	if (name === 'console' || name === 'globalThis.console') return mayPrint(file.path) ? undefined : CONSOLE
	// `crypto.randomUUID` and `globalThis.setTimeout` are known by their last part, `Date.now` by both.
	const known = [name, name.slice(name.lastIndexOf('.') + 1)].find(part => Object.hasOwn(FORBIDDEN_NAMES, part))
	if (known === undefined || (isTest(file.path) && ALLOWED_IN_TESTS.has(known))) return undefined
	if (isThreadEntry(file.path) && known === 'setImmediate') return undefined
	return `${known}: ${FORBIDDEN_NAMES[known]}`
}

/** A free identifier, `object.property` or `new Date()` as text; `undefined` for names of properties and keys. */
function writtenName(node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
	if (node.type === 'NewExpression') {
		const args = field(node, 'arguments')
		const isBare = Array.isArray(args) && args.length === 0
		return isBare && field(child(node, 'callee'), 'name') === 'Date' ? 'new Date()' : undefined
	}
	if (node.type === 'MemberExpression') {
		const object = field(child(node, 'object'), 'name') ?? field(child(child(node, 'object'), 'property'), 'name')
		const property = child(node, 'property')
		const last = field(node, 'computed') === true ? field(property, 'value') : field(property, 'name')
		return typeof object === 'string' && typeof last === 'string' ? `${object}.${last}` : undefined
	}
	const isKey =
		(parent?.type === 'MemberExpression' && child(parent, 'property') === node && field(parent, 'computed') !== true) ||
		(child(parent, 'key') === node && field(parent, 'computed') !== true)
	const name = field(node, 'name')
	return isKey || typeof name !== 'string' ? undefined : name
}

/** `test.only`, `describe.skip`, `it.todo` and the like, also when chained: `test.concurrent.only`, `test.skip.each`. */
function focusedTest(node: SyntaxNode): string | undefined {
	const parts: unknown[] = []
	let callee = child(node, 'callee')
	while (callee?.type === 'MemberExpression') {
		parts.push(field(child(callee, 'property'), 'name'))
		callee = child(callee, 'object')
	}
	const root = field(callee, 'name')
	if (root !== 'test' && root !== 'it' && root !== 'describe' && root !== 'suite') return undefined
	const marker = parts.find(part => part === 'only' || part === 'skip' || part === 'todo')
	return marker === undefined ? undefined : `${root}.${String(marker)}: ${FOCUSED}`
}

const FUNCTIONS: ReadonlySet<string> = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

/** In tests, what groups tests (a block of `describe`, a suite) is no function in the sense of the rule. */
function functionLines(file: SourceFile, node: SyntaxNode): string | undefined {
	if (!FUNCTIONS.has(node.type) || (isTest(file.path) && groupsTests(node))) return undefined
	const lines = lineAt(file.text, node.end) - lineAt(file.text, node.start) + 1
	return lines > FUNCTION_MAX_LINES ? `function of ${lines} lines: at most ${FUNCTION_MAX_LINES}` : undefined
}

/** True when a statement of the function's own body declares a test or a block of tests. */
function groupsTests(node: SyntaxNode): boolean {
	const statements = field(child(node, 'body'), 'body')
	if (!Array.isArray(statements)) return false
	return statements.filter(isNode).some(statement => {
		let callee = child(statement, 'expression')
		while (callee?.type === 'MemberExpression' || callee?.type === 'CallExpression') {
			callee = child(callee, callee.type === 'CallExpression' ? 'callee' : 'object')
		}
		const name = field(callee, 'name')
		return name === 'describe' || name === 'test' || name === 'it'
	})
}

function hasHeader(file: SourceFile): boolean {
	const [first] = file.comments
	const body = field(file.program, 'body')
	const firstStatement: unknown = Array.isArray(body) ? body[0] : undefined
	if (first === undefined || first.value.replaceAll(/[\s*]/g, '').length < HEADER_MIN_CHARACTERS) return false
	return !isNode(firstStatement) || first.start < firstStatement.start
}

/** Lengths against the two limits; `reasons` names each file that may be longer than `FILE_MAX_LINES`. */
export function judgeLengths(
	files: readonly Pick<SourceFile, 'path' | 'lineCount'>[],
	reasons: Readonly<Record<string, string>>,
): TidyViolation[] {
	const violations: TidyViolation[] = []
	for (const { path, lineCount } of files) {
		const isLong = lineCount > FILE_MAX_LINES
		const what = `file of ${lineCount} lines`
		if (lineCount > FILE_HARD_MAX_LINES) violations.push({ path, line: lineCount, what: `${what}: split it` })
		else if (isLong && reasons[path] === undefined) {
			violations.push({ path, line: lineCount, what: `${what}: split it, or give a reason in tidy-exceptions.ts` })
		} else if (!isLong && reasons[path] !== undefined) {
			violations.push({ path, line: 1, what: `${what}: its line in tidy-exceptions.ts is out of date` })
		}
	}
	const present = new Set(files.map(file => file.path))
	for (const path of Object.keys(reasons)) {
		if (!present.has(path)) violations.push({ path, line: 1, what: 'named in tidy-exceptions.ts, but not there' })
	}
	return violations
}

/** Lines of any text file that name a folder of somebody's machine. */
export function judgeText(path: string, text: string): TidyViolation[] {
	return text
		.split('\n')
		.flatMap((content, index) =>
			MACHINE_PATH.test(content) ? [{ path, line: index + 1, what: 'absolute path of a machine' }] : [],
		)
}
