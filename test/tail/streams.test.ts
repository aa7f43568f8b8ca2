/** Tails as Node and web streams: back-pressure, and leaving while idle. */
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import type { Change } from '../../src/tail/change.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { expected, seen } from '../support/tail-model.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

async function fixtureOf(commits: number, each: number): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	for (let c = 0; c < commits; c++) {
		await fixture.commit(
			Array.from({ length: each }, (_, i) => put(`k${c}-${i}`, `${i}`)),
			{ blockBytes: 4096 },
		)
	}
	return fixture
}

describe('a Node stream', () => {
	test('gives every change in order', async () => {
		const fixture = await fixtureOf(3, 1500)
		const got: Change[] = []
		const stream = fixture.writerTails().readable({ from: BEGINNING })
		for await (const change of stream) {
			got.push(change)
			if (got.length === 4500) break
		}
		expect(got.map(seen)).toEqual(fixture.history.map(expected))
		expect(stream.destroyed).toBe(true)
	})

	test('reads no more than its consumer takes', async () => {
		const fixture = await fixtureOf(20, 1100)
		const tails = fixture.writerTails({ recentBytes: 0 })
		fixture.takeCalls()
		const stream = tails.readable({ from: BEGINNING })
		stream.read()
		await settle()
		for (let i = 0; i < 300; i++) stream.read()
		await settle()
		expect(stream.readableLength).toBeLessThanOrEqual(300)
		expect(fixture.takeCalls().filter(call => call.startsWith('get ')).length).toBeLessThanOrEqual(6)
		stream.destroy()
	})

	test('destroyed while idle it frees its tail at once', async () => {
		const fixture = await fixtureOf(1, 1)
		const { tails } = await fixture.readerTails()
		const stream = tails.readable()
		stream.resume()
		await settle()
		expect([tails.waiting, fixture.host.clock.pendingTimers]).toEqual([1, 1])
		stream.destroy()
		await settle()
		expect([tails.waiting, fixture.host.clock.pendingTimers]).toEqual([0, 0])
	})

	test('goes on by itself when more is committed while it flows, and ends with the error that ends its tail', async () => {
		const fixture = await fixtureOf(1, 2)
		const tails = fixture.writerTails()
		const got: unknown[] = []
		const done = pipeline(tails.readable({ from: BEGINNING }), async changes => {
			for await (const change of changes) got.push(change.key)
		}).catch((error: unknown) => error)
		await settle()
		await fixture.commit([put('a', '1')])
		await fixture.commit([put('b', '1')])
		await settle()
		tails.close()
		expect(await done).toMatchObject({ code: 'ISLE_CLOSED' })
		expect(got).toEqual(['k0-0', 'k0-1', 'a', 'b'])
	})
})

describe('a web stream', () => {
	test('gives every change in order, and cancelling it while idle frees its tail', async () => {
		const fixture = await fixtureOf(2, 1500)
		const { tails } = await fixture.readerTails()
		const reader = tails.webStream({ from: BEGINNING }).getReader()
		const got: Change[] = []
		while (got.length < 3000) {
			const { value } = await reader.read()
			if (value !== undefined) got.push(value)
		}
		expect(got.map(seen)).toEqual(fixture.history.map(expected))
		const pending = reader.read()
		await settle()
		expect([tails.waiting, fixture.host.clock.pendingTimers]).toEqual([1, 1])
		await reader.cancel()
		expect((await pending).done).toBe(true)
		expect([tails.waiting, fixture.host.clock.pendingTimers]).toEqual([0, 0])
	})

	test('fetches nothing before it is read, and then one batch', async () => {
		const fixture = await fixtureOf(20, 1100)
		const tails = fixture.writerTails({ recentBytes: 0 })
		fixture.takeCalls()
		const stream = tails.webStream({ from: BEGINNING })
		await settle()
		expect(fixture.takeCalls()).toEqual([])
		const reader = stream.getReader()
		await reader.read()
		await settle()
		expect(fixture.takeCalls().filter(call => call.startsWith('get ')).length).toBeLessThanOrEqual(5)
		await reader.cancel()
	})
})
