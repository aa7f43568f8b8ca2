/** Conformance: single objects — bodies, ranges, exact outcomes of creation, deletion, and who owns buffers. */
import assert from 'node:assert/strict'
import { isIsleError } from '../errors.ts'
import { seededRandom } from '../host/random.ts'
import type { Clause } from './conformance.ts'
import type { ByteRange, CreateOutcome, ObjectStore } from './object-store.ts'

const MIB = 1024 * 1024
const CREATORS = 50

/** `count` bytes that differ from place to place and from seed to seed. */
export function sampleBytes(count: number, seed = 1): Uint8Array {
	const block = seededRandom(seed).bytes(Math.min(count, 4093))
	const bytes = new Uint8Array(count)
	// 4093 is a prime, so that no power-of-two piece repeats another.
	for (let at = 0; at < count; at += block.byteLength) bytes.set(block.subarray(0, count - at), at)
	return bytes
}

export function text(value: string): Uint8Array {
	return new TextEncoder().encode(value)
}

/** The object's body must be these bytes. Compared as bytes, whatever subclass a store hands out. */
export async function assertObject(store: ObjectStore, key: string, expected: Uint8Array | undefined): Promise<void> {
	assertBytes(await store.get(key), expected, key)
}

export function assertBytes(actual: Uint8Array | undefined, expected: Uint8Array | undefined, where: string): void {
	if (expected === undefined) {
		assert.equal(actual, undefined, `expected no object at ${where}`)
		return
	}
	assert.ok(actual instanceof Uint8Array, `expected a Uint8Array from ${where}, got ${typeof actual}`)
	assert.equal(actual.byteLength, expected.byteLength, `length of ${where}`)
	assert.equal(Buffer.compare(actual, expected), 0, `bytes of ${where}`)
}

export async function created(store: ObjectStore, key: string, body: Uint8Array): Promise<void> {
	assert.deepEqual(await store.createIfAbsent(key, body), { kind: 'created' })
}

/** Rejects with the code, and with a message that names the key. */
export async function assertRejectsTyped(call: Promise<unknown>, code: string, key: string): Promise<void> {
	await assert.rejects(call, (error: unknown) => {
		assert.ok(isIsleError(error), `expected an IsleError, got ${String(error)}`)
		assert.equal(error.code, code)
		assert.ok(error.message.includes(key), `expected the message to name the key, got \`${error.message}\``)
		return true
	})
}

/** What JavaScript callers can pass and the types forbid: the one place that gets around them. */
export function notABody(): never {
	return 'text' as never
}

