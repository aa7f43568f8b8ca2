/**
 * An engine that is no package of Node.js: a program of ours runs its loops, so that what lies between two processes is not
 * measured with it.
 *
 * The program reads one task as JSON from its standard input, makes the same records (a digest of them is in the task), and
 * writes lines of JSON: `{"done":0.5}` now and then, `{"figures":{…}}` in the end, named as the scenario names them.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import type { Engine } from './engine.ts'
import type { Figures, Plan, Task } from './scenario.ts'
import { Workload } from './workload.ts'

/** What is measured is the program's own to open. */
export type ProgramTask = Omit<Task, 'engine'>

export interface ProgramEngine extends Engine {
	readonly kind: 'program'
	readonly version: string
	/**
	 * Makes the program, or finds that it is made; says so before it takes long. Resolves with what is missing to do so, on one
	 * line; else with undefined.
	 */
	prepare(say: (line: string) => void): Promise<string | undefined>
	measure(task: ProgramTask): Promise<Figures>
}

interface ProgramLine {
	readonly done?: number
	readonly figures?: Figures
}

/** @throws Error when it ends without figures; it has told why on standard error. */
export async function runProgram(
	program: string,
	task: Readonly<Record<string, unknown>>,
	progress: (done: number) => void,
): Promise<Figures> {
	const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] })
	const ended = new Promise<string>((resolve, reject) => {
		child.once('error', reject)
		child.once('close', (code, signal) => resolve(String(signal ?? code)))
	})
	// A program that ends without reading says so by its exit code.
	child.stdin.on('error', () => undefined).end(JSON.stringify(task))
	let figures: Figures | undefined
	for await (const text of createInterface(child.stdout)) {
		const line: ProgramLine = JSON.parse(text)
		if (line.done !== undefined) progress(line.done)
		figures = line.figures ?? figures
	}
	const end = await ended
	if (figures === undefined || end !== '0') throw new Error(`${program} ended with ${end}`)
	return figures
}

/** Records of a digest: as many as there are different values. */
const DIGEST_RECORDS = 8_192

/** SHA-256 of the first records, key and value in turns: those who make the same ones have the same digest. */
export function digestOf({ seed, valueBytes, records }: Pick<Plan, 'seed' | 'valueBytes' | 'records'>): string {
	const workload = new Workload(seed, valueBytes, 1)
	const hash = createHash('sha256')
	for (let i = 0; i < Math.min(records, DIGEST_RECORDS); i++) hash.update(workload.key(i)).update(workload.value(i))
	return hash.digest('hex')
}
