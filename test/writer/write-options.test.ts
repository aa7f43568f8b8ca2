/** Options of a writer and of a write: bounds, types, and names that nobody knows. */
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { type WriteOptions, type WriterOptions, writerSettings } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import { committedHistory } from './committed-history.ts'
import { expectUntouched, noise, refuseUnhandledRejections, streamOf, untyped, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

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
		maxCommitsInFlight: [1, 16],
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
