import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { type DatabaseReader, isIsleError } from '../../src/index.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import type { Body, RequestOptions } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'
import { Maintained } from './maintained.ts'

/** Overwrites everything, merges, and collects without grace: what nothing keeps is gone. */
async function renewEverything(maintained: Maintained): Promise<void> {
	await using db = await maintained.open()
	for (let i = 0; i < 3; i++) {
		await db.put('a', `new ${i}`)
		await db.delete('b')
		await db.put('large', 'L'.repeat(300_000))
		await db.flush()
	}
	await maintained.mergeAndCollect()
}

async function filled(): Promise<Maintained> {
	const maintained = new Maintained()
	await using db = await maintained.open()
	await db.put('a', '1')
	await db.put('b', '2')
	await db.put('large', 'l'.repeat(300_000))
	await db.flush()
	return maintained
}

const rowsOf = async (of: Pick<DatabaseReader, 'entries'>): Promise<string[]> => {
	const rows: string[] = []
	for await (const [key, value] of of.entries()) rows.push(`${key}=${value.slice(0, 3)}`)
	return rows
}

const BEFORE = ['a=1', 'b=2', 'large=lll']

describe('a pin', () => {
	test('reads what was there when it was made, whatever is overwritten, merged and collected', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		await using pin = await reader.pin('backup')
		await renewEverything(maintained)
		expect(await rowsOf(pin)).toEqual(BEFORE)
		expect(await pin.getMany(['b', 'a', 'x'])).toEqual(['2', '1', undefined])
		await reader.refresh()
		expect(await rowsOf(reader)).toEqual(['a=new', 'large=LLL'])
		const before = await maintained.objects('')
		await pin.release()
		await maintained.mergeAndCollect()
		expect(await maintained.objects('')).toBeLessThan(before)
		await expect(pin.get('a')).rejects.toThrow('closed')
	})

	test('is opened by another process by its name, and fails typed once it was released', async () => {
		const maintained = await filled()
		{
			await using reader = await maintained.openReader()
			await reader.pin('backup')
		}
		await renewEverything(maintained)
		await using other = await maintained.openReader()
		await using pin = await other.openPin('backup')
		expect(await pin.get('a')).toBe('1')
		expect(await other.releasePin('backup')).toBe(1)
		await maintained.mergeAndCollect()
		const error: unknown = await pin.get('large').catch((thrown: unknown) => thrown)
		expect(isIsleError(error, 'ISLE_EXPIRED') && error.details).toMatchObject({ name: 'backup' })
		await expect(other.openPin('backup')).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		expect(await other.releasePin('backup')).toBe(0)
	})

	test('expires after its time, unless it is renewed', async () => {
		const maintained = await filled()
		const { clock } = maintained.rig.host
		await using reader = await maintained.openReader()
		await using kept = await reader.pin('kept', { ttlMs: 60_000 })
		await using left = await reader.pin('left', { ttlMs: 60_000 })
		const { id } = kept
		await kept.renew({ ttlMs: 3_600_000 })
		expect(kept.id).not.toBe(id)
		await clock.advance(60_000)
		await expect(reader.openPin('left')).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		await clock.advance(600_000)
		await renewEverything(maintained)
		await maintained.mergeAndCollect()
		expect(await rowsOf(kept)).toEqual(BEFORE)
		await expect(left.renew()).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		expect((await reader.pins()).map(pin => pin.kind === 'pin' && pin.name)).toEqual(['kept'])
		await clock.advance(3_600_000)
		await renewEverything(maintained)
		await maintained.mergeAndCollect()
		expect(await reader.pins()).toEqual([])
	})

	test('of the writer covers what was accepted before it, and entries that expire later stay', async () => {
		const maintained = new Maintained()
		const { clock } = maintained.rig.host
		await using db = await maintained.open()
		await db.put('accepted', 'yes', { ttlMs: 10_000 })
		await using pin = await db.pin('p', { ttlMs: Number.POSITIVE_INFINITY })
		expect(pin.expiresMs).toBe(0)
		await clock.advance(1_000_000)
		await renewEverything(maintained)
		expect(await pin.get('accepted')).toBe('yes')
		await using reader = await maintained.openReader()
		await using same = await reader.openPin(pin.id)
		expect(await rowsOf(same)).toEqual(['accepted=yes'])
		expect(same.lastSeq).toBe(1)
	})

	test('is listed with what it keeps; the newest of a name is opened; a damaged one is named and can be released', async () => {
		const maintained = await filled()
		const { clock } = maintained.rig.host
		await using reader = await maintained.openReader()
		await using old = await reader.pin('p')
		await clock.advance(5)
		await renewEverything(maintained)
		await using newer = await reader.pin('p', { ttlMs: 1000 })
		await using found = await reader.openPin('p')
		expect([old.lastSeq, newer.lastSeq, found.id]).toEqual([3, 12, newer.id])
		const listed = await reader.pins()
		const info = listed.find(pin => pin.id === newer.id)
		expect(info).toMatchObject({
			kind: 'pin',
			name: 'p',
			createdMs: newer.createdMs,
			expiresMs: newer.createdMs + 1000,
		})
		expect(info?.kind === 'pin' && info.storedBytes).toBeGreaterThan(300_000)
		const damagedId = `pins/${'0'.repeat(32)}`
		await maintained.rig.store.put(damagedId, new Uint8Array(20))
		const damaged = (await reader.pins()).find(pin => pin.kind === 'unreadable')
		expect(damaged).toMatchObject({ id: damagedId, error: { code: 'ISLE_CORRUPT' } })
		expect(await reader.releasePin(damagedId)).toBe(1)
		expect(await reader.releasePin('p')).toBe(2)
		expect(await maintained.objects('pins/')).toBe(0)
	})

	test('counts only when nothing of it was removed before it was written: else a newer state is pinned', async () => {
		const maintained = await filled()
		class Racing extends PassThroughStore {
			races = 0
			override async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
				if (this.races-- > 0) await renewEverything(maintained)
				await super.put(key, body, options)
			}
		}
		const store = new Racing(maintained.rig.store)
		await using reader = await maintained.openReader(store)
		store.races = 2
		await using pin = await reader.pin('p')
		expect(pin.lastSeq).toBe(3 + 2 * 9)
		expect(await rowsOf(pin)).toEqual(['a=new', 'large=LLL'])
		expect(await maintained.objects('pins/')).toBe(1)
		store.races = 1000
		await expect(reader.pin('q')).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		expect(await maintained.objects('pins/')).toBe(1)
	})

	test('costs a reader one PUT and two refreshes, and nothing else ever writes', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader()
		const before = reader.requests()
		await using pin = await reader.pin('p')
		await pin.get('a')
		const after = reader.requests()
		expect(after.byKind.put.requests - before.byKind.put.requests).toBe(1)
		expect(after.byKind.list.requests - before.byKind.list.requests).toBe(2)
		expect(after.byKind.get.requests - before.byKind.get.requests).toBe(4)
		const writes = ['put', 'createIfAbsent', 'createFromStream', 'delete', 'deleteMany'] as const
		expect(writes.map(kind => before.byKind[kind].requests)).toEqual([0, 0, 0, 0, 0])
	})

	test('is denied to who may not write, and is all that is denied', async () => {
		const maintained = await filled()
		{
			await using writing = await maintained.openReader()
			await writing.pin('theirs')
		}
		class ReadOnly extends PassThroughStore {
			override put(key: string): Promise<void> {
				return Promise.reject(new IsleError('ISLE_DENIED', `read only: key=\`${key}\``))
			}
			override delete(key: string): Promise<void> {
				return this.put(key)
			}
		}
		await using reader = await maintained.openReader(new ReadOnly(maintained.rig.store))
		await expect(reader.pin('mine')).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(reader.releasePin('theirs')).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await using pin = await reader.openPin('theirs')
		await expect(pin.renew()).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		expect(await rowsOf(pin)).toEqual(BEFORE)
		expect(await reader.pins()).toHaveLength(1)
	})

	test('of nothing yet is refused, and leaves the prefix free for a database', async () => {
		const maintained = new Maintained()
		await using reader = await maintained.openReader()
		await expect(reader.pin('early')).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		expect(await maintained.objects('')).toBe(0)
		await using db = await maintained.open()
		await db.put('a', '1')
		await db.flush()
		await using pin = await reader.pin('early')
		expect(await rowsOf(pin)).toEqual(['a=1'])
	})

	test('refuses what is no name and no time', async () => {
		const maintained = await filled()
		await using reader = await maintained.openReader(countingStore(maintained.rig.store))
		await expect(reader.pin('')).rejects.toThrow(RangeError)
		await expect(reader.pin('n'.repeat(257))).rejects.toThrow(RangeError)
		await using _longest = await reader.pin('n'.repeat(256))
		for (const ttlMs of [0, -1, 1.5, Number.NaN, 315_576_000_001]) {
			await expect(reader.pin('p', { ttlMs })).rejects.toThrow(RangeError)
		}
		await expect(reader.pin('p', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
		expect(reader.stats().openSnapshots).toBe(1)
		await reader.close()
		await expect(reader.pin('p')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})
})
