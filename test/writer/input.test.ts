/** What callers pass: limits at them and one past, wrong types, buffers that change afterwards. Nothing refused leaves a trace. */
import { describe, expect, test } from 'vitest'
import { KEY_MAX_BYTES, VALUE_MAX_BYTES } from '../../src/sst/entry.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import type { Writer } from '../../src/writer/writer.ts'
import { committedHistory, latin1 } from './committed-history.ts'
import { expectUntouched, noise, refuseUnhandledRejections, streamOf, untyped, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

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
