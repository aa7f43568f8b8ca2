/** What callers pass: limits at them and one past, wrong types, buffers that change afterwards. Nothing refused leaves a trace. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { Host } from '../../src/host/host.ts'
import { KEY_MAX_BYTES, VALUE_MAX_BYTES } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { type WriteOptions, type WriterOptions, writerSettings } from '../../src/writer/options.ts'
import { BATCH_MAX_BYTES, BATCH_OPERATION_BYTES, WriteBatch } from '../../src/writer/write-batch.ts'
import { Writer } from '../../src/writer/writer.ts'
import { commitSizes, committedHistory, latin1 } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

/** For what a caller without types may pass. */
function untyped<T>(value: unknown): T {
	return value as T
}

/** The same call in every form of a mutation. */
function mutationsOf(writer: Writer, key: string | Uint8Array): Record<string, () => Promise<void>> {
	return {
		put: () => writer.put(key, 'value'),
		'durable put': () => writer.put(key, 'value', { durable: true }),
		'large put': () => writer.put(key, noise(300_000)),
		delete: () => writer.delete(key),
		batch: async () => await writer.write(new WriteBatch().put(key, 'value')),
		'batch delete': async () => await writer.write(new WriteBatch().delete(key)),
		putStream: () => writer.putStream(key, streamOf(noise(10))),
	}
}

async function expectUntouched(rig: WriterRig, writer: Writer): Promise<void> {
	expect(writer.stats()).toMatchObject({ lastSeq: 0, pendingBlobBytes: 0, failure: undefined })
	await writer.put('next', 'value')
	await rig.drive(writer.flush())
	const history = await committedHistory(rig.memory)
	expect(history).toMatchObject([{ seq: 1, key: 'next', isBlob: false }])
	expect((await rig.memory.list({ prefix: 'blobs/' })).objects).toEqual([])
	await writer.close()
}

describe('keys', () => {
	const refused: Record<string, readonly [unknown, typeof RangeError | typeof TypeError]> = {
		'an empty string': ['', RangeError],
		'no bytes': [new Uint8Array(0), RangeError],
		'65,537 bytes': [new Uint8Array(KEY_MAX_BYTES + 1), RangeError],
		'65,537 characters': ['x'.repeat(KEY_MAX_BYTES + 1), RangeError],
		'65,537 bytes of UTF-8': [`${'鍵'.repeat(21_845)}xx`, RangeError],
		'65,538 bytes of surrogate pairs': [`${'\u{1f5dd}'.repeat(16_384)}xx`, RangeError],
		'a number': [7, TypeError],
		null: [null, TypeError],
		undefined: [undefined, TypeError],
		'an array': [[1, 2], TypeError],
		'an ArrayBuffer': [new ArrayBuffer(4), TypeError],
	}
	for (const [name, [key, type]] of Object.entries(refused)) {
		test(`${name} is refused by every mutation`, async () => {
			const rig = new WriterRig()
			const { writer } = await rig.open()
			for (const [form, mutate] of Object.entries(mutationsOf(writer, untyped(key)))) {
				const error = await rig.rejection(Promise.resolve().then(mutate))
				expect(error, form).toBeInstanceOf(type)
				expect(error, form).toHaveProperty('message', expect.stringContaining('`key`'))
			}
			await expectUntouched(rig, writer)
		})
	}

	test('of exactly 65,536 bytes are stored, whatever they are made of', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const keys = [
			'x'.repeat(KEY_MAX_BYTES),
			new Uint8Array(KEY_MAX_BYTES).fill(0xff),
			`${'鍵'.repeat(21_845)}x`,
			'\u{1f5dd}'.repeat(16_384),
		]
		let count = 0
		for (const key of keys) {
			expect(Buffer.byteLength(key)).toBe(KEY_MAX_BYTES)
			for (const mutate of Object.values(mutationsOf(writer, key))) {
				await rig.drive(mutate())
				count++
			}
		}
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history).toHaveLength(count)
		expect(new Set(history.map(entry => entry.key))).toEqual(new Set(keys.map(latin1)))
	})

	test('and values are any bytes: zeros, 0xFF, what is not UTF-8, and no value at all', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const parts = [Uint8Array.of(0), Uint8Array.of(0xff), Uint8Array.of(0, 0xff, 0), Uint8Array.of(0xc3, 0x28), 'é\0']
		for (const part of parts) await writer.put(part, part)
		await writer.put('empty', '')
		await writer.put('empty bytes', new Uint8Array(0))
		await writer.flush()
		const pairs = (await committedHistory(rig.memory)).map(({ key, value }) => [key, value])
		expect(pairs).toEqual([...parts.map(part => [latin1(part), latin1(part)]), ['empty', ''], ['empty bytes', '']])
	})
})

