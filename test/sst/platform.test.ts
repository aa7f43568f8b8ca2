/** A platform without Node's zlib and without addons writes and reads the same format. */
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import type { BuiltTable } from '../../src/sst/table-builder.ts'
import { build, type ModelEntry, readAll, smallEntries } from './table-model.ts'

interface BareReport {
	readonly isBare: boolean
	readonly read: readonly (readonly ModelEntry[])[]
	readonly built: readonly BuiltTable[]
	readonly zstd: string
}

test('tables go both ways between it and this one, and zstd is unsupported there', async () => {
	const given = (['none', 'deflate', 'lz4'] as const).map(codec => build(smallEntries, { codec }))
	const report = await new Promise<BareReport>((resolve, reject) => {
		const thread = new Worker(new URL('./bare-thread.ts', import.meta.url), { workerData: given, execArgv: [] })
		thread.once('message', resolve)
		thread.once('error', reject)
	})
	expect(report.isBare).toBe(true)
	for (const entries of report.read) expect(entries).toEqual(smallEntries)
	expect(report.built.map(table => table.meta.codec)).toEqual(['none', 'deflate', 'lz4'])
	for (const table of report.built) expect(readAll(table)).toEqual(smallEntries)
	expect(report.zstd).toBe('ISLE_UNSUPPORTED')
	// CRCs, filter and layout do not depend on the platform.
	expect(Buffer.compare(report.built[0]?.bytes ?? new Uint8Array(0), given[0]?.bytes ?? new Uint8Array(0))).toBe(0)
})
