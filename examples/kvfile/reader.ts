/** The reader process: told by its parent how far the writer is, it reads at least that far; it writes nothing. */
import assert from 'node:assert/strict'
import { openReader } from '../../src/index.ts'
import { type Flushed, messages } from './role.ts'
import { finalState, rounds, SHORT_LIVED_KEY, URL_OF_DATABASE } from './workload.ts'

// Opened before the writer has made the database: empty then. It looks for news by itself, every 20 ms.
await using reader = await openReader(URL_OF_DATABASE, { refreshIntervalMs: 20 })

let reads = 0
for await (const { round, position } of messages<Flushed>()) {
	const seen = await reader.get('round', { atLeast: position })
	assert(Number(seen) >= round, `round ${round} was flushed at ${position}, but the reader sees ${seen}`)
	reads++
	if (round === rounds.length - 1) break
}

assert.deepEqual(await stateWithout(SHORT_LIVED_KEY), finalState())
console.log(
	`reader   process ${process.pid}: ${reads} reads at a position, then ${finalState().length} rows as expected`,
)

/** All rows, once `key` has expired. */
async function stateWithout(key: string): Promise<[string, string][]> {
	while (await reader.has(key)) await new Promise(resolve => setTimeout(resolve, 1))
	const rows: [string, string][] = []
	for await (const row of reader.entries()) rows.push(row)
	return rows
}