describe('values', () => {
	test('of wrong types are refused, and never taken for a delete', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		for (const value of [undefined, null, 7, {}, [1], new ArrayBuffer(4)]) {
			await expect(writer.put('key', untyped(value))).rejects.toThrow(TypeError)
			expect(() => new WriteBatch().put('key', untyped(value))).toThrow(TypeError)
		}
		await expectUntouched(rig, writer)
	})

	test('beyond 256 MiB are refused, in whatever form; at 256 MiB they are stored', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const beyond = new Uint8Array(VALUE_MAX_BYTES + 1)
		await expect(writer.put('key', beyond)).rejects.toThrow(RangeError)
		await expect(writer.put('key', 'x'.repeat(VALUE_MAX_BYTES + 1))).rejects.toThrow(RangeError)
		expect(writer.stats()).toMatchObject({ lastSeq: 0, pendingBlobBytes: 0 })
		// Waits, because it alone is more than half of the buffer.
		await rig.drive(writer.put('key', beyond.subarray(1)))
		await rig.drive(writer.flush())
		const [blob] = (await rig.memory.list({ prefix: 'blobs/' })).objects
		expect(blob?.bytes).toBeGreaterThan(VALUE_MAX_BYTES)
		expect(writer.stats()).toMatchObject({ lastSeq: 1, committedSeq: 1, pendingBlobBytes: 0 })
		await writer.close()
	})

	test('go to a pack from the threshold on, by their bytes and not their characters', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({ blobThresholdBytes: 3_000 })
		const below = ['x'.repeat(2_999), 'é'.repeat(1_499), '鍵'.repeat(999), noise(2_999)]
		const at = ['x'.repeat(3_000), 'é'.repeat(1_500), '鍵'.repeat(1_000), noise(3_000)]
		for (const value of [...below, ...at]) await writer.put('key', value)
		await writer.write(below.concat(at).reduce((batch, value) => batch.put('key', value), new WriteBatch()))
		await writer.flush()
		const history = await committedHistory(rig.memory)
		const expected = [...below.map(() => false), ...at.map(() => true)]
		expect(history.map(entry => entry.isBlob)).toEqual([...expected, ...expected])
		expect(history.map(entry => entry.value)).toEqual([...below, ...at, ...below, ...at].map(latin1))
	})
})

describe('options of a write', () => {
	const refused: Record<string, readonly [unknown, typeof RangeError | typeof TypeError]> = {
		'ttlMs 0': [{ ttlMs: 0 }, RangeError],
		'ttlMs negative': [{ ttlMs: -1 }, RangeError],
		'ttlMs NaN': [{ ttlMs: Number.NaN }, RangeError],
		'ttlMs infinite': [{ ttlMs: Number.POSITIVE_INFINITY }, RangeError],
		'ttlMs no integer': [{ ttlMs: 1.5 }, RangeError],
		'ttlMs of more than 100 years': [{ ttlMs: 3_155_760_000_001 }, RangeError],
		'ttlMs as text': [{ ttlMs: '5' }, TypeError],
		'durable as a number': [{ durable: 1 }, TypeError],
		'a misspelt name': [{ ttl: 5 }, TypeError],
		null: [null, TypeError],
		'a number': [5, TypeError],
	}
	for (const [name, [options, type]] of Object.entries(refused)) {
		test(`${name} is refused`, async () => {
			const rig = new WriterRig()
			const { writer } = await rig.open()
			const bad = untyped<WriteOptions>(options)
			await expect(writer.put('key', 'value', bad)).rejects.toThrow(type)
			await expect(writer.put('key', noise(300_000), bad)).rejects.toThrow(type)
			await expect(rig.drive(writer.putStream('key', streamOf(noise(1)), bad))).rejects.toThrow(type)
			await expect(writer.delete('key', bad)).rejects.toThrow()
			await expect(writer.write(new WriteBatch().put('key', '1'), bad)).rejects.toThrow()
			const entry = untyped<{ ttlMs?: number }>(options)
			if (!(typeof options === 'object' && options !== null && 'durable' in options)) {
				expect(() => new WriteBatch().put('key', 'value', entry)).toThrow()
			}
			expect(writer.stats()).toMatchObject({ lastSeq: 0, pendingBlobBytes: 0, failure: undefined })
		})
	}

	test('a time to live where there is no value is refused', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		await expect(writer.delete('key', { ttlMs: 5 })).rejects.toThrow(TypeError)
		await expect(writer.write(new WriteBatch().put('key', '1'), { ttlMs: 5 })).rejects.toThrow(TypeError)
		await expectUntouched(rig, writer)
	})

	test('a time to live counts from when the write was accepted, by the wall clock', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const startMs = rig.clock.nowMs()
		await writer.put('a', '1', { ttlMs: 1 })
		await writer.put('large', noise(300_000), { ttlMs: 3_155_760_000_000 })
		const batch = new WriteBatch().put('b', '1', { ttlMs: 10 }).put('c', '1')
		await rig.clock.advance(1_000)
		await writer.write(batch)
		async function* late(): AsyncGenerator<Uint8Array, void, undefined> {
			await rig.clock.advance(1_000)
			yield noise(1)
		}
		await writer.putStream('stream', late(), { ttlMs: 10 })
		await rig.drive(writer.flush())
		const expiries = (await committedHistory(rig.memory)).map(entry => entry.expiresAtMs)
		expect(expiries).toEqual([startMs + 1, startMs + 3_155_760_000_000, startMs + 1_010, 0, startMs + 2_010])
	})
})

