/**
 * A process beside the one that tests: `node object-racer.ts <what> <directory> <name> <count>`. It prints `ready`,
 * starts at the first byte of its input, and prints one line for each thing that it did.
 */
import { once } from 'node:events'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { printLine } from './print-line.ts'

const [what = '', directory = '', name = '', count = '0'] = process.argv.slice(2)

/** The body of a key: whoever sees part of one can tell. */
export function bodyOf(key: string, by: string): Uint8Array {
	return new Uint8Array(Buffer.from(`${key} by ${by};`.repeat(500)))
}

async function race(): Promise<void> {
	const store = await openFileStore({ directory })
	printLine('ready')
	await once(process.stdin, 'data')
	process.stdin.pause()
	const keys = Array.from({ length: Number(count) }, (_, i) => `race/${i % 7}/${i}`)
	for (let i = 0; i < keys.length; i += 8) {
		const batch = keys.slice(i, i + 8)
		const outcomes = await Promise.all(batch.map(key => store.createIfAbsent(key, bodyOf(key, name))))
		for (const [at, outcome] of outcomes.entries()) printLine(`${outcome.kind} ${batch[at]}`)
	}
	await store.close()
}

/** Until somebody kills it. */
async function createForEver(): Promise<void> {
	const store = await openFileStore({ directory })
	printLine('ready')
	for (let i = 0; ; i++) {
		const keys = [0, 1, 2, 3].map(lane => `kill/${name}-${i}-${lane}`)
		await Promise.all(
			keys.map(async key => {
				const outcome = await store.createIfAbsent(key, bodyOf(key, name))
				printLine(`${outcome.kind} ${key}`)
			}),
		)
	}
}

/** One write of `count` bytes, and the code that it fails with. */
async function writeOnce(): Promise<void> {
	const store = await openFileStore({ directory })
	for (const write of [
		() => store.createIfAbsent('written', new Uint8Array(Number(count))),
		() => store.put('written', new Uint8Array(Number(count))),
	]) {
		try {
			await write()
			printLine('done')
		} catch (error) {
			printLine(String(error instanceof Error && 'code' in error ? error.code : error))
		}
	}
	await store.close()
}

const PROGRAMS: Readonly<Record<string, () => Promise<void>>> = { race, createForEver, writeOnce }
await PROGRAMS[what]?.()
