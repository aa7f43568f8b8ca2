/** Fills a database before what is measured begins. */
import type { Session } from './engine.ts'
import type { Workload } from './workload.ts'

const BATCH = 1_000

/**
 * Writes records `[0, records)` in `parts` commits: part p holds the records i with i % parts = p, so that each part lies
 * over the whole range of keys.
 */
export async function load(
	session: Pick<Session, 'writeBatch' | 'commit'>,
	workload: Workload,
	records: number,
	parts: number,
	progress: (done: number) => void,
): Promise<void> {
	let written = 0
	for (let part = 0; part < parts; part++) {
		for (let i = part; i < records; i += parts * BATCH) {
			const keys: Uint8Array[] = []
			const values: Uint8Array[] = []
			for (let j = i; j < Math.min(records, i + parts * BATCH); j += parts) {
				// A key is copied here: records of a batch are not neighbours, and would share places of the ring.
				keys.push(new Uint8Array(workload.key(j)))
				values.push(workload.value(j))
			}
			await session.writeBatch(keys, values, false)
			written += keys.length
			progress(written / records)
		}
		await session.commit()
	}
}
