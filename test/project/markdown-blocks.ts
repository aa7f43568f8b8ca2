/**
 * The code blocks of a Markdown text, and how one is run.
 *
 * A block of JavaScript or TypeScript (```js, ```ts) is a module; an HTML comment on the line above it,
 * `<!-- not run: needs an S3 bucket -->`, says why it cannot run here. Each block runs in a folder of its own, in which
 * `isledb` and what users install beside it can be imported.
 */
import { type StdioOptions, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface CodeBlock {
	readonly language: 'js' | 'ts'
	readonly code: string
	/** Line of its first line of code, counted from 1. */
	readonly line: number
	/** Why it is not run; `undefined` when it is. */
	readonly notRun: string | undefined
}

const LANGUAGES: ReadonlyMap<string, 'js' | 'ts'> = new Map([
	['js', 'js'],
	['mjs', 'js'],
	['javascript', 'js'],
	['ts', 'ts'],
	['mts', 'ts'],
	['typescript', 'ts'],
])
const FENCE = /^(?<indent> *)(?<fence>`{3,}|~{3,})\s*(?<info>[^`]*)$/
const NOT_RUN = /^\s*<!--\s*not run:\s*(?<reason>\S.*?)\s*-->\s*$/

/** The blocks of JavaScript and TypeScript, in order. A fence that is never closed is an error. */
export function codeBlocks(markdown: string): CodeBlock[] {
	const lines = markdown.split(/\r?\n/)
	const blocks: CodeBlock[] = []
	let reason: string | undefined
	for (let index = 0; index < lines.length; index++) {
		const groups = FENCE.exec(lines[index] ?? '')?.groups
		if (groups === undefined) {
			const line = lines[index] ?? ''
			reason = NOT_RUN.exec(line)?.groups?.['reason'] ?? (line.trim() === '' ? reason : undefined)
			continue
		}
		const { indent = '', fence = '```', info = '' } = groups
		const isEnd = (line: string): boolean =>
			line.trimStart().startsWith(fence) && line.trim().replaceAll(fence.charAt(0), '') === ''
		const end = lines.findIndex((line, at) => at > index && isEnd(line))
		if (end === -1) throw new Error(`the code block of line ${index + 1} is not closed`)
		const language = LANGUAGES.get(info.split(/[\s{]/)[0] ?? '')
		if (language !== undefined) {
			const code = lines.slice(index + 1, end).map(line => (line.startsWith(indent) ? line.slice(indent.length) : line))
			blocks.push({ language, code: `${code.join('\n')}\n`, line: index + 2, notRun: reason })
		}
		reason = undefined
		index = end
	}
	return blocks
}

/** What a program printed and how it ended. */
export interface RunResult {
	/** `undefined` when it was killed by a signal, or because it took too long. */
	readonly exitCode: number | undefined
	readonly stdout: string
	readonly stderr: string
	readonly tookTooLong: boolean
}

/** Runs a program to its end, for at most `maxMs`, without a shell. */
export function run(
	command: string,
	args: readonly string[],
	options: { readonly cwd: string; readonly maxMs: number; readonly env?: Readonly<Record<string, string>> },
): Promise<RunResult> {
	const { NODE_OPTIONS: _ours, VITEST: _vitest, ...env } = process.env
	const stdio: StdioOptions = ['ignore', 'pipe', 'pipe']
	return new Promise((resolve, reject) => {
		const program = spawn(command, args, { cwd: options.cwd, env: { ...env, ...options.env }, stdio })
		let stdout = ''
		let stderr = ''
		let tookTooLong = false
		const killer = setTimeout(() => {
			tookTooLong = true
			program.kill('SIGKILL')
		}, options.maxMs)
		program.stdout?.setEncoding('utf8').on('data', (text: string) => {
			stdout += text
		})
		program.stderr?.setEncoding('utf8').on('data', (text: string) => {
			stderr += text
		})
		program.on('error', reject)
		program.on('close', code => {
			clearTimeout(killer)
			resolve({ exitCode: code ?? undefined, stdout, stderr, tookTooLong })
		})
	})
}

/** Writes a block as a module into `folder` and runs it with this Node.js. */
export function runBlock(
	block: CodeBlock,
	folder: string,
	options: {
		readonly maxMs: number
		readonly nodeArgs?: readonly string[]
		readonly env?: Readonly<Record<string, string>>
	},
): Promise<RunResult> {
	mkdirSync(folder, { recursive: true })
	const file = `block-of-line-${block.line}.${block.language === 'ts' ? 'mts' : 'mjs'}`
	writeFileSync(join(folder, file), block.code)
	return run(process.execPath, [...(options.nodeArgs ?? []), file], { ...options, cwd: folder })
}

/** What to say of a run that failed; `undefined` when it was good. */
export function failureOf(result: RunResult): string | undefined {
	if (result.exitCode === 0) return undefined
	const how = result.tookTooLong ? 'did not end in time' : `ended with ${result.exitCode ?? 'a signal'}`
	return `${how}\n${result.stdout}${result.stderr}`
}

/** A strict tsconfig of a user's project, with the types of Node.js that are installed below `root`. */
export function userCompilerOptions(root: string): Readonly<Record<string, unknown>> {
	return {
		target: 'es2023',
		lib: ['es2023', 'es2024.arraybuffer', 'esnext.disposable', 'dom'],
		module: 'nodenext',
		types: ['node'],
		typeRoots: [join(root, 'node_modules/@types')],
		strict: true,
		exactOptionalPropertyTypes: true,
		skipLibCheck: true,
		noEmit: true,
	}
}
