/** A writer as applications open it: encodings, ownership, what a wrong call does. */
import { expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { decodePosition } from '../../src/log/log-position-codec.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { type Batch, type OpenWriterOptions, openWriter } from '../../src/writer/database-writer.ts'
import { FaultyStore, refuse } from '../support/faulty-store.ts'
import { committedHistory } from './committed-history.ts'
import { refuseUnhandledRejections, streamOf, untyped, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

/** A store and a pool that say whether they were closed. */
function owned(rig: WriterRig): { readonly store: FaultyStore; readonly pool: JobPool; readonly closed: string[] } {
	const closed: string[] = []
	const store = new FaultyStore(rig.memory, { host: rig.host })
	store.close = async () => void closed.push('store')
	const pool: JobPool = {
		run: (name, make, options) => rig.pool.run(name, make, options),
		stats: () => rig.pool.stats(),
		close: async () => void closed.push('pool'),
	}
	return { store, pool, closed }
}

test('closing flushes, also after a failure; a store and a pool that were handed over stay open', async () => {
	for (const isFailing of [false, true]) {
		const rig = new WriterRig()
		const { store, pool, closed } = owned(rig)
		const writer = await openWriter(store, { host: rig.host, pool })
		await writer.put('key', 'value')
		if (isFailing) store.fail({ operation: 'createIfAbsent' }, refuse(new IsleError('ISLE_FULL', 'injected')))
		const outcome = await rig.drive(
			writer.close().then(
				() => 'closed',
				(error: unknown) => error,
			),
		)
		if (isFailing) expect(isIsleError(outcome, 'ISLE_FULL')).toBe(true)
		else expect(outcome).toBe('closed')
		await writer[Symbol.asyncDispose]().catch(() => undefined)
		expect(closed).toEqual([])
		expect(await committedHistory(rig.memory)).toHaveLength(isFailing ? 0 : 1)
	}
})

test('a pool that was handed over stays open when opening fails', async () => {
	const rig = new WriterRig()
	const { store, pool, closed } = owned(rig)
	store.fail({ operation: 'list' }, refuse(new IsleError('ISLE_DENIED', 'injected')))
	const error = await rig.rejection(openWriter(store, { host: rig.host, pool }))
	expect(isIsleError(error, 'ISLE_DENIED')).toBe(true)
	expect(closed).toEqual([])
})

test('options that nobody knows are refused before anything is asked of the store', async () => {
	const rig = new WriterRig()
	const { store, pool } = owned(rig)
	const wrong = [
		{ flushInterval: 5 },
		{ memtableMaxBytes: -1 },
		{ codec: 'brotli' },
		{ keyEncoding: 'latin1' },
		null,
		7,
	]
	for (const options of wrong) {
		const given = typeof options === 'object' && options !== null ? { ...options, host: rig.host, pool } : options
		await expect(openWriter(store, untyped<OpenWriterOptions>(given))).rejects.toThrow()
	}
	expect(store.calls).toEqual([])
})

test('every call rejects, and none throws, for what it cannot take', async () => {
	const rig = new WriterRig()
	const { store, pool } = owned(rig)
	const writer = await openWriter(store, { host: rig.host, pool })
	const bad = untyped<string>(7)
	const calls = [
		() => writer.put(bad, 'value'),
		() => writer.put('key', bad),
		() => writer.delete(bad),
		() => writer.write(untyped<Batch<string, string>>(undefined)),
		() => writer.write(untyped<Batch<string, string>>({})),
		() => writer.putStream(bad, streamOf()),
	]
	for (const call of calls) await expect(call()).rejects.toThrow(TypeError)
	expect(() => writer.batch().put(bad, 'value')).toThrow(TypeError)
	expect(writer.stats().lastSeq).toBe(0)
	await rig.drive(writer.close())
})

test('keys and values take the forms of their encodings; flush answers a position as text', async () => {
	const rig = new WriterRig()
	const { store, pool } = owned(rig)
	const writer = await openWriter(store, { host: rig.host, pool, valueEncoding: 'json' })
	await writer.put('a', { n: 1 })
	await writer.write(writer.batch().put('b', [2]).delete('a'))
	await expect(writer.put('c', undefined)).rejects.toThrow(TypeError)
	expect(decodePosition(await rig.drive(writer.flush()), 'position')).toEqual({ epoch: 1, slot: 1 })
	const history = await committedHistory(rig.memory)
	expect(history.map(({ key, value }) => [key, value])).toEqual([
		['a', '{"n":1}'],
		['b', '[2]'],
		['a', undefined],
	])
	await rig.drive(writer.close())
})
