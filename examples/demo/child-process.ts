/** Starts another program of the demo as a process of its own, which prints to the same terminal and reports by messages. */
import { fork } from 'node:child_process'
import { join } from 'node:path'

export interface ChildProcess<Message> extends AsyncDisposable {
	/** The first message that `is` accepts. Rejects when the process ends without one. */
	message<Wanted extends Message>(is: (message: Message) => message is Wanted): Promise<Wanted>
	/** Resolves when the process has ended well, and rejects when it has not. */
	readonly done: Promise<void>
	/** Ends the process if it is still there. */
	[Symbol.asyncDispose](): Promise<void>
}

/** A process of the demo that takes longer is stuck. */
const DEADLINE_MS = 180_000

/** `program` is the name of a file beside this one. Its messages are trusted to be of type `Message`. */
export function startProcess<Message>(program: string, args: readonly string[]): ChildProcess<Message> {
	const child = fork(join(import.meta.dirname, program), args, { stdio: 'inherit' })
	const received: Message[] = []
	const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
	const done = new Promise<void>((resolve, reject) => {
		child.once('error', reject)
		child.once('close', (code, signal) => {
			clearTimeout(deadline)
			if (code === 0) resolve()
			else reject(new Error(`${program} ended with ${signal ?? `exit code ${code}`}`))
		})
	})
	done.catch(() => undefined)
	child.on('message', message => received.push(message as Message))
	return {
		done,
		message: is =>
			new Promise((resolve, reject) => {
				const look = (): void => {
					const found = received.find(is)
					if (found === undefined) return
					child.off('message', look)
					resolve(found)
				}
				child.on('message', look)
				look()
				done.then(() => reject(new Error(`${program} ended without a word`)), reject)
			}),
		async [Symbol.asyncDispose]() {
			child.kill('SIGKILL')
			await done.catch(() => undefined)
		},
	}
}

/** For the process that was started: tells its parent, when there is one. */
export function tellParent(message: object): void {
	process.send?.(message)
}