describe('options of a writer', () => {
	test('an unknown codec is ISLE_UNSUPPORTED, not a default', () => {
		for (const codec of ['brotli', 'LZ4', '', 'toString']) {
			let error: unknown
			try {
				writerSettings({ codec: untyped<CodecName>(codec) })
			} catch (cause) {
				error = cause
			}
			expect(isIsleError(error, 'ISLE_UNSUPPORTED'), codec).toBe(true)
		}
		expect(() => writerSettings({ codec: untyped<CodecName>(7) })).toThrow(TypeError)
	})

	test('each codec that is known writes what can be read', async () => {
		for (const codec of ['none', 'deflate', 'lz4', 'zstd'] as const) {
			const rig = new WriterRig()
			const { writer } = await rig.open({ codec })
			for (let i = 0; i < 1_000; i++) await writer.put(`key ${i}`, 'value '.repeat(20))
			await rig.drive(writer.flush())
			expect(await committedHistory(rig.memory), codec).toHaveLength(1_000)
		}
	})

	const bounds: Record<string, readonly [number, number]> = {
		memtableMaxBytes: [65_536, 268_435_456],
		writeBufferMaxBytes: [134_217_728, 68_719_476_736],
		flushIntervalMs: [0, 86_400_000],
		inlineMaxBytes: [0, 16_777_216],
		blobThresholdBytes: [1_024, 16_777_216],
		maxCommitsInFlight: [1, 64],
		maxCommitsPerSecond: [1, 100_000],
	}
	for (const [name, [min, max]] of Object.entries(bounds)) {
		test(`${name} is an integer from ${min} to ${max}`, () => {
			const settingsOf = (value: unknown): object => writerSettings(untyped<WriterOptions>({ [name]: value }))
			for (const value of [min, max]) expect(settingsOf(value)).toHaveProperty(name, value)
			for (const value of [min - 1, max + 1, -1, Number.NaN, min + 0.5]) {
				expect(() => settingsOf(value), String(value)).toThrow(RangeError)
			}
			expect(() => settingsOf(String(min))).toThrow(TypeError)
			expect(settingsOf(undefined)).toEqual(writerSettings({}))
		})
	}

	test('durability is one of two words', () => {
		expect(() => writerSettings(untyped<WriterOptions>({ durability: 'disk' }))).toThrow(RangeError)
		expect(writerSettings({ durability: 'committed' }).durability).toBe('committed')
		expect(writerSettings({}).durability).toBe('memory')
	})
})

