/**
 * A server that tests run beside them as a process of its own: started, awaited by a line that it prints, stopped, and
 * never left behind: it dies with this process, also when that is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Where Linux has it; elsewhere a killed test run may leave a server behind. */
const DIES_WITH_PARENT = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--']

export interface ServerProcess {
	/** What the line matched. */
	readonly ready: RegExpExecArray
	stop(): Promise<void>
}

/**
 * Starts `program` with `settings` in its environment; resolves when it has printed a line that matches `readyLine`,
 * rejects when it ends before.
 */
export async function startServerProcess(
	program: string,
	args: readonly string[],
	readyLine: RegExp,
	settings: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
	const tied = existsSync(DIES_WITH_PARENT[0] ?? '') ? DIES_WITH_PARENT : []
	const [command = program, ...rest] = [...tied, program, ...args]
	const env = { ...process.env, NODE_OPTIONS: '', ...settings }
	const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env })
	const ready = await lineOf(child, readyLine)
	return { ready, stop: () => stop(child) }
}

function lineOf(child: ChildProcess, readyLine: RegExp): Promise<RegExpExecArray> {
	const printed: string[] = []
	return new Promise((resolve, reject) => {
		child.once('error', reject)
		child.once('exit', code =>
			reject(new Error(`the server ended with ${code} before it was ready\n${printed.join('\n')}`)),
		)
		for (const output of [child.stdout, child.stderr]) {
			if (output === null) continue
			// Read to the end, so that the server never waits for a reader.
			createInterface({ input: output }).on('line', line => {
				if (printed.length < 100) printed.push(line)
				const match = readyLine.exec(line)
				if (match !== null) resolve(match)
			})
		}
	})
}

async function stop(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return
	const ended = new Promise<void>(resolve => void child.once('exit', () => resolve()))
	child.kill('SIGKILL')
	await ended
}
