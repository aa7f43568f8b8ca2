/**
 * A key-value database in a local directory, shared by three processes: `npm run kvfile`.
 *
 * 1. A reader and a tailer open the directory, in which nothing is yet.
 * 2. A writer puts, deletes, lets keys expire and flushes, round by round.
 * 3. The reader reads at each position that was flushed; the tailer is stopped in the middle and started again, and goes
 *    on from the cursor that it keeps in a file.
 * 4. What the tailer saw, before and after, must be what was written: every change, once, in order.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { ended, type Flushed, type Handled, start } from './role.ts'
import { allOperations, DIRECTORY } from './workload.ts'

const STOP_TAILER_AFTER = 123

rmSync(DIRECTORY, { recursive: true, force: true })

const handled: Handled[] = []
const reader = start('reader.ts')
const firstTailer = start('tailer.ts', String(STOP_TAILER_AFTER))
const writer = start('writer.ts')
// When one fails, this process ends, and none of the others is left behind.
process.on('exit', () => {
	for (const child of [reader, firstTailer, writer]) child.kill()
})
writer.on('message', flushed => reader.send(flushed as Flushed))
firstTailer.on('message', change => handled.push(change as Handled))

await Promise.all([ended(reader, 'reader'), ended(writer, 'writer'), tail()])

const written = allOperations.map(operation => ({
	kind: operation.kind,
	key: operation.key,
	value: operation.kind === 'put' ? operation.value : null,
}))
assert.deepEqual(handled, written, 'the tailer must see every change, once, in order')
console.log(`kvfile   ${written.length} changes written; the tailer saw each of them once and in order, over a restart`)

/** The first tailer stops by itself; the second one goes on from its cursor. */
async function tail(): Promise<void> {
	await ended(firstTailer, 'first tailer')
	assert.equal(handled.length, STOP_TAILER_AFTER)
	const secondTailer = start('tailer.ts')
	process.on('exit', () => secondTailer.kill())
	secondTailer.on('message', change => handled.push(change as Handled))
	await ended(secondTailer, 'second tailer')
}