describe('batches', () => {
	test('are one commit with sequence numbers that follow one another', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open({ memtableMaxBytes: 65_536 })
		const batch = new WriteBatch()
		for (let i = 0; i < 500; i++) batch.put(`key ${i}`, noise(1_000, i))
		batch.delete('key 0')
		await rig.drive(writer.write(batch))
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(commitSizes(history)).toEqual([501])
		expect(history.at(-1)).toMatchObject({ key: 'key 0', value: undefined })
	})

	test('that are empty write nothing, and may be used again after clear', async () => {
		const rig = new WriterRig()
		const { writer, counts } = await rig.open()
		const batch = new WriteBatch()
		await writer.write(batch, { durable: true })
		expect(counts.snapshot().total.requests).toBe(0)
		await writer.write(batch.put('a', '1'))
		await writer.write(batch.clear().put('b', '1'))
		expect(batch.bytes).toBe(3 + 3 + BATCH_OPERATION_BYTES)
		await writer.flush()
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['a', 'b'])
	})

	test('hold exactly 32 MiB, however small the operations; what is refused leaves them as they were', () => {
		const room = BATCH_MAX_BYTES - BATCH_OPERATION_BYTES - 1
		const exact = new WriteBatch().put(Uint8Array.of(1), new Uint8Array(room))
		expect(exact.bytes).toBe(BATCH_MAX_BYTES)
		expect(() => exact.delete(Uint8Array.of(1))).toThrow(RangeError)
		expect(() => new WriteBatch().put(Uint8Array.of(1), new Uint8Array(room + 1))).toThrow(RangeError)
		expect(exact.length).toBe(1)

		const many = new WriteBatch()
		const key = Uint8Array.of(1)
		const count = Math.floor(BATCH_MAX_BYTES / (1 + BATCH_OPERATION_BYTES))
		for (let i = 0; i < count; i++) many.delete(key)
		expect(() => many.delete(key)).toThrow(RangeError)
		expect(many.length).toBe(count)
	})

	test('whose fifth operation is bad keep the four before it, and nothing is written', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const batch = new WriteBatch()
		for (let i = 0; i < 4; i++) batch.put(`key ${i}`, 'value')
		const { bytes } = batch
		expect(() => batch.put('', 'value')).toThrow(RangeError)
		expect(() => batch.put('key', untyped(7))).toThrow(TypeError)
		expect(() => batch.put('key', 'value', { ttlMs: 0 })).toThrow(RangeError)
		expect(() => batch.delete('x'.repeat(KEY_MAX_BYTES + 1))).toThrow(RangeError)
		expect(batch.length).toBe(4)
		expect(batch.bytes).toBe(bytes)
		await expectUntouched(rig, writer)
	})

	test('that fail half way, for whatever reason, are never committed in part', async () => {
		const rig = new WriterRig()
		// A clock that is out of order: no expiry can be made of its time.
		let fraction = 0
		const { clock, random } = rig.host
		const host: Host = {
			random,
			clock: {
				nowMs: () => clock.nowMs() + fraction,
				monotonicMs: () => clock.monotonicMs(),
				schedule: (delayMs, fire, options) => clock.schedule(delayMs, fire, options),
				yieldToIo: () => clock.yieldToIo(),
			},
		}
		const { store } = rig.layers()
		const writer = await Writer.open({ store, pool: rig.pool, host }, writerSettings({ flushIntervalMs: 100 }))
		await writer.put('before', '1')
		await writer.flush()
		await writer.put('also before', '1')
		const batch = new WriteBatch()
		for (let i = 0; i < 4; i++) batch.put(`key ${i}`, 'value')
		fraction = 0.5
		await expect(writer.write(batch.put('fifth', 'value', { ttlMs: 1 }))).rejects.toSatisfy(error =>
			isIsleError(error, 'ISLE_CLOSED'),
		)
		fraction = 0
		await rig.clock.advance(1_000)
		await expect(writer.flush()).rejects.toSatisfy(error => isIsleError(error, 'ISLE_CLOSED'))
		await expect(writer.close()).rejects.toSatisfy(error => isIsleError(error, 'ISLE_CLOSED'))
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['before'])
	})

	test('that are none are refused', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		for (const batch of [undefined, null, [], { length: 1, entries: { words: new Int32Array(8), endWord: 8 } }]) {
			await expect(writer.write(untyped(batch))).rejects.toThrow(TypeError)
		}
		await expectUntouched(rig, writer)
	})
})

describe('a buffer of the caller', () => {
	test('may be changed as soon as the call has returned', async () => {
		const rig = new WriterRig()
		const { writer } = await rig.open()
		const buffers = [(text: string) => Buffer.from(text), (text: string) => new TextEncoder().encode(text)]
		const value = 'v'.repeat(300_000)
		let count = 0
		for (const make of buffers) {
			for (const text of ['small', value, 'w'.repeat(20_000)]) {
				const calls = [
					(key: Uint8Array, bytes: Uint8Array) => writer.put(key, bytes),
					(key: Uint8Array, bytes: Uint8Array) => writer.delete(bytes.length < 100 ? bytes : key),
					(key: Uint8Array, bytes: Uint8Array) => {
						const batch = new WriteBatch().put(key, bytes).delete(key)
						key.fill(0x21)
						bytes.fill(0x21)
						return writer.write(batch)
					},
				]
				for (const call of calls) {
					const key = make('key')
					const bytes = make(text)
					const done = call(key, bytes)
					key.fill(0x21)
					bytes.fill(0x21)
					await done
					count++
				}
			}
			const key = make('key')
			const stored = writer.putStream(key, streamOf(make('streamed')))
			key.fill(0x21)
			await rig.drive(stored)
			count++
		}
		await rig.drive(writer.flush())
		const history = await committedHistory(rig.memory)
		expect(history.length).toBeGreaterThan(count)
		for (const entry of history) {
			expect(entry.key).not.toContain('!')
			expect(entry.value ?? '').not.toContain('!')
		}
	})
})
