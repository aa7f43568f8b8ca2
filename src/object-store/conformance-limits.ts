/** Conformance: aborts, deadlines, closing, and keys that are refused. */
import assert from 'node:assert/strict'
import { isIsleError } from '../errors.ts'
import type { Clause } from './conformance.ts'
import { assertBytes, assertObject, assertRejectsTyped, created, sampleBytes, text } from './conformance-objects.ts'
import { checkObjectKey, MAX_KEY_BYTES, MAX_SEGMENT_BYTES } from './object-key.ts'
import type { ObjectStore, RequestOptions } from './object-store.ts'

const MIB = 1024 * 1024

const REFUSED_KEYS: readonly string[] = [
	'',
	'/',
	'/absolute',
	'ends/',
	'a//b',
	'.',
	'..',
	'../outside',
	'a/../../outside',
	'a/./b',
	'a/..',
	'back\\slash',
	'..\\outside',
	'nul\0byte',
	'.isledb-tmp/x',
	'a/.isledb-tmp',
	'a/.IsleDB-tmp/x',
	'half\ud800pair',
	'a'.repeat(MAX_SEGMENT_BYTES + 1),
	`dir/${'é'.repeat(128)}`,
	`${'0123456789abcde/'.repeat(64)}x`,
]

/** At each limit, and unusual but allowed. */
const ACCEPTED_KEYS: readonly string[] = [
	'a'.repeat(MAX_SEGMENT_BYTES),
	`${'é'.repeat(127)}x`,
	'...',
	'..a/b..',
	'.isledb-tmp2',
	'with space/and:colon',
	'-',
]

/** Every call that touches a key, by name. */
function callsOn(store: ObjectStore, key: string, options?: RequestOptions): Record<string, () => Promise<unknown>> {
	return {
		get: () => store.get(key, options),
		getRange: () => store.getRange(key, { offset: 0, bytes: 1 }, options),
		put: () => store.put(key, text('x'), options),
		delete: () => store.delete(key, options),
		deleteMany: () => store.deleteMany([key], options),
		getStream: () => store.getStream(key, undefined, options),
	}
}

/** The two that create, and the listing. */
function otherCalls(store: ObjectStore, key: string, options?: RequestOptions): Record<string, () => Promise<unknown>> {
	return {
		createIfAbsent: () => store.createIfAbsent(key, text('x'), options),
		createFromStream: () => store.createFromStream(key, onePiece(), options),
		list: () => store.list(options),
	}
}

async function* onePiece(): AsyncGenerator<Uint8Array> {
	yield text('x')
}

/** A source that gives one piece and then waits for ever; `ended` is true once it was told to end. */
function endlessSource(): AsyncIterable<Uint8Array> & {
	readonly state: { isWaiting: Promise<void>; isEnded: boolean }
} {
	let tellWaiting = (): void => {}
	const state = {
		isWaiting: new Promise<void>(resolve => {
			tellWaiting = resolve
		}),
		isEnded: false,
	}
	let pieces = 0
	return {
		state,
		[Symbol.asyncIterator]: () => ({
			next: () => {
				if (pieces++ === 0) return Promise.resolve({ done: false, value: sampleBytes(100_000) })
				tellWaiting()
				return new Promise(() => {})
			},
			return: () => {
				state.isEnded = true
				return Promise.resolve({ done: true, value: undefined })
			},
		}),
	}
}

