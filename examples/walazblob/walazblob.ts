/**
 * A write-ahead log of events on Azure Blob Storage: `npm run walazblob [-- --seed 1]`.
 *
 * 1. Azurite starts, an emulator of Azure Blob Storage; the processes find it in AZURE_STORAGE_CONNECTION_STRING.
 * 2. A producer appends events.
 * 3. A consumer tails them, and is killed with SIGKILL at random, again and again, also while it starts; each time
 *    another one goes on from the saved cursor.
 * 4. Its diary must show every event at least once, in order, nothing skipped, and no event again that was saved.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startAzurite } from './azurite.ts'
import { CONTAINER, checkDiary, DIRECTORY, readDiary } from './events.ts'

const EVENTS = 3000
const KILLS = 10

const { values } = parseArgs({ options: { seed: { type: 'string' } } })
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const random = randomFrom(seed)
console.log(`seed ${seed}: ${EVENTS} events, and a consumer that is killed ${KILLS} times`)

rmSync(DIRECTORY, { recursive: true, force: true })
mkdirSync(DIRECTORY, { recursive: true })
const children = new Set<ChildProcess>()
// When one fails, this process ends, and none of the others is left behind.
process.on('exit', () => {
	for (const child of children) child.kill('SIGKILL')
})
const azurite = await startAzurite(CONTAINER)
process.env['AZURE_STORAGE_CONNECTION_STRING'] = azurite.connectionString

const producer = start('producer.ts')
const produced = once(producer, 'close')
for (let kill = 0; kill < KILLS; kill++) await liveAndDie()
const [code] = await once(start('consumer.ts'), 'close')
if (code !== 0) throw new Error(`the last consumer ended with ${code}`)
const [producerCode] = await produced
if (producerCode !== 0) throw new Error(`the producer ended with ${producerCode}`)
azurite.stop()

const runs = readDiary()
const repeats = checkDiary(runs, EVENTS)
const unsaved = runs.reduce((sum, { savedBefore, handledBefore }) => sum + handledBefore - savedBefore, 0)
console.log(
	`every one of ${EVENTS} events was handled, in order, over ${runs.length - 1} deaths; ` +
		`${repeats} were handled again, of ${unsaved} that had not been saved`,
)
if (repeats > unsaved) throw new Error('more events were handled again than had not been saved')

/** One life of the consumer: it is killed after a random number of events, or, one time in five, at once or while it starts. */
async function liveAndDie(): Promise<void> {
	const consumer = start('consumer.ts')
	const dead = once(consumer, 'close')
	if (random() < 0.2) {
		await Promise.race([dead, new Promise(resolve => setTimeout(resolve, random() * 800))])
	} else {
		let left = 1 + Math.floor((random() * EVENTS) / KILLS)
		await Promise.race([
			dead,
			new Promise<void>(resolve => {
				consumer.on('message', () => {
					if (--left === 0) resolve()
				})
			}),
		])
	}
	consumer.kill('SIGKILL')
	const [exitCode, signal] = await dead
	if (signal !== 'SIGKILL' && exitCode !== 0) throw new Error(`a consumer ended by itself, with ${exitCode}`)
}

function start(file: string): ChildProcess {
	const child = fork(join(import.meta.dirname, file), [String(EVENTS)])
	children.add(child)
	child.once('close', () => children.delete(child))
	return child
}

/** A small generator with a seed (mulberry32), so that a run can be had again. */
function randomFrom(start: number): () => number {
	let state = start
	return () => {
		state = (state + 0x6d2b79f5) | 0
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
	}
}
