/** Tails of a database that is maintained: tables merged, checkpoints announced, the past given up. */
import { describe, expect, test } from 'vitest'
import { type IsleError, isIsleError } from '../../src/errors.ts'
import type { Change, Changes } from '../../src/index.ts'
import { encodeRecord } from '../../src/log/record.ts'
import type { Edit } from '../../src/manifest/edit.ts'
import { MaintenanceOwner } from '../../src/manifest/maintenance-owner.ts'
import { KIND_VALUE } from '../../src/sst/entry.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { manualHost } from '../support/manual-clock.ts'

let claims = 900
const claimOwner = (fixture: CommitFixture): Promise<MaintenanceOwner> =>
	MaintenanceOwner.claim({
		store: fixture.store.inner,
		host: manualHost(++claims),
		note: { policies: ['merge'], writerEpoch: 0 },
	})

async function take(changes: Changes<string, string>, count: number): Promise<Change<string, string>[]> {
	const taken: Change<string, string>[] = []
	for await (const batch of changes) {
		for (const change of batch) taken.push(change)
		if (taken.length >= count) break
	}
	return taken.slice(0, count)
}

async function failureOf(changes: Changes<string, string>): Promise<IsleError> {
	try {
		await take(changes, 1000)
	} catch (error) {
		if (isIsleError(error)) return error
		throw error
	}
	throw new Error('the tail did not fail')
}

/** Merges all of L0 into one run, with the rows of the newest state. */
async function merge(fixture: CommitFixture, owner: MaintenanceOwner): Promise<void> {
	await owner.follow()
	const { l0, runs, lastSeq } = owner.manifest
	const id = owner.nextTableId()
	const builder = new TableBuilder({ codec: 'none', minWriteMs: 0, maxWriteMs: 0 })
	for (const { key, value, seq } of fixture.stateAt(lastSeq)) {
		const [keyBytes, valueBytes] = [Buffer.from(key), Buffer.from(value ?? '')]
		builder.add(keyBytes, 0, keyBytes.length, seq, KIND_VALUE, 0, valueBytes, 0, valueBytes.length)
	}
	const { bytes, meta } = builder.finish()
	await fixture.store.inner.put(`sst/${id}`, bytes)
	const table = { id, objectKey: `sst/${id}`, offset: 0, meta }
	const remove = [...l0, ...runs.flatMap(run => run.tables)].map(ref => ref.id)
	const edit: Edit = { kind: 'replace', remove, add: [{ runId: id, table }], addPacks: [] }
	await owner.append([edit])
}

/** Gives up everything before the last announced checkpoint, and what was removed. */
async function giveUp(fixture: CommitFixture, owner: MaintenanceOwner): Promise<void> {
	const floor = owner.manifest.marks.at(-1)
	if (floor === undefined) throw new Error('nothing was announced')
	await owner.append([{ kind: 'floor', position: floor.position }])
	for (const { commit } of fixture.commits) {
		if (commit.lastSeq <= floor.lastSeq) await fixture.store.inner.delete(fixture.log.key(commit.position))
	}
	const objectKeys = owner.manifest.removed.map(object => object.objectKey)
	await fixture.store.inner.deleteMany(objectKeys)
	await owner.append([{ kind: 'deleted', objectKeys }])
}

const keysAndValues = (changes: readonly Change<string, string>[]): unknown[] =>
	changes.map(({ key, value }) => [key, value])

async function fourRows(): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	for (const key of ['a', 'b', 'c', 'd']) await fixture.commit([put(key, `${key}1`)], { place: 'object' })
	return fixture
}

