import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { Body, CreateOutcome, ListPage, ObjectStore } from '../../src/object-store/object-store.ts'
import { probeStore } from '../../src/object-store/store-probe.ts'
import { FaultyStore, failBefore, flipBit, loseReply, refuse } from '../support/faulty-store.ts'
import { type ManualHost, manualHost } from '../support/manual-clock.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'

async function probed(store: ObjectStore, host: ManualHost = manualHost()): Promise<unknown> {
	const probing = probeStore(store, { host }).then(
		() => 'trusted',
		(error: unknown) => error,
	)
	await host.clock.advance(120_000)
	return probing
}

async function leftIn(store: ObjectStore): Promise<number> {
	return (await store.list()).objects.length
}

const UNSAFE = { code: 'ISLE_STORE_UNSAFE' }

describe('probeStore', () => {
	test('trusts a store that keeps the contract, in five requests, and leaves nothing behind', async () => {
		const store = new FaultyStore(new MemoryStore())
		expect(await probed(store)).toBe('trusted')
		expect(store.calls.map(call => call.operation)).toEqual([
			'createIfAbsent',
			'createIfAbsent',
			'get',
			'list',
			'delete',
		])
		expect(store.calls.every(call => /^probe\/[0-9a-f]{32}$/.test(call.key))).toBe(true)
		expect(await leftIn(store.inner)).toBe(0)
	})

	test('refuses a store that creates one key twice, and leaves nothing behind', async () => {
		const inner = new MemoryStore()
		const store = new (class extends PassThroughStore {
			override async createIfAbsent(key: string, body: Body): Promise<CreateOutcome> {
				await this.inner.put(key, body)
				return { kind: 'created' }
			}
		})(inner)
		expect(await probed(store)).toMatchObject({ ...UNSAFE, message: expect.stringContaining('memory:') })
		expect(await leftIn(inner)).toBe(0)
	})

	test('asks for bodies in parts when it is told to, and refuses a store that knows no condition there', async () => {
		const store = new FaultyStore(new MemoryStore())
		await probeStore(store, { parts: 'check' })
		expect(store.calls.map(({ operation }) => operation)).toEqual([
			'createIfAbsent',
			'createIfAbsent',
			'createFromStream',
			'get',
			'list',
			'delete',
		])
		const halfSafe = new (class extends PassThroughStore {
			override async createFromStream(key: string, body: AsyncIterable<Uint8Array>): Promise<CreateOutcome> {
				const pieces: Uint8Array[] = []
				for await (const piece of body) pieces.push(piece)
				await this.inner.put(key, pieces)
				return { kind: 'created' }
			}
		})()
		await probeStore(halfSafe)
		await expect(probeStore(halfSafe, { parts: 'check' })).rejects.toMatchObject({
			...UNSAFE,
			message: expect.stringContaining('in parts'),
		})
		expect(await leftIn(halfSafe.inner)).toBe(0)
		// @ts-expect-error passes what JavaScript callers may pass
		await expect(probeStore(store, { parts: true })).rejects.toThrow(TypeError)
	})

	test('refuses a store that says exists and overwrites all the same', async () => {
		const store = new (class extends PassThroughStore {
			override async createIfAbsent(key: string, body: Body): Promise<CreateOutcome> {
				const outcome = await this.inner.createIfAbsent(key, body)
				await this.inner.put(key, body)
				return outcome
			}
		})()
		expect(await probed(store)).toMatchObject(UNSAFE)
		expect(await leftIn(store.inner)).toBe(0)
	})

	test('refuses a store that does not show, or does not list, what it has created', async () => {
		const blind = new (class extends PassThroughStore {
			override async get(): Promise<undefined> {
				return undefined
			}
		})()
		expect(await probed(blind)).toMatchObject(UNSAFE)
		const listless = new (class extends PassThroughStore {
			override async list(): Promise<ListPage> {
				return { objects: [], isTruncated: false }
			}
		})()
		expect(await probed(listless)).toMatchObject(UNSAFE)
		expect([await leftIn(blind.inner), (await listless.inner.list()).objects.length]).toEqual([0, 0])
	})

	test('refuses a store that hands out other bytes', async () => {
		const store = new FaultyStore(new MemoryStore()).fail({ operation: 'get' }, flipBit(3))
		expect(await probed(store)).toMatchObject(UNSAFE)
	})

	test('asks again when a reply is lost, before or after its effect, of either create', async () => {
		for (const fault of [failBefore(), loseReply()]) {
			for (const times of [1, 2, 3]) {
				const store = new FaultyStore(new MemoryStore())
				store.fail({ operation: 'createIfAbsent', times }, fault)
				expect(await probed(store)).toBe('trusted')
				const second = new FaultyStore(new MemoryStore())
				second.before = call => (call.index >= 1 && call.index <= times ? fault : undefined)
				expect(await probed(second)).toBe('trusted')
				expect(await leftIn(second.inner)).toBe(0)
			}
		}
	})

	test('is ISLE_UNAVAILABLE when no verdict comes, and leaves nothing behind', async () => {
		const store = new FaultyStore(new MemoryStore()).fail({ operation: 'createIfAbsent', times: 99 }, loseReply())
		expect(await probed(store)).toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(store.count('createIfAbsent')).toBe(4)
		expect(await leftIn(store.inner)).toBe(0)
	})

	test('passes on what the store refuses', async () => {
		const store = new FaultyStore(new MemoryStore()).fail({}, refuse(new IsleError('ISLE_DENIED', 'read-only')))
		expect(await probed(store)).toMatchObject({ code: 'ISLE_DENIED' })
	})

	test('ends at once when it is aborted, and takes its object away', async () => {
		const store = new FaultyStore(new MemoryStore())
		const host = manualHost()
		const controller = new AbortController()
		const held = store.hold({ operation: 'get' })
		const probing = expect(probeStore(store, { host, signal: controller.signal })).rejects.toBe('stop')
		await held.reached
		controller.abort('stop')
		await probing
		expect(await leftIn(store.inner)).toBe(0)
	})
})
