import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { listCheckpoints } from '../../src/manifest/checkpoint.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { encodeEdits } from '../../src/manifest/edit-codec.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import { MaintenanceWatcher } from '../../src/manifest/maintenance-watcher.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { CommitWriter } from '../support/commit-writer.ts'
import { sharedStore } from '../support/followed-prefix.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { manualHost, settle } from '../support/manual-clock.ts'
import { gate, lostReply, ScriptedStore } from '../support/scripted-store.ts'
import { deleteCommitsBelow } from '../support/text-log.ts'

const NOTE = { policies: ['merge'], writerEpoch: 0 }
let claims = 100

function claimOwner(store: ObjectStore, more: { onRecord?(record: EditRecord): void } = {}): Promise<MaintenanceOwner> {
	return MaintenanceOwner.claim({ store, host: manualHost(++claims), note: NOTE, ...more })
}

/** All of L0 becomes one run. */
function mergeAll(owner: MaintenanceOwner): Edit {
	const { l0 } = owner.manifest
	const id = owner.nextTableId()
	const table = tableOf(id, l0[0]?.meta.minSeq ?? 0, l0.at(-1)?.meta.maxSeq ?? 0)
	return { kind: 'replace', remove: l0.map(ref => ref.id), add: [{ runId: id, table }], addPacks: [] }
}

const loaded = (store: ObjectStore): Promise<Manifest> => loadManifest(new DatabaseLogs(store))

describe('claiming the maintenance log', () => {
	test('where there is no database is refused, and nothing is written', async () => {
		const store = new ScriptedStore()
		await expect(claimOwner(store)).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		expect(await store.keys()).toEqual([])
	})

	test('reads both logs, seals, looks once for both, and says who came', async () => {
		const { shared } = await sharedStore(3)
		const owner = await claimOwner(shared)
		expect(owner.epoch).toBe(1)
		expect(owner.manifest.l0).toHaveLength(3)
		expect(owner.manifest.maintainer).toEqual(NOTE)
		expect(owner.manifest.maintenancePosition).toEqual({ epoch: 1, slot: 1 })
		expect(await loaded(shared)).toEqual(owner.manifest)
		shared.calls.length = 0
		const next = await claimOwner(shared)
		expect(next.epoch).toBe(2)
		expect(shared.count('list')).toBe(2)
		expect(shared.count('createIfAbsent')).toBe(2)
	})

	test('fences the owner before: its next append says so, and so does everything after', async () => {
		const { shared } = await sharedStore(1)
		const first = await claimOwner(shared)
		await claimOwner(shared)
		await expect(first.append([mergeAll(first)])).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		expect(first.failure).toMatchObject({ code: 'ISLE_FENCED' })
		for (const late of [first.append([]), first.checkpoint(), first.follow()]) {
			await expect(late).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		}
		expect((await loaded(shared)).l0).toHaveLength(1)
		expect(await listCheckpoints(shared)).toEqual([])
	})

	test('goes on from the checkpoint of the owner before, when all records below it are gone', async () => {
		const { shared, writer } = await sharedStore(3)
		const first = await claimOwner(shared)
		await first.append([mergeAll(first)])
		const { maintenancePosition, writerPosition } = await first.checkpoint()
		const logs = new DatabaseLogs(shared)
		await deleteCommitsBelow(logs.writer, shared, writerPosition)
		for (let slot = 0; slot < maintenancePosition.slot; slot++) {
			await shared.delete(logs.maintenance.key({ epoch: 1, slot }))
		}
		await writer.commit()
		const next = await claimOwner(shared)
		expect(next.manifest.l0).toHaveLength(1)
		expect(next.manifest.runs).toHaveLength(1)
		expect(next.manifest.announced).toEqual({ maintenancePosition, writerPosition })
		expect(next.nextTableId()).toBe('m2-0')
	})

	test('a maintenance record that is gone below no checkpoint is damage, for maintainers and readers', async () => {
		const { shared } = await sharedStore(2)
		const owner = await claimOwner(shared)
		await owner.append([mergeAll(owner)])
		await owner.append([])
		const key = new DatabaseLogs(shared).maintenance.key({ epoch: 1, slot: 1 })
		await shared.inner.delete(key)
		for (const read of [loaded(shared), claimOwner(shared)]) {
			await expect(read).rejects.toMatchObject({ code: 'ISLE_CORRUPT', message: expect.stringContaining(key) })
		}
	})
})

