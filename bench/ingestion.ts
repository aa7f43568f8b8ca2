/**
 * Records into a database, put by put or by batches, from the first put until the last commit is durable and the database
 * is closed: its rate, and what it uses. It ends after a time also where there would be more records.
 */
import { closedLoops } from './closed-loops.ts'
import type { Datum, Session } from './engine.ts'
import type { Figures, Task } from './scenario.ts'
import { Usage } from './usage.ts'

/** Record `i` of a workload. A key may be the same view again once the records in flight are done. */
export interface RecordSource {
	readonly key: (i: number) => Datum
	readonly value: (i: number) => Datum
}

export type IngestMode = 'put' | 'batch' | 'batch-sync'

const PROGRESS_STEPS = 20

export async function measureIngestion(
	session: Session,
	source: RecordSource,
	mode: IngestMode,
	{ engine, plan, progress }: Pick<Task, 'engine' | 'plan' | 'progress'>,
): Promise<Figures> {
	const { records, batch } = plan
	const sourceNs = sourceCostNs(source, Math.min(records, 500_000))
	const maxMs = plan.seconds * 1000
	const usage = await Usage.start(session)
	const started = performance.now()
	const written = await (mode === 'put' ? putAll() : writeAll())
	const acceptedMs = performance.now() - started
	await session.commit()
	await session.close()
	const elapsedMs = performance.now() - started
	return {
		...(await usage.stop(written)),
		putsPerSecond: (written / elapsedMs) * 1000,
		records: written,
		acceptedMs,
		sourceNs,
	}

	async function putAll(): Promise<number> {
		const step = Math.max(1, Math.floor(records / PROGRESS_STEPS))
		const { done } = await closedLoops({ clients: engine.putsInFlight, count: records, maxMs }, i => {
			if (i % step === 0) progress(i / records)
			return session.put(source.key(i), source.value(i))
		})
		return done
	}

	async function writeAll(): Promise<number> {
		const batches = Math.ceil(records / batch)
		const { done } = await closedLoops({ clients: 1, count: batches, maxMs, perLook: 1 }, async i => {
			progress(i / batches)
			const keys: Datum[] = []
			const values: Datum[] = []
			for (let j = i * batch; j < Math.min(records, (i + 1) * batch); j++) {
				keys.push(source.key(j))
				values.push(source.value(j))
			}
			await session.writeBatch(keys, values, mode === 'batch-sync')
		})
		return Math.min(records, done * batch)
	}
}

/** What making the records takes, without storing them. */
function sourceCostNs(source: RecordSource, records: number): number {
	let length = 0
	const started = performance.now()
	for (let i = 0; i < records; i++) length += source.key(i).length + source.value(i).length
	const ns = ((performance.now() - started) * 1e6) / records
	return length > 0 ? ns : 0
}
