/** Starting the processes of the example, and the messages between them. */
import { type ChildProcess, fork } from 'node:child_process'
import { on, once } from 'node:events'
import { join } from 'node:path'

/** From the writer: everything up to this round is durable, at `position`. */
export interface Flushed {
	readonly round: number
	readonly position: string
}

/** From the tailer: a change that it has handled. */
export interface Handled {
	readonly kind: 'put' | 'delete'
	readonly key: string
	readonly value: string | null
}

/** Starts a file of this folder as a process of its own. */
export function start(file: string, ...args: string[]): ChildProcess {
	return fork(join(import.meta.dirname, file), args)
}

/** Resolves when the process has ended, and rejects when it did not end well. */
export async function ended(child: ChildProcess, name: string): Promise<void> {
	const [code, signal] = await once(child, 'close')
	if (code !== 0) throw new Error(`the ${name} ended with ${signal ?? `exit code ${code}`}`)
}

/** What the parent of this process sends, one after another. */
export async function* messages<Message>(): AsyncGenerator<Message> {
	for await (const [message] of on(process, 'message')) yield message as Message
}

/** Tells the parent of this process, if it has one. */
export function tell(message: Flushed | Handled): void {
	process.send?.(message)
}
