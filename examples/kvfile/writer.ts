/** The writer process: the only one that writes, and whoever wrote before is fenced. Tells its parent what is durable. */
import { openWriter } from '../../src/index.ts'
import { tell } from './role.ts'
import { rounds, URL_OF_DATABASE } from './workload.ts'

await using writer = await openWriter(URL_OF_DATABASE)

for (const [round, operations] of rounds.entries()) {
	for (const operation of operations) {
		if (operation.kind === 'delete') await writer.delete(operation.key)
		else await writer.put(operation.key, operation.value, { ttlMs: operation.ttlMs })
	}
	// Accepted until here; after this it is on disk, and a reader that asks for `position` sees it.
	const position = await writer.flush()
	tell({ round, position })
}
console.log(`writer   process ${process.pid}: ${rounds.flat().length} changes in ${writer.stats().commits} commits`)
