/** Reads of the writer's own process, while commits replace memtables by tables. */
import { expect, test } from 'vitest'
import { transcoderOf } from '../../src/bytes/encoding.ts'
import { TableSource } from '../../src/cache/table-source.ts'
import { BlobReader } from '../../src/reader/blob-reader.ts'
import { ReadCore } from '../../src/reader/read-core.ts'
import type { ReadView } from '../../src/reader/read-view.ts'
import { blobPackKey } from '../../src/writer/blob-packer.ts'
import { noise, refuseUnhandledRejections, type WriterProcess, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

async function opened(): Promise<
	WriterProcess & {
		readonly rig: WriterRig
		readonly get: (key: string) => Promise<Uint8Array | undefined>
		readonly getMany: (keys: string[]) => Promise<(Uint8Array | undefined)[]>
	}
> {
	const rig = new WriterRig()
	const process = await rig.open({ blobThresholdBytes: 1_024, inlineMaxBytes: 0, memtableMaxBytes: 65_536 })
	const { writer, faults: store } = process
	const values = transcoderOf('buffer', 'values')
	const core = new ReadCore<string, Uint8Array>({
		source: new TableSource({ store, pool: rig.pool, blockCacheBytes: 0, tableCacheBytes: 0 }),
		blobs: new BlobReader({ store, objectKeyOf: blobPackKey, pending: ref => writer.pendingBlob(ref) }),
		pool: rig.pool,
		host: rig.host,
		keys: transcoderOf('utf8', 'keys'),
		values,
	})
	const views = {
		view: (): ReadView => writer.view,
		nowMs: () => rig.clock.nowMs(),
		renew: (_gone: ReadView, cause: unknown) => Promise.reject(cause),
	}
	return { rig, ...process, get: key => core.get(views, key), getMany: keys => core.getMany(views, keys) }
}

/** Commits everything, and writes over the memory that this frees. */
async function commitAndOverwrite({ rig, writer }: WriterProcess & { readonly rig: WriterRig }): Promise<void> {
	await rig.drive(writer.flush())
	for (let i = 0; i < 100; i++) await writer.put(`other ${i}`, noise(300, i))
}

test('a read that waits for the store outlives the memtables that it began with', async () => {
	const process = await opened()
	const { rig, writer, faults, get, getMany } = process
	await writer.put('old', 'in a table')
	await rig.drive(writer.flush())
	const reads = [async () => [await get('old')], () => getMany(['old', 'new'])]
	const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString()
	for (const read of reads) {
		await writer.put('new', 'in memory')
		const held = faults.hold({ operation: 'getRange' })
		const reading = read()
		await held.reached
		await commitAndOverwrite(process)
		held.release()
		expect((await rig.drive(reading)).map(text)).toEqual(['in a table', 'in memory'].slice(0, reads.indexOf(read) + 1))
	}
	expect(writer.view.memtables.every(memtable => memtable.bytes > 0)).toBe(true)
})

test('a large value is read from the place that its reference named, whatever happens to the memory of the reference', async () => {
	const process = await opened()
	const { rig, writer, get } = process
	const value = noise(5_000)
	for (let round = 0; round < 20; round++) {
		await writer.put('large', value)
		const flushed = writer.flush()
		const reads: Promise<Uint8Array | undefined>[] = []
		// One read begins in each turn of the microtask queue while the commit is published.
		for (let i = 0; i < 200; i++) {
			reads.push(get('large'))
			await Promise.resolve()
		}
		await rig.drive(flushed)
		for (let i = 0; i < 100; i++) await writer.put(`other ${i}`, noise(300, i))
		for (const read of reads) expect(await rig.drive(read)).toEqual(value)
	}
})
