/** The manifest of a writer whose tables are maintained, by this process and by others. */
import { expect, test } from 'vitest'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { EditRecord } from '../../src/manifest/edit.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import { writerSettings } from '../../src/writer/options.ts'
import { Writer } from '../../src/writer/writer.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { manualHost } from '../support/manual-clock.ts'
import { gate, ScriptedStore } from '../support/scripted-store.ts'

let claims = 500

function openWriter(store: ScriptedStore): Promise<Writer> {
	const host = manualHost(++claims)
	return Writer.open({ store, host, pool: createInlinePool(host) }, writerSettings({ flushIntervalMs: 0 }))
}

async function claimOwner(store: ScriptedStore, records: EditRecord[] = []): Promise<MaintenanceOwner> {
	return await MaintenanceOwner.claim({
		store,
		host: manualHost(++claims),
		note: { policies: ['merge'], writerEpoch: 0 },
		onRecord: record => records.push(record),
	})
}

async function merge(owner: MaintenanceOwner): Promise<EditRecord> {
	await owner.follow()
	const { l0 } = owner.manifest
	const id = owner.nextTableId()
	const table = tableOf(id, l0[0]?.meta.minSeq ?? 0, l0.at(-1)?.meta.maxSeq ?? 0)
	return await owner.append([
		{ kind: 'replace', remove: l0.map(ref => ref.id), add: [{ runId: id, table }], addPacks: [] },
	])
}

async function put(writer: Writer, key: string): Promise<void> {
	await writer.put(key, 'value')
	await writer.flush()
}

const shape = ({ manifest }: Writer): [number, number] => [manifest.l0.length, manifest.runs.length]

test('a writer folds in what the maintainer of its process did, each record once', async () => {
	const store = new ScriptedStore()
	const writer = await openWriter(store)
	await put(writer, 'a')
	const records: EditRecord[] = []
	const owner = await claimOwner(store, records)
	// The claim began an epoch: what stands before it may be missing here.
	expect(writer.applyEdits(records)).toBe(false)
	await writer.followEdits()
	const merged = await merge(owner)
	expect(writer.applyEdits([merged])).toBe(true)
	expect(shape(writer)).toEqual([0, 1])
	expect(writer.applyEdits(records)).toBe(true)
	await put(writer, 'b')
	expect(shape(writer)).toEqual([1, 1])
	expect(await loadManifest(new DatabaseLogs(store))).toEqual(writer.manifest)
	await writer.close()
})

test('a writer that opens sees what was maintained before', async () => {
	const store = new ScriptedStore()
	const first = await openWriter(store)
	await put(first, 'a')
	await merge(await claimOwner(store))
	const second = await openWriter(store)
	expect(shape(second)).toEqual([0, 1])
	await second.close()
})

test.each(['are read', 'are handed over'])(
	'edits that name commits of another writer say that it has taken over: when they %s',
	async how => {
		const store = new ScriptedStore()
		const first = await openWriter(store)
		await put(first, 'a')
		const records: EditRecord[] = []
		const owner = await claimOwner(store, records)
		await first.followEdits()
		const second = await openWriter(store)
		await put(second, 'b')
		const merged = await merge(owner)
		expect(first.failure).toBeUndefined()
		if (how === 'are read') await first.followEdits()
		else expect(first.applyEdits([merged])).toBe(true)
		expect(first.failure).toMatchObject({ code: 'ISLE_FENCED', details: { epoch: 1 } })
		await expect(first.put('c', 'value')).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		await first.close().catch(() => undefined)
		await second.close()
	},
)

test('edits that name commits which are not published yet are held until they are', async () => {
	const store = new ScriptedStore()
	const writer = await openWriter(store)
	await put(writer, 'a')
	const owner = await claimOwner(store)
	await writer.followEdits()
	const held = gate()
	store.onCreate = async (_key, run) => {
		const outcome = await run()
		await held.opened
		return outcome
	}
	const second = put(writer, 'b')
	while (owner.manifest.lastSeq < 2) {
		await new Promise(resolve => setImmediate(resolve))
		await owner.follow()
	}
	store.onCreate = (_key, run) => run()
	const merged = await merge(owner)
	expect(writer.applyEdits([merged])).toBe(true)
	expect(shape(writer)).toEqual([1, 0])
	held.open()
	await second
	expect(shape(writer)).toEqual([0, 1])
	await writer.close()
})

test('a writer finds edits of maintainers elsewhere, also when their records are gone, and keeps its own commits', async () => {
	const store = new ScriptedStore()
	const writer = await openWriter(store)
	await put(writer, 'a')
	await merge(await claimOwner(store))
	const owner = await claimOwner(store)
	const { maintenancePosition } = await owner.checkpoint()
	const { maintenance } = new DatabaseLogs(store)
	expect(maintenancePosition).toEqual({ epoch: 2, slot: 1 })
	for (const slot of [0, 1]) await store.delete(maintenance.key({ epoch: 1, slot }))
	const held = gate()
	store.onGet = async (key, run) => {
		const bytes = await run()
		if (key.startsWith('checkpoints/')) await held.opened
		return bytes
	}
	const following = writer.followEdits()
	await put(writer, 'b')
	held.open()
	await following
	expect(shape(writer)).toEqual([1, 1])
	expect(writer.manifest.announced?.maintenancePosition).toEqual(maintenancePosition)
	await put(writer, 'c')
	expect(await loadManifest(new DatabaseLogs(store))).toEqual(writer.manifest)
	await writer.close()
})

test('a writer that was fenced does not take the state of its successor for its own', async () => {
	const store = new ScriptedStore()
	const writer = await openWriter(store)
	await put(writer, 'a')
	const before = writer.manifest
	const next = await openWriter(store)
	await put(next, 'b')
	const owner = await claimOwner(store)
	await owner.checkpoint()
	await store.delete(new DatabaseLogs(store).maintenance.key({ epoch: 1, slot: 0 }))
	await expect(writer.followEdits()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
	expect(writer.manifest).toBe(before)
	await next.close()
})
