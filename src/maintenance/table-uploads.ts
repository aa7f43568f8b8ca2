/** Uploads what a range of a merge has made, all of it or nothing, and gives its memory back. */
import type { MergeTablesOutput } from '../../workers/merge-job.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { MergeLoan } from './merge-memory.ts'
import type { MergeComponents } from './merge-task.ts'

/** @throws what the store throws, the signal's reason; then what was stored is deleted, now or later. */
export async function uploadTables(
	{ uploads, onTable }: Pick<MergeComponents, 'uploads' | 'onTable'>,
	{ tables }: Pick<MergeTablesOutput, 'tables'>,
	loan: MergeLoan,
	signal: AbortSignal,
): Promise<readonly TableRef[]> {
	const puts = tables.map(async ({ bytes, meta }) => {
		const { table, isLetGo } = await uploads.putTable(bytes, meta, signal)
		onTable?.(table, bytes)
		if (isLetGo) loan.giveBack(bytes.buffer)
		return table
	})
	const settled = await Promise.allSettled(puts)
	const stored = settled.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
	const failure = settled.find(result => result.status === 'rejected')
	if (failure === undefined && !signal.aborted) return stored
	await uploads.discard(stored.map(table => table.objectKey))
	throw failure === undefined ? signal.reason : failure.reason
}
