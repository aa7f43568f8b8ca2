/** A database of a certain shape for what only reads: so many commits, merged or not. */
import { openCompactor, openWriter } from '../src/index.ts'
import { load } from './loading.ts'
import type { Workload } from './workload.ts'

export interface Layout {
	readonly commits: number
	readonly isMerged: boolean
}

/** By a writer that maintains nothing, beneath `db`. */
export async function buildLayout(
	url: string,
	workload: Workload,
	codec: 'none' | 'lz4',
	records: number,
	{ commits, isMerged }: Layout,
	progress: (done: number) => void,
): Promise<void> {
	const writer = await openWriter(url, {
		prefix: 'db',
		keyEncoding: 'buffer',
		valueEncoding: 'buffer',
		codec,
		flushIntervalMs: 0,
		memtableMaxBytes: 268_435_456,
		// Tables in objects of their own, whatever their size, as those of a database that is large.
		inlineMaxBytes: 0,
		l0SlowdownTables: 1_000_000,
	})
	const session = {
		writeBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[]) {
			const batch = writer.batch()
			for (let i = 0; i < keys.length; i++) batch.put(keys[i] as Uint8Array, values[i] as Uint8Array)
			return writer.write(batch)
		},
		commit: async () => void (await writer.flush()),
	}
	await load(session, workload, records, commits, progress)
	await writer.close()
	if (!isMerged) return
	// As few commits as there are may be too light for the defaults.
	const compaction = { l0Tables: 2, runs: 2 }
	const compactor = await openCompactor(url, { prefix: 'db', background: false, compaction })
	await compactor.runOnce()
	await compactor.close()
}