describe('an owner of the maintenance log', () => {
	test('commits what it appends, in the order of calls, and tells of each record', async () => {
		const { shared } = await sharedStore(2)
		const told: EditRecord[] = []
		const owner = await claimOwner(shared, { onRecord: record => told.push(record) })
		const edit = mergeAll(owner)
		const records = await Promise.all([owner.append([edit]), owner.append([]), owner.append([])])
		expect(records.map(record => record.position.slot)).toEqual([1, 2, 3])
		expect(told.slice(1)).toEqual(records)
		expect(owner.manifest.l0).toEqual([])
		expect(owner.manifest.removed).toHaveLength(2)
		expect(await loaded(shared)).toEqual(owner.manifest)
	})

	test('tells of records that may cross to another thread, also of a table that moves from run to run', async () => {
		const { shared } = await sharedStore(2)
		const owner = await claimOwner(shared)
		await owner.append([mergeAll(owner)])
		const [run] = owner.manifest.runs
		const [table] = run?.tables ?? []
		if (table === undefined) throw new Error('there is a run')
		const runId = owner.nextTableId()
		const add = [{ runId, table }]
		const record = await owner.append([{ kind: 'replace', remove: [table.id], add, addPacks: [] }])
		expect(encodeEdits(structuredClone(record))).toEqual(encodeEdits(record))
		expect(owner.manifest.runs.map(({ id }) => id)).toEqual([runId])
	})

	test('refuses edits that do not fit its state, typed, sends nothing, and lives on', async () => {
		const { shared } = await sharedStore(2)
		const owner = await claimOwner(shared)
		const edit = mergeAll(owner)
		await owner.append([edit])
		shared.calls.length = 0
		await expect(owner.append([edit])).rejects.toMatchObject({ code: 'ISLE_CONFLICT' })
		expect(shared.calls).toEqual([])
		expect(owner.failure).toBe(undefined)
		await owner.append([])
	})

	test('follows the writer for one GET when nothing is new, and through takeovers with one look', async () => {
		const { shared, writer } = await sharedStore(1)
		const owner = await claimOwner(shared)
		shared.calls.length = 0
		await owner.follow()
		expect(shared.calls).toEqual(['get log/0000000000000001/0000000000000001'])
		await writer.commit()
		await owner.follow()
		expect(owner.manifest.lastSeq).toBe(2)
		const next = await CommitWriter.claim(shared)
		await next.commit()
		shared.calls.length = 0
		await owner.follow()
		expect(owner.manifest.lastSeq).toBe(3)
		expect(shared.count('list')).toBe(1)
		await owner.append([mergeAll(owner)])
		expect(await loaded(shared)).toEqual(owner.manifest)
	})

	test('may follow while it appends: neither loses what the other did', async () => {
		const { shared, writer } = await sharedStore(2)
		const owner = await claimOwner(shared)
		await writer.commit()
		const held = gate()
		shared.onGet = async (_key, run) => {
			await held.opened
			return run()
		}
		const following = owner.follow()
		const appended = owner.append([mergeAll(owner)])
		await appended
		held.open()
		await following
		expect(owner.manifest.l0.map(table => table.meta.minSeq)).toEqual([3])
		expect(await loaded(shared)).toEqual(owner.manifest)
	})

	test('goes on when a checkpoint of a fenced maintainer covers more of the writer log', async () => {
		const { shared, writer } = await sharedStore(1)
		const first = await claimOwner(shared)
		const next = await claimOwner(shared)
		const other = await CommitWriter.claim(shared)
		await other.commit()
		await first.follow()
		await expect(first.checkpoint()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		expect(await listCheckpoints(shared)).toHaveLength(1)
		await next.follow()
		expect(next.manifest.lastSeq).toBe(2)
		await next.append([mergeAll(next)])
		expect(await loaded(shared)).toEqual(next.manifest)
		await expect(writer.commit()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
	})

	test('that follows the log of a database that others have collected says that it is fenced', async () => {
		const { shared } = await sharedStore(1)
		const first = await claimOwner(shared)
		const other = await CommitWriter.claim(shared)
		await other.commit()
		const next = await claimOwner(shared)
		await next.checkpoint()
		await expect(first.follow()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		expect(first.failure).toMatchObject({ code: 'ISLE_FENCED' })
	})
})

describe('a checkpoint', () => {
	test('is written, then announced with a mark: 2 PUTs', async () => {
		const { shared } = await sharedStore(2)
		const owner = await claimOwner(shared)
		const before = owner.manifest
		shared.calls.length = 0
		const announced = await owner.checkpoint()
		expect(shared.calls).toHaveLength(2)
		expect(await listCheckpoints(shared)).toMatchObject([
			{ maintenancePosition: before.maintenancePosition, writerPosition: before.writerPosition },
		])
		expect(owner.manifest.announced).toEqual({
			maintenancePosition: before.maintenancePosition,
			writerPosition: before.writerPosition,
		})
		expect(owner.manifest.marks).toEqual([{ position: before.writerPosition, lastSeq: 2, committedAtMs: 20 }])
		expect(announced.record.position).toEqual({ epoch: 1, slot: 1 })
		expect(await loaded(shared)).toEqual(owner.manifest)
	})

	test.each(['before', 'after'] as const)('survives a reply that is lost %s the PUT took effect', async when => {
		const { shared } = await sharedStore(2)
		const host = manualHost(++claims)
		const owner = await MaintenanceOwner.claim({ store: shared, host, note: NOTE })
		let attempts = 0
		shared.onCreate = async (_key, run) => {
			if (attempts++ > 0) return await run()
			if (when === 'after') await run()
			return { kind: 'unknown', cause: lostReply() }
		}
		const done = owner.checkpoint()
		await settle()
		await host.clock.advance(1_000)
		await done
		expect(attempts).toBe(when === 'after' ? 2 : 3)
		expect(await listCheckpoints(shared)).toHaveLength(1)
		expect(await loaded(shared)).toEqual(owner.manifest)
	})
})

describe('a watcher of the maintenance log', () => {
	test('gives each record once, for one GET and one LIST, and knows who maintains', async () => {
		const { shared } = await sharedStore(2)
		const logs = new DatabaseLogs(shared)
		const watcher = new MaintenanceWatcher(logs, await loaded(shared))
		expect(await watcher.poll()).toEqual([])
		const owner = await claimOwner(shared)
		await owner.append([mergeAll(owner)])
		expect((await watcher.poll())?.map(record => record.edits[0]?.kind)).toEqual(['maintainer', 'replace'])
		expect(watcher.note).toEqual(NOTE)
		expect(watcher.position).toEqual({ epoch: 1, slot: 2 })
		shared.calls.length = 0
		expect(await watcher.poll()).toEqual([])
		expect(shared.calls).toHaveLength(2)
	})

	test('says when records between were deleted, and goes on from a state that was loaded', async () => {
		const { shared } = await sharedStore(2)
		const watcher = new MaintenanceWatcher(new DatabaseLogs(shared), await loaded(shared))
		const owner = await claimOwner(shared)
		await owner.checkpoint()
		await shared.delete(new DatabaseLogs(shared).maintenance.key({ epoch: 1, slot: 0 }))
		expect(await watcher.poll()).toBe(undefined)
		watcher.restart(await loaded(shared))
		expect(await watcher.poll()).toEqual([])
		const failed = await claimOwner(shared).then(
			() => undefined,
			error => error,
		)
		expect(isIsleError(failed)).toBe(false)
		expect((await watcher.poll())?.length).toBe(1)
	})
})
