/** The producer process: appends events in batches, each of them durable on the container before the next one begins. */
import { setTimeout } from 'node:timers/promises'
import { openWriter } from '../../src/index.ts'
import { eventKey, URL_OF_STREAM } from './events.ts'

const BATCH = 50
/** Between two batches, so that the consumer meets both a backlog and an idle stream. */
const PAUSE_MS = 20

const count = Number(process.argv[2])
await using writer = await openWriter(URL_OF_STREAM)
for (let from = 0; from < count; from += BATCH) {
	const batch = writer.batch()
	for (let number = from; number < Math.min(from + BATCH, count); number++) {
		batch.put(eventKey(number), JSON.stringify({ number, order: `order ${number}`, amount: (number * 7919) % 10_000 }))
	}
	await writer.write(batch, { durable: true })
	await setTimeout(PAUSE_MS)
}
console.log(`producer process ${process.pid}: ${count} events in ${writer.stats().commits} commits`)