export const LIMIT_CLAUSES: readonly Clause[] = [
	{
		name: 'a call whose signal is aborted beforehand rejects with its reason and does nothing; a create answers unknown',
		run: async store => {
			await created(store, 'there', text('there'))
			const reason = new Error('not any more')
			const options = { signal: AbortSignal.abort(reason) }
			for (const [name, call] of Object.entries(callsOn(store, 'there', options))) {
				await assert.rejects(call(), (error: unknown) => error === reason, name)
			}
			await assert.rejects(store.list(options), (error: unknown) => error === reason, 'list')
			const { createFromStream } = otherCalls(store, 'streamed', options)
			await assert.rejects(createFromStream?.() ?? Promise.resolve(), (error: unknown) => error === reason)
			const outcome = await store.createIfAbsent('created', text('x'), options)
			assert.equal(outcome.kind, 'unknown')
			assert.ok(outcome.kind === 'unknown' && outcome.cause === reason, 'the cause is the reason')
			await assertObject(store, 'there', text('there'))
			await assertObject(store, 'created', undefined)
			await assertObject(store, 'streamed', undefined)
		},
	},
	{
		name: 'an abort during a call ends it with the reason, unless it was done first; objects are whole or absent',
		run: async store => {
			const large = sampleBytes(MIB)
			await created(store, 'there', large)
			const reason = new Error('changed my mind')
			for (const [name, call] of Object.entries({
				get: (options: RequestOptions) => store.get('there', options),
				list: (options: RequestOptions) => store.list(options),
				put: (options: RequestOptions) => store.put('put', large, options),
			})) {
				const controller = new AbortController()
				const running = call({ signal: controller.signal })
				controller.abort(reason)
				await running.catch((error: unknown) => assert.equal(error, reason, name))
			}
			const controller = new AbortController()
			const creating = store.createIfAbsent('created', large, { signal: controller.signal })
			controller.abort(reason)
			const outcome = await creating
			if (outcome.kind === 'unknown') assert.equal(outcome.cause, reason)
			else assert.equal(outcome.kind, 'created')
			const found = await store.get('created')
			if (outcome.kind === 'created' || found !== undefined) assertBytes(found, large, 'created')
			const put = await store.get('put')
			if (put !== undefined) assertBytes(put, large, 'put')
		},
	},
	{
		name: 'an abort while a source is awaited rejects with the reason at once, ends the source, and creates nothing',
		run: async store => {
			const source = endlessSource()
			const controller = new AbortController()
			const reason = new Error('enough')
			const creating = store.createFromStream('endless', source, { signal: controller.signal })
			await source.state.isWaiting
			controller.abort(reason)
			await assert.rejects(creating, (error: unknown) => error === reason)
			assert.ok(source.state.isEnded, 'the source was told to end')
			await assertObject(store, 'endless', undefined)
			await created(store, 'endless', text('free'))
		},
	},
	{
		name: 'an abort ends a stream that is being read with the reason, also between two pieces',
		run: async store => {
			await created(store, 'streamed', sampleBytes(3 * MIB))
			const controller = new AbortController()
			const reason = new Error('seen enough')
			const stream = await store.getStream('streamed', undefined, { signal: controller.signal })
			assert.ok(stream !== undefined)
			const iterator = stream[Symbol.asyncIterator]()
			assert.equal((await iterator.next()).done, false)
			controller.abort(reason)
			await assert.rejects(iterator.next(), (error: unknown) => error === reason)
		},
	},
	{
		name: 'a signal that is not aborted, and a long deadline, change nothing',
		run: async store => {
			const options = { signal: new AbortController().signal, deadlineMs: 60_000 }
			assert.deepEqual(await store.createIfAbsent('k', text('1'), options), { kind: 'created' })
			assert.deepEqual(await store.createIfAbsent('k', text('2'), options), { kind: 'exists' })
			await store.put('l', text('2'), options)
			assertBytes(await store.get('k', options), text('1'), 'k')
			assert.equal((await store.list(options)).objects.length, 2)
			await store.deleteMany(['k', 'l'], options)
			assert.equal((await store.list(options)).objects.length, 0)
			assert.equal((await store.get('k', { deadlineMs: Number.POSITIVE_INFINITY })) === undefined, true)
		},
	},
	{
		name: 'a call past its deadline rejects with ISLE_UNAVAILABLE that names the key; a create answers unknown',
		run: async store => {
			await created(store, 'there', text('there'))
			for (const call of Object.values(callsOn(store, 'there', { deadlineMs: 0 }))) {
				await assertRejectsTyped(call(), 'ISLE_UNAVAILABLE', 'there')
			}
			await assertRejectsTyped(store.list({ prefix: 'the', deadlineMs: -5 }), 'ISLE_UNAVAILABLE', 'the')
			const outcome = await store.createIfAbsent('late', text('x'), { deadlineMs: 0 })
			assert.ok(outcome.kind === 'unknown' && isIsleError(outcome.cause, 'ISLE_UNAVAILABLE'))
			await assertObject(store, 'there', text('there'))
			await assertRejectsTyped(
				store.createFromStream('hanging', endlessSource(), { deadlineMs: 30 }),
				'ISLE_UNAVAILABLE',
				'hanging',
			)
			await assertObject(store, 'hanging', undefined)
			await assert.rejects(store.get('there', { deadlineMs: Number.NaN }), RangeError)
		},
	},
	{
		name: 'keys that could leave a prefix or a directory, and keys past a limit, are refused with RangeError everywhere',
		run: async store => {
			for (const key of REFUSED_KEYS) {
				const { list: _list, ...creating } = otherCalls(store, key)
				for (const [name, call] of Object.entries({ ...callsOn(store, key), ...creating })) {
					await assert.rejects(call(), RangeError, `${name} ${JSON.stringify(key)}`)
				}
			}
			await assert.rejects(store.deleteMany(['fine', '../not']), RangeError)
			await assert.rejects(store.list({ prefix: '../' }), RangeError)
			await assert.rejects(store.list({ prefix: 'a/../b' }), RangeError)
			assert.deepEqual((await store.list()).objects, [])
		},
	},
	{
		name: 'keys at their limits, and unusual ones, hold objects',
		run: async store => {
			for (const key of ACCEPTED_KEYS) {
				checkObjectKey(key)
				await created(store, key, text(key))
				await assertObject(store, key, text(key))
			}
			const listed = (await store.list()).objects.map(object => object.key)
			assert.deepEqual([...listed].sort(), [...ACCEPTED_KEYS].sort())
			assert.ok(MAX_KEY_BYTES >= 1024)
		},
	},
	{
		name: 'after close every call rejects with ISLE_CLOSED, and closing again is harmless',
		run: async store => {
			await store.put('there', text('there'))
			await store.close()
			await store.close()
			for (const [name, call] of Object.entries({ ...callsOn(store, 'there'), ...otherCalls(store, 'there') })) {
				await assert.rejects(call(), (error: unknown) => isIsleError(error, 'ISLE_CLOSED'), name)
			}
		},
	},
]