describe('a cursor below the floor of changes', () => {
	test('is ISLE_EXPIRED and carries the earliest one, from which everything that is left follows', async () => {
		const fixture = await fourRows()
		const owner = await claimOwner(fixture)
		const [first] = await take((await fixture.readerTails()).tails.changes({ from: 'start' }), 1)
		const fromTime = (await fixture.readerTails()).tails.changes({ from: { timeMs: 0 } })
		const middle = (await fixture.until(take(fromTime, 2))).at(-1)
		await merge(fixture, owner)
		await owner.checkpoint()
		await giveUp(fixture, owner)
		await fixture.commit([put('e', 'e1')])
		const { tails } = await fixture.readerTails()
		const error = await failureOf(tails.changes({ from: middle?.cursor }))
		expect(error.code).toBe('ISLE_EXPIRED')
		expect(error.details['cursor']).toBe(middle?.cursor)
		const earliest = String(error.details['earliest'])
		expect(keysAndValues(await take(tails.changes({ from: earliest }), 1))).toEqual([['e', 'e1']])
		// The state that stands at the floor is still there.
		const rows = await take(tails.changes({ from: first?.cursor }), 4)
		expect(rows.map(({ key }) => key)).toEqual(['b', 'c', 'd', 'e'])
	})

	test('is ISLE_EXPIRED for a tail that falls behind while it runs, also for a reader that has not seen the edit', async () => {
		const fixture = await fourRows()
		const { tails } = await fixture.readerTails({ recentBytes: 0 })
		const [first] = await take(tails.changes({ from: { timeMs: 0 } }), 1)
		const owner = await claimOwner(fixture)
		await merge(fixture, owner)
		await owner.checkpoint()
		await giveUp(fixture, owner)
		const error = await failureOf(tails.changes({ from: first?.cursor }))
		expect(error.code).toBe('ISLE_EXPIRED')
		await fixture.commit([put('e', 'e1')])
		const rest = take(tails.changes({ from: String(error.details['earliest']), pollIntervalMs: 10 }), 1)
		expect(keysAndValues(await fixture.until(rest))).toEqual([['e', 'e1']])
	})

	test('is followed where only a seal lies between', async () => {
		const fixture = await fourRows()
		const last = (await take((await fixture.readerTails()).tails.changes({ from: { timeMs: 0 } }), 4)).at(-1)
		await fixture.takeOver()
		const owner = await claimOwner(fixture)
		await merge(fixture, owner)
		await owner.checkpoint()
		await giveUp(fixture, owner)
		await fixture.commit([put('e', 'e1')])
		const { tails } = await fixture.readerTails()
		expect(keysAndValues(await take(tails.changes({ from: last?.cursor }), 1))).toEqual([['e', 'e1']])
	})

	test('a time before the floor is ISLE_EXPIRED with the earliest cursor; one behind it is found', async () => {
		const fixture = await CommitFixture.create()
		for (const key of ['a', 'b', 'c']) {
			await fixture.host.clock.advance(1000)
			await fixture.commit([put(key, key)], { place: 'object' })
		}
		const floorMs = fixture.host.clock.nowMs()
		const owner = await claimOwner(fixture)
		await merge(fixture, owner)
		await owner.checkpoint()
		await giveUp(fixture, owner)
		await fixture.host.clock.advance(1000)
		await fixture.commit([put('d', 'd')])
		const { tails } = await fixture.readerTails()
		const error = await failureOf(tails.changes({ from: { timeMs: floorMs } }))
		expect(error.code).toBe('ISLE_EXPIRED')
		for (const from of [String(error.details['earliest']), { timeMs: floorMs + 1 }]) {
			expect(keysAndValues(await take(tails.changes({ from }), 1))).toEqual([['d', 'd']])
		}
	})
})

describe('the rows that a tail begins with', () => {
	test('are those of one moment, although merges and later changes go on, and a cursor among them goes on with the same', async () => {
		const fixture = await fourRows()
		const owner = await claimOwner(fixture)
		await owner.checkpoint()
		const { tails } = await fixture.readerTails()
		const [first, second] = await take(tails.changes({ from: 'start' }), 2)
		await fixture.commit([put('c', 'c2'), put('a', 'a2')], { place: 'object' })
		await merge(fixture, owner)
		await owner.checkpoint()
		expect(first?.key).toBe('a')
		for (const source of [tails, (await fixture.readerTails()).tails]) {
			expect(keysAndValues(await fixture.until(take(source.changes({ from: second?.cursor }), 4)))).toEqual([
				['c', 'c1'],
				['d', 'd1'],
				['c', 'c2'],
				['a', 'a2'],
			])
		}
	})

	test('end typed once their objects are deleted, and never skip', async () => {
		const fixture = await fourRows()
		const owner = await claimOwner(fixture)
		const [first] = await take((await fixture.readerTails()).tails.changes({ from: 'start' }), 1)
		await fixture.commit([put('a', 'a2')], { place: 'object' })
		await merge(fixture, owner)
		const objectKeys = owner.manifest.removed.map(object => object.objectKey)
		await fixture.store.inner.deleteMany(objectKeys)
		const error = await failureOf((await fixture.readerTails()).tails.changes({ from: first?.cursor }))
		expect(error.code).toBe('ISLE_EXPIRED')
		expect(error.details['cursor']).toBe(first?.cursor)
	})
})

test('a tail goes on over a takeover of the maintenance role', async () => {
	const fixture = await fourRows()
	const { tails } = await fixture.readerTails()
	const taken = take(tails.changes({ from: { timeMs: 0 }, pollIntervalMs: 10 }), 6)
	for (const key of ['e', 'f']) {
		const owner = await claimOwner(fixture)
		await merge(fixture, owner)
		await owner.checkpoint()
		await fixture.commit([put(key, key)])
	}
	expect(keysAndValues(await fixture.until(taken)).slice(4)).toEqual([
		['e', 'e'],
		['f', 'f'],
	])
})

test('a seal in a slot that was collected, before the end of its epoch, is no way on', async () => {
	const fixture = await fourRows()
	const [first] = await take((await fixture.readerTails()).tails.changes({ from: { timeMs: 0 } }), 1)
	for (const slot of [1, 2, 3]) await fixture.store.inner.delete(fixture.log.key({ epoch: 1, slot }))
	const position = { epoch: 1, slot: 1 }
	const names = { owner: new Uint8Array(16), nonce: new Uint8Array(8) }
	const { pieces } = encodeRecord({ kind: 'seal', position, ...names, body: new Uint8Array(0), sections: [] })
	await fixture.store.inner.createIfAbsent(fixture.log.key(position), pieces)
	const tails = fixture.writerTails({ recentBytes: 0 })
	const error = await failureOf(tails.changes({ from: first?.cursor }))
	expect(error.code).toBe('ISLE_EXPIRED')
})
