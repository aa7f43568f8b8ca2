import { describe, expect, test } from 'vitest'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { earliestMark, manifestAt } from '../../src/manifest/past-manifest.ts'
import { CommitWriter } from '../support/commit-writer.ts'
import { sharedStore } from '../support/followed-prefix.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'
import { manualHost } from '../support/manual-clock.ts'
import type { ScriptedStore } from '../support/scripted-store.ts'

let claims = 700
const expired = expect.objectContaining({ code: 'ISLE_EXPIRED' })
const loaded = (store: ScriptedStore): Promise<Manifest> => loadManifest(new DatabaseLogs(store))
const claimOwner = (store: ScriptedStore): Promise<MaintenanceOwner> =>
	MaintenanceOwner.claim({ store, host: manualHost(++claims), note: { policies: [], writerEpoch: 0 } })

async function mergeAll(owner: MaintenanceOwner): Promise<void> {
	await owner.follow()
	const { l0, runs, lastSeq } = owner.manifest
	const id = owner.nextTableId()
	const remove = [...l0, ...runs.flatMap(run => run.tables)].map(table => table.id)
	await owner.append([{ kind: 'replace', remove, add: [{ runId: id, table: tableOf(id, 1, lastSeq) }], addPacks: [] }])
}

describe('the state at an older position', () => {
	test('is that of each moment, over takeovers, merges and checkpoints', async () => {
		const { shared, writer: first } = await sharedStore(1)
		let writer = first
		const owner = await claimOwner(shared)
		const moments: Manifest[] = [await loaded(shared)]
		for (let step = 0; step < 12; step++) {
			if (step % 5 === 4) writer = await CommitWriter.claim(shared)
			await writer.commit(1 + (step % 3))
			if (step % 4 === 1) await mergeAll(owner)
			moments.push(await loaded(shared))
			if (step % 4 === 3) {
				await owner.follow()
				await owner.checkpoint()
			}
		}
		const current = await loaded(shared)
		for (const { writerPosition, lastSeq, lastCommitMs } of moments) {
			const past = await manifestAt(shared, writerPosition, current)
			expect(past).toMatchObject({ writerPosition, lastSeq, lastCommitMs })
			const tables = [...past.runs.flatMap(run => run.tables), ...past.l0].map(table => table.meta)
			expect(tables.reduce((sum, meta) => sum + meta.maxSeq - meta.minSeq + 1, 0)).toBe(lastSeq)
		}
	})

	test('begins with the newest checkpoint that does not reach beyond it: 1 LIST, 1 GET, and the commits between', async () => {
		const { shared, writer } = await sharedStore(30)
		const owner = await claimOwner(shared)
		await owner.checkpoint()
		const position = { epoch: 1, slot: 31 }
		for (let commit = 0; commit < 3; commit++) await writer.commit()
		await owner.follow()
		await owner.checkpoint()
		const current = await loaded(shared)
		shared.calls.length = 0
		expect((await manifestAt(shared, position, current)).lastSeq).toBe(31)
		expect(shared.count('list')).toBe(1)
		expect(shared.count('get', 'checkpoints/')).toBe(1)
		expect(shared.count('get', 'log/')).toBeLessThanOrEqual(8)
	})

	test('costs nothing when it is the present one', async () => {
		const { shared } = await sharedStore(2)
		const current = await loaded(shared)
		shared.calls.length = 0
		expect(await manifestAt(shared, current.writerPosition, current)).toBe(current)
		expect(shared.calls).toEqual([])
	})

	test('is there at the floor and ISLE_EXPIRED below it', async () => {
		const { shared, writer } = await sharedStore(3)
		const owner = await claimOwner(shared)
		await owner.checkpoint()
		const floor = owner.manifest.marks.at(-1)?.position ?? { epoch: 0, slot: 0 }
		await writer.commit()
		expect(earliestMark(owner.manifest)).toBe(undefined)
		await owner.append([{ kind: 'floor', position: floor }])
		const current = await loaded(shared)
		expect(earliestMark(current)).toMatchObject({ position: floor, lastSeq: 3 })
		expect((await manifestAt(shared, floor, current)).lastSeq).toBe(3)
		await expect(manifestAt(shared, { epoch: 1, slot: 2 }, current)).rejects.toEqual(expired)
	})

	test('is ISLE_EXPIRED, and never less than it was, when commits or the checkpoint before it are gone', async () => {
		const { shared, writer } = await sharedStore(4)
		const current = await loaded(shared)
		const { writer: log } = new DatabaseLogs(shared)
		const gone = log.key({ epoch: 1, slot: 1 })
		const bytes = await shared.inner.get(gone)
		await shared.inner.delete(gone)
		for (const slot of [2, 3]) {
			await expect(manifestAt(shared, { epoch: 1, slot }, current)).rejects.toEqual(expired)
		}
		expect((await manifestAt(shared, { epoch: 1, slot: 1 }, current)).lastSeq).toBe(1)
		await shared.inner.put(gone, bytes ?? new Uint8Array(0))
		const owner = await claimOwner(shared)
		await owner.checkpoint()
		await owner.append([{ kind: 'floor', position: { epoch: 1, slot: 4 } }])
		await writer.commit()
		await writer.commit()
		const later = await loaded(shared)
		expect((await manifestAt(shared, { epoch: 1, slot: 5 }, later)).lastSeq).toBe(5)
		shared.onGet = async (key, run) => (key.startsWith('checkpoints/') ? undefined : await run())
		await expect(manifestAt(shared, { epoch: 1, slot: 5 }, later)).rejects.toEqual(expired)
	})
})
