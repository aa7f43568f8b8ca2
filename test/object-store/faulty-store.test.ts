import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import {
	cutBody,
	deliverLater,
	duplicateLater,
	FaultyStore,
	failBefore,
	flipBit,
	loseReply,
	refuse,
} from '../support/faulty-store.ts'

const BODY = new Uint8Array([1, 2, 3, 4, 5])
const OTHER = new Uint8Array([9, 9])

function faultyStore(): FaultyStore {
	return new FaultyStore(new MemoryStore())
}

async function collect(stream: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array[]> {
	const pieces: Uint8Array[] = []
	for await (const piece of stream ?? []) pieces.push(piece)
	return pieces
}

describe('a fault before the effect', () => {
	test('leaves nothing behind, and is unknown for creates and ISLE_UNAVAILABLE for others', async () => {
		const store = faultyStore().fail({ times: 2 }, failBefore())
		expect(await store.createIfAbsent('a', BODY)).toMatchObject({
			kind: 'unknown',
			cause: { code: 'ISLE_UNAVAILABLE' },
		})
		await expect(store.put('a', BODY)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(await store.inner.get('a')).toBeUndefined()
		expect(await store.createIfAbsent('a', BODY)).toEqual({ kind: 'created' })
	})

	test('can be a refusal, which rejects for creates too', async () => {
		const store = faultyStore().fail({}, refuse(new Error('no')))
		await expect(store.createIfAbsent('a', BODY)).rejects.toThrow('no')
		expect(await store.inner.get('a')).toBeUndefined()
	})
})

describe('a lost reply', () => {
	test('is told like a failure, and the effect is there', async () => {
		const store = faultyStore().fail({ times: 3 }, loseReply(new Error('reset')))
		expect(await store.createIfAbsent('a', BODY)).toMatchObject({ kind: 'unknown', cause: { message: 'reset' } })
		expect(await store.inner.get('a')).toEqual(BODY)
		await expect(store.put('a', OTHER)).rejects.toThrow('reset')
		expect(await store.inner.get('a')).toEqual(OTHER)
		await expect(store.delete('a')).rejects.toThrow('reset')
		expect(await store.get('a')).toBeUndefined()
	})
})

describe('late writes', () => {
	test('take effect when they are delivered, with the bytes that they were called with', async () => {
		const store = faultyStore().fail({ operation: 'createIfAbsent' }, deliverLater())
		const body = BODY.slice()
		expect(await store.createIfAbsent('a', body)).toMatchObject({ kind: 'unknown' })
		body.fill(0)
		expect(store.lateCount).toBe(1)
		expect(await store.get('a')).toBeUndefined()
		await store.deliverLate()
		expect(await store.get('a')).toEqual(BODY)
		expect(store.lateCount).toBe(0)
	})

	test('of a create lose to whoever came first, and those of a put overwrite it', async () => {
		const store = faultyStore()
			.fail({ operation: 'createIfAbsent', key: 'a' }, deliverLater())
			.fail({ operation: 'put' }, duplicateLater())
		await store.createIfAbsent('a', BODY)
		expect(await store.createIfAbsent('a', OTHER)).toEqual({ kind: 'created' })
		await store.put('b', BODY)
		await store.put('b', OTHER)
		await store.deliverLate()
		expect(await store.get('a')).toEqual(OTHER)
		expect(await store.get('b')).toEqual(BODY)
	})

	test('can be delivered one by one, out of order', async () => {
		const store = faultyStore().fail({ times: 2 }, deliverLater())
		await store.put('a', BODY).catch(() => {})
		await store.put('a', OTHER).catch(() => {})
		await store.deliverLate(1)
		expect(await store.get('a')).toEqual(OTHER)
		await store.deliverLate(0)
		expect(await store.get('a')).toEqual(BODY)
	})
})

describe('damage to bodies', () => {
	test('cuts them and flips their bits, on the way out only', async () => {
		const store = faultyStore()
		await store.put('a', BODY)
		store
			.fail({}, cutBody(2))
			.fail({}, cutBody(1))
			.fail({}, flipBit(8))
			.fail({}, flipBit(5 * 8 + 1))
		expect(await store.get('a')).toEqual(BODY.slice(0, 2))
		expect(await store.getRange('a', { offset: 2, bytes: 2 })).toEqual(BODY.slice(2, 3))
		expect(await store.get('a')).toEqual(new Uint8Array([1, 3, 3, 4, 5]))
		expect(await store.get('a')).toEqual(new Uint8Array([3, 2, 3, 4, 5]))
		expect(await store.get('a')).toEqual(BODY)
	})

	test('ends a stream with an error, and flips a bit in it', async () => {
		const store = faultyStore()
		await store.put('a', BODY)
		store.fail({}, cutBody(2)).fail({}, flipBit(0))
		const cut = await store.getStream('a')
		const pieces: Uint8Array[] = []
		await expect(
			(async () => {
				for await (const piece of cut ?? []) pieces.push(piece)
			})(),
		).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(pieces).toEqual([BODY.slice(0, 2)])
		expect(await collect(await store.getStream('a'))).toEqual([new Uint8Array([0, 2, 3, 4, 5])])
	})

	test('leaves an absent object absent', async () => {
		const store = faultyStore().fail({ times: 3 }, flipBit(1))
		expect(await store.get('a')).toBeUndefined()
		expect(await store.getStream('a')).toBeUndefined()
	})
})

describe('rules', () => {
	test('match by operation, by the beginning of the key or an expression, in their order, as often as they say', async () => {
		const store = faultyStore()
			.fail({ operation: 'get', key: 'log/', times: 2 }, failBefore(new Error('first')))
			.fail({ key: /^log\/[0-9]+$/ }, failBefore(new Error('second')))
		expect(await store.get('sst/1')).toBeUndefined()
		await expect(store.get('log/1')).rejects.toThrow('first')
		await expect(store.delete('log/1')).rejects.toThrow('second')
		await expect(store.get('log/1')).rejects.toThrow('first')
		expect(await store.get('log/1')).toBeUndefined()
	})

	test('may be any function, which sees every call and may wait', async () => {
		const store = faultyStore()
		const seen: string[] = []
		store.before = async call => {
			await Promise.resolve()
			seen.push(`${call.index} ${call.operation} ${call.key}`)
			return call.index === 1 ? failBefore(new Error('the second')) : undefined
		}
		await store.put('a', BODY)
		await expect(store.get('a')).rejects.toThrow('the second')
		await store.list({ prefix: 'x' })
		expect(seen).toEqual(['0 put a', '1 get a', '2 list x'])
		store.heal()
		expect(await store.get('a')).toEqual(BODY)
		expect(store.count()).toBe(4)
		expect(store.count('get')).toBe(2)
		expect(store.count(undefined, 'a')).toBe(3)
		expect(store.calls[1]?.fault?.kind).toBe('fail-before')
	})

	test('of chance are repeated by their seed, and differ between seeds', async () => {
		const history = async (seed: number): Promise<(string | undefined)[]> => {
			const store = faultyStore().failAtRandom(seededRandom(seed), 0.5, [failBefore(), loseReply(), deliverLater()])
			for (let i = 0; i < 50; i++) await store.createIfAbsent(String(i), BODY)
			return store.calls.map(call => call.fault?.kind)
		}
		const first = await history(1)
		expect(await history(1)).toEqual(first)
		expect(await history(2)).not.toEqual(first)
		expect(new Set(first)).toEqual(new Set([undefined, 'fail-before', 'lose-reply', 'deliver-later']))
	})
})

describe('a held call', () => {
	test('stands before its effect until it is released', async () => {
		const store = faultyStore()
		const held = store.hold({ operation: 'put', key: 'a' })
		const putting = store.put('a', BODY)
		expect((await held.reached).key).toBe('a')
		expect(await store.get('a')).toBeUndefined()
		held.release()
		await putting
		expect(await store.get('a')).toEqual(BODY)
	})

	test('or after its effect, before the reply', async () => {
		const store = faultyStore()
		const held = store.hold({ operation: 'createIfAbsent' }, 'after-effect')
		const creating = store.createIfAbsent('a', BODY)
		await held.reached
		expect(await store.get('a')).toEqual(BODY)
		held.release()
		expect(await creating).toEqual({ kind: 'created' })
	})

	test('that is aborted answers at once, and has no effect when it was held before that', async () => {
		for (const point of ['before-effect', 'after-effect'] as const) {
			const store = faultyStore()
			const held = store.hold({}, point)
			const controller = new AbortController()
			const creating = store.createIfAbsent('a', BODY, { signal: controller.signal })
			await held.reached
			controller.abort('stop')
			expect(await creating).toEqual({ kind: 'unknown', cause: 'stop' })
			held.release()
			await new Promise(resolve => setImmediate(resolve))
			expect(await store.inner.get('a')).toEqual(point === 'before-effect' ? undefined : BODY)
		}
	})
})

describe('a crash', () => {
	test('before or after the effect of a call ends everything, and leaves the store as it was then', async () => {
		for (const point of ['before-effect', 'after-effect'] as const) {
			const store = faultyStore().crashAt(1, point)
			await store.put('a', BODY)
			expect(await store.createIfAbsent('b', BODY)).toMatchObject({ kind: 'unknown' })
			expect(store.isCrashed).toBe(true)
			await expect(store.put('c', BODY)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
			await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
			const keys = (await store.inner.list()).objects.map(object => object.key)
			expect(keys).toEqual(point === 'before-effect' ? ['a'] : ['a', 'b'])
		}
	})
})
