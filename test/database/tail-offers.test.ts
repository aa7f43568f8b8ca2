/** Large tables that a tail of the same process waits for stay in memory until it has them. */
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const scratch = scratchDirectories()
const ROWS = 30_000

test('a tail of the process that writes asks the store for nothing, however large the table', async () => {
	// Tables of more than 2 MiB are built in memory that is used again, unless somebody waits for them.
	await using db = await open(pathToFileURL(scratch()).href, { flushIntervalMs: 0, codec: 'none', maintenance: false })
	await db.put('first', '')
	await db.flush()
	const changes = db.changes({ from: 'start' })[Symbol.asyncIterator]()
	expect((await changes.next()).value).toHaveLength(1)
	const reads = (): number => db.requests().byKind.getRange.requests + db.requests().byKind.get.requests
	for (let round = 0; round < 2; round++) {
		const readsBefore = reads()
		// It waits at the end of the log by then, as a tail does.
		let next = changes.next()
		for (let i = 0; i < ROWS; i++) await db.put(`key ${round} ${i}`, 'v'.repeat(100))
		await db.flush()
		for (let seen = 0; seen < ROWS; ) {
			seen += (await next).value?.length ?? Number.NaN
			if (seen < ROWS) next = changes.next()
		}
		expect(reads() - readsBefore).toBe(0)
	}
	await changes.return?.()
})
