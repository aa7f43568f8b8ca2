/**
 * The consumer process: handles every event in order, and keeps its cursor in a file. It does nothing for the case that
 * it is killed: started again, it goes on behind the cursor that it saved last.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { fileCheckpoint, openReader } from '../../src/index.ts'
import { CURSOR_FILE, DIARY, numberOf, URL_OF_STREAM } from './events.ts'

const SAVE_EVERY_COUNT = 40
const SAVE_INTERVAL_MS = 100

const count = Number(process.argv[2])
const diary = openSync(DIARY, 'a')
const note = (line: string): void => void writeSync(diary, `${line}\n`)
note('started')

const file = fileCheckpoint(CURSOR_FILE)
/** Handled, and not yet saved: the number of each event and its cursor, in order. */
const unsaved: { readonly number: number; readonly cursor: string }[] = []

await using reader = await openReader(URL_OF_STREAM)
const consumption = reader.consume({
	checkpoint: {
		load: () => file.load(),
		async save(cursor) {
			await file.save(cursor)
			let saved: number | undefined
			// Cursors compare as the places in the stream do that they stand for.
			while (unsaved[0] !== undefined && unsaved[0].cursor <= cursor) saved = unsaved.shift()?.number
			if (saved !== undefined) note(`saved ${saved}`)
		},
	},
	// Where no cursor was saved yet: from the first event there ever was.
	from: { timeMs: 0 },
	pollIntervalMs: 20,
	saveEveryCount: SAVE_EVERY_COUNT,
	saveIntervalMs: SAVE_INTERVAL_MS,
	async handler({ key, cursor }) {
		const number = numberOf(key)
		// Stands for what a real handler waits for: a row that is inserted, a mail that is accepted.
		await setTimeout(1)
		note(`handled ${number}`)
		unsaved.push({ number, cursor })
		process.send?.(number)
		// Not awaited: it waits for this handler.
		if (number === count - 1) void consumption.stop()
	},
})
await consumption.finished
closeSync(diary)
if (process.connected) process.disconnect()
