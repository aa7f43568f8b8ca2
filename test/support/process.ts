/**
 * Programs that tests start as processes of their own, under the same Node.js: their output by lines, and how they end.
 *
 * `await using program = startProgram(…)` ends a program that is still there when the test is over, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface ProgramEnd {
	/** Undefined when a signal ended it. */
	readonly code: number | undefined
	readonly signal: NodeJS.Signals | undefined
	readonly stderr: string
}

export interface Program extends AsyncDisposable {
	/** What it has printed so far, line by line. */
	readonly lines: readonly string[]
	/** Resolves when it has ended and everything it printed is in `lines`. */
	readonly ended: Promise<ProgramEnd>
	/** Calls `listener` with each line from now on. */
	onLine(listener: (line: string) => void): void
	/** The first line, printed already or yet to come, that begins with `start`; rejects when it ends without one. */
	line(start: string): Promise<string>
	/** Writes a line to its standard input. */
	tell(line: string): void
	kill(signal: NodeJS.Signals): void
}

export interface ProgramOptions {
	/** Script of a shell that ends with `exec "$0" "$@"`: the program, under what the script has set. */
	readonly shell?: string | undefined
}

/** Where Node.js itself would keep them: compiled sources take a third of the time to start. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')

/** Starts `file` with `args`; the environment says that nobody looks at colours. */
export function startProgram(file: string, args: readonly string[] = [], options: ProgramOptions = {}): Program {
	const command = [process.execPath, file, ...args]
	const [executable = '', ...rest] = options.shell === undefined ? command : ['sh', '-c', options.shell, ...command]
	const child = spawn(executable, rest, {
		stdio: ['pipe', 'pipe', 'pipe'],
		env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '', NODE_COMPILE_CACHE: COMPILE_CACHE },
	})
	// One that was killed does not read any more.
	child.stdin.on('error', () => undefined)
	const lines: string[] = []
	const listeners = new Set<(line: string) => void>()
	const reader = createInterface({ input: child.stdout })
	reader.on('line', line => {
		lines.push(line)
		for (const listener of listeners) listener(line)
	})
	const ended = endOf(child, reader)
	const onLine = (listener: (line: string) => void): void => void listeners.add(listener)
	return {
		lines,
		ended,
		onLine,
		line: start =>
			new Promise((resolve, reject) => {
				const look = (line: string): void => {
					if (!line.startsWith(start)) return
					listeners.delete(look)
					resolve(line)
				}
				for (const line of lines) look(line)
				listeners.add(look)
				ended.then(
					({ stderr }) => reject(new Error(`the program ended without a line that begins with ${start}: ${stderr}`)),
					reject,
				)
			}),
		tell: line => void child.stdin.write(`${line}\n`),
		kill: signal => void child.kill(signal),
		async [Symbol.asyncDispose]() {
			child.kill('SIGKILL')
			await ended
		},
	}
}

async function endOf(child: ChildProcess, output: NodeJS.EventEmitter): Promise<ProgramEnd> {
	let stderr = ''
	child.stderr?.setEncoding('utf8').on('data', (text: string) => {
		stderr += text
	})
	const [end] = await Promise.all([
		new Promise<Omit<ProgramEnd, 'stderr'>>((resolve, reject) => {
			child.once('error', reject)
			child.once('close', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }))
		}),
		new Promise(resolve => output.once('close', resolve)),
	])
	return { ...end, stderr }
}
