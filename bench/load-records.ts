/**
 * Fills a database in a process of its own, so that the memory that loading takes is not counted:
 * `load-records.ts <engine> <directory> <store> <codec> <records> <value bytes> <seed>`. isledb's is merged in the end.
 */
import { loadEngine, loadStore } from './discover.ts'
import { buildLayout } from './layout.ts'
import { load } from './loading.ts'
import { Workload } from './workload.ts'

/** Of isledb: as large as a table of a merged run is, about. */
const RECORDS_PER_COMMIT = 1_000_000
const [name = '', directory = '', store = 'file', codecName = 'none', ...numbers] = process.argv.slice(2)
const [records = 0, valueBytes = 100, seed = 1] = numbers.map(Number)
const codec = codecName === 'none' ? 'none' : 'lz4'
const workload = new Workload(seed, valueBytes, 1)
const quietly = (): void => undefined
if (name === 'isledb') {
	const commits = Math.max(2, Math.ceil(records / RECORDS_PER_COMMIT))
	const url = (await loadStore(store)).url(directory)
	await buildLayout(url, workload, codec, records, { commits, isMerged: true }, quietly)
} else {
	const engine = await loadEngine(name)
	if (engine.kind !== 'embedded') throw new Error(`${name} loads its records itself`)
	const session = await engine.open({ directory, store, codec, form: 'text', isBulkLoad: true })
	await load(session, workload, records, 1, quietly)
	await session.close()
}
