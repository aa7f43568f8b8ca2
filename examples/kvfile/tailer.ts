/**
 * The tailer process: handles every change in order, and keeps its cursor in a file. Started with a number it stops after
 * so many changes; started again it goes on exactly behind them.
 */
import { fileCheckpoint, openReader } from '../../src/index.ts'
import { tell } from './role.ts'
import { allOperations, CURSOR_FILE, URL_OF_DATABASE } from './workload.ts'

const stopAfter = Number(process.argv[2] ?? Number.POSITIVE_INFINITY)

await using reader = await openReader(URL_OF_DATABASE)
let handled = 0
const last = allOperations.at(-1)

const consumption = reader.consume({
	checkpoint: fileCheckpoint(CURSOR_FILE),
	// Where no cursor was saved yet: from the first change there ever was.
	from: { timeMs: 0 },
	pollIntervalMs: 20,
	handler: ({ kind, key, value }) => {
		tell({ kind, key, value: value ?? null })
		const isLast = kind === 'put' && key === last?.key && last.kind === 'put' && value === last.value
		// Not awaited: it waits for this handler.
		if (++handled >= stopAfter || isLast) void consumption.stop()
	},
})
await consumption.finished
console.log(`tailer   process ${process.pid}: ${handled} changes, cursor saved: ${consumption.savedCursor}`)