export const OBJECT_CLAUSES: readonly Clause[] = [
	{
		name: 'get of an absent key is undefined, and so is a range of it',
		run: async store => {
			await assertObject(store, 'absent', undefined)
			await assertObject(store, 'deep/er/absent', undefined)
			assert.equal(await store.getRange('absent', { offset: 0, bytes: 1 }), undefined)
		},
	},
	{
		name: 'put creates and replaces, and get answers the last body',
		run: async store => {
			await store.put('a/b/c', text('first'))
			await assertObject(store, 'a/b/c', text('first'))
			await store.put('a/b/c', text('a second one that is longer'))
			await assertObject(store, 'a/b/c', text('a second one that is longer'))
			await store.put('a/b/c', text('3'))
			await assertObject(store, 'a/b/c', text('3'))
			assertBytes(await store.getRange('a/b/c', { offset: 0, bytes: 1 }), text('3'), 'a/b/c')
		},
	},
	{
		name: 'createIfAbsent answers created, then exists, and exists changes nothing',
		run: async store => {
			await created(store, 'log/1/0', text('winner'))
			assert.deepEqual(await store.createIfAbsent('log/1/0', text('loser')), { kind: 'exists' })
			assert.deepEqual(await store.createIfAbsent('log/1/0', text('winner')), { kind: 'exists' })
			await assertObject(store, 'log/1/0', text('winner'))
			await store.put('put', text('put'))
			assert.deepEqual(await store.createIfAbsent('put', text('x')), { kind: 'exists' })
			await assertObject(store, 'put', text('put'))
		},
	},
	{
		name: `exactly one of ${CREATORS} concurrent creators of a key wins, and its body is the object`,
		run: async store => {
			const bodies = Array.from({ length: CREATORS }, (_, i) => sampleBytes(1000 + i, i + 1))
			const outcomes = await Promise.all(bodies.map(body => store.createIfAbsent('race/slot', body)))
			const winners = bodies.filter((_, i) => (outcomes[i] as CreateOutcome).kind === 'created')
			assert.equal(winners.length, 1)
			assert.equal(outcomes.filter(outcome => outcome.kind === 'exists').length, CREATORS - 1)
			await assertObject(store, 'race/slot', winners[0])
		},
	},
	{
		name: 'a key that was deleted can be created once more',
		run: async store => {
			await created(store, 'again', text('1'))
			await store.delete('again')
			await created(store, 'again', text('2'))
			assert.deepEqual(await store.createIfAbsent('again', text('3')), { kind: 'exists' })
			await assertObject(store, 'again', text('2'))
		},
	},
	{
		name: 'an empty body is an object and not an absence',
		run: async store => {
			await created(store, 'empty', new Uint8Array(0))
			await store.put('none', [])
			await assertObject(store, 'empty', new Uint8Array(0))
			await assertObject(store, 'none', new Uint8Array(0))
			await assertRejectsTyped(store.getRange('empty', { offset: 0, bytes: 1 }), 'ISLE_CORRUPT', 'empty')
		},
	},
	{
		name: 'a body of pieces is their concatenation, empty and view pieces included',
		run: async store => {
			const whole = sampleBytes(100_000)
			const pieces = [whole.subarray(0, 1), new Uint8Array(0), whole.subarray(1, 70_001), whole.subarray(70_001)]
			await store.put('put', pieces)
			assert.deepEqual(await store.createIfAbsent('created', pieces), { kind: 'created' })
			await assertObject(store, 'put', whole)
			await assertObject(store, 'created', whole)
			const many = Array.from({ length: 3000 }, (_, i) => whole.subarray(i * 3, i * 3 + 3))
			await store.put('many', many)
			await assertObject(store, 'many', whole.subarray(0, 9000))
		},
	},
	{
		name: 'a body of shared memory is stored as it was, where the store takes such',
		run: async store => {
			if (store.takesSharedBodies !== true) return
			const shared = new Uint8Array(new SharedArrayBuffer(70_000))
			shared.set(sampleBytes(70_000))
			await store.put('shared', shared)
			await store.put('part', shared.subarray(3, 69_999))
			shared.fill(0)
			await assertObject(store, 'shared', sampleBytes(70_000))
			await assertObject(store, 'part', sampleBytes(70_000).subarray(3, 69_999))
		},
	},
	{
		name: 'bodies are binary, byte for byte, up to 8 MiB',
		run: async store => {
			const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i)
			await created(store, 'bytes', everyByte)
			await assertObject(store, 'bytes', everyByte)
			const large = sampleBytes(8 * MIB)
			await created(store, 'large', large)
			await assertObject(store, 'large', large)
			assertBytes(
				await store.getRange('large', { offset: 3 * MIB - 7, bytes: 2 * MIB }),
				large.subarray(3 * MIB - 7, 5 * MIB - 7),
				'large',
			)
		},
	},
	{
		name: 'a range answers exactly its bytes, in memory that is offered or not: at the front, in the middle, at the end, the whole',
		run: async store => {
			const body = sampleBytes(10_000)
			await created(store, 'ranged', body)
			const ranges: readonly ByteRange[] = [
				{ offset: 0, bytes: 1 },
				{ offset: 4321, bytes: 1234 },
				{ offset: 9999, bytes: 1 },
				{ offset: 0, bytes: 10_000 },
			]
			for (const { offset, bytes } of [...ranges, ...ranges]) {
				const expected = body.subarray(offset, offset + bytes)
				assertBytes(await store.getRange('ranged', { offset, bytes }), expected, 'ranged')
				const memory = new Uint8Array(bytes + 2).fill(7)
				const into = memory.subarray(1, bytes + 1)
				assertBytes(await store.getRange('ranged', { offset, bytes }, { into }), expected, 'ranged')
				assert.deepEqual([memory[0], memory[bytes + 1]], [7, 7], 'what lies beside the memory stays as it is')
			}
		},
	},
	{
		name: 'a range that reaches past the end is ISLE_CORRUPT that names the key, never a short answer',
		run: async store => {
			await created(store, 'short', sampleBytes(100))
			for (const range of [
				{ offset: 0, bytes: 101 },
				{ offset: 99, bytes: 2 },
				{ offset: 100, bytes: 1 },
				{ offset: 5000, bytes: 1 },
				{ offset: 0, bytes: 2 ** 40 },
			]) {
				await assertRejectsTyped(store.getRange('short', range), 'ISLE_CORRUPT', 'short')
			}
		},
	},
	{
		name: 'a range that is none is refused with RangeError',
		run: async store => {
			await created(store, 'ranged', sampleBytes(100))
			const bad = [
				{ offset: -1, bytes: 1 },
				{ offset: 0, bytes: 0 },
				{ offset: 0.5, bytes: 1 },
				{ offset: 0, bytes: Number.NaN },
				{ offset: 0, bytes: -1 },
			]
			for (const range of bad) await assert.rejects(store.getRange('ranged', range), RangeError)
		},
	},
	{
		name: 'a range of a replaced or deleted object is of what is there now',
		run: async store => {
			await store.put('changing', text('before'))
			assertBytes(await store.getRange('changing', { offset: 0, bytes: 6 }), text('before'), 'changing')
			await store.put('changing', text('AFTER!'))
			assertBytes(await store.getRange('changing', { offset: 0, bytes: 6 }), text('AFTER!'), 'changing')
			await store.delete('changing')
			assert.equal(await store.getRange('changing', { offset: 0, bytes: 6 }), undefined)
			await created(store, 'changing', text('anew'))
			assertBytes(await store.getRange('changing', { offset: 0, bytes: 4 }), text('anew'), 'changing')
		},
	},
	{
		name: 'deleting removes, deleting what is absent succeeds, in a batch too',
		run: async store => {
			for (const key of ['d/1', 'd/2', 'd/3']) await store.put(key, text(key))
			await store.delete('d/1')
			await store.delete('d/1')
			await assertObject(store, 'd/1', undefined)
			await store.deleteMany([])
			await store.deleteMany(['d/1', 'd/2', 'd/absent', 'nowhere/at/all', 'd/2'])
			await assertObject(store, 'd/2', undefined)
			await assertObject(store, 'd/3', text('d/3'))
		},
	},
	{
		name: 'a batch deletion takes more keys than one request holds',
		run: async store => {
			await store.put('kept', text('kept'))
			await store.put('many/1500', text('x'))
			await store.deleteMany(Array.from({ length: 2001 }, (_, i) => `many/${i}`))
			await assertObject(store, 'many/1500', undefined)
			await assertObject(store, 'kept', text('kept'))
		},
	},
	{
		name: 'what the caller does to its buffers after a call does not reach the object',
		run: async store => {
			const put = sampleBytes(5000, 1)
			const creating = sampleBytes(5000, 2)
			const piece = sampleBytes(5000, 3)
			await store.put('put', put)
			await created(store, 'created', creating)
			await store.put('pieces', [piece])
			for (const bytes of [put, creating, piece]) bytes.fill(0)
			await assertObject(store, 'put', sampleBytes(5000, 1))
			await assertObject(store, 'created', sampleBytes(5000, 2))
			await assertObject(store, 'pieces', sampleBytes(5000, 3))
		},
	},
	{
		name: 'bodies that are handed out belong to the caller: changed, or transferred whole, they leave the object alone',
		run: async store => {
			const body = sampleBytes(5000)
			await created(store, 'owned', body)
			for (let round = 0; round < 2; round++) {
				const whole = await store.get('owned')
				const range = await store.getRange('owned', { offset: 10, bytes: 100 })
				assert.ok(whole !== undefined && range !== undefined)
				whole.fill(0)
				range.fill(0)
				for (const bytes of [whole, range]) {
					assert.ok(bytes.buffer instanceof ArrayBuffer)
					assert.equal(bytes.buffer.byteLength, bytes.byteLength, 'a body owns its whole buffer')
					structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
				}
			}
			await assertObject(store, 'owned', body)
		},
	},
	{
		name: 'a body that is not bytes is refused with TypeError, and nothing is created',
		run: async store => {
			const notBytes = notABody()
			await assert.rejects(store.put('bad', notBytes), TypeError)
			await assert.rejects(store.createIfAbsent('bad', notBytes), TypeError)
			await assert.rejects(store.createIfAbsent('bad', [text('x'), notBytes]), TypeError)
			await assertObject(store, 'bad', undefined)
		},
	},
]
