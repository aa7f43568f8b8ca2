/**
 * Fills a database for the compaction scenario, in a process of its own, so that what loading takes of memory is not counted:
 * `load-compaction.ts <url> <records> <value bytes> <codec> <seed>`. Nothing is merged meanwhile.
 */
import { open } from '../src/index.ts'
import { Workload } from './workload.ts'

/** In L0 at least, so that there is something to merge also when the input is small. */
const TABLES_MIN = 16
const [url = '', records = '0', valueBytes = '100', codec = 'none', seed = '1'] = process.argv.slice(2)
const workload = new Workload(Number(seed), Number(valueBytes), 1)
const db = await open(url, {
	keyEncoding: 'buffer',
	valueEncoding: 'buffer',
	codec: codec === 'none' ? 'none' : 'lz4',
	maintenance: false,
	// Nobody merges: L0 may be as deep as it gets.
	l0SlowdownTables: 1_000_000,
})
const commit = Math.ceil(Number(records) / TABLES_MIN)
for (let i = 0; i < Number(records); i++) {
	await db.put(workload.key(i), workload.value(i))
	if (i % commit === commit - 1) await db.flush()
}
await db.flush()
await db.close()
