import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { crc32 } from '../../src/bytes/crc32.ts'
import { comparePositions } from '../../src/log/log-position.ts'
import {
	checkpointKey,
	decodeCheckpoint,
	encodeCheckpoint,
	newestCheckpoint,
	parseCheckpointKey,
	readCheckpoint,
} from '../../src/manifest/checkpoint.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { bitFlips, truncations, verdictOf } from '../support/damage.ts'
import { readGolden } from '../support/golden-files.ts'
import { manifests } from '../support/manifest-arbitraries.ts'
import { ScriptedStore } from '../support/scripted-store.ts'
import { GOLDEN_CHECKPOINTS } from './golden-manifests.ts'

const corruptError = expect.objectContaining({ code: 'ISLE_CORRUPT' })
const SAMPLE = GOLDEN_CHECKPOINTS['checkpoint-full'] as Manifest

/** A checkpoint with a body of the test's choosing, its checksum right. */
function forge(body: Uint8Array, version = 1): Uint8Array {
	const front = new ByteWriter().bytes(new TextEncoder().encode('ISLC')).u16(version).u16(0).finish()
	return new ByteWriter()
		.bytes(front)
		.u32(crc32(body, crc32(front)))
		.bytes(body)
		.finish()
}

describe('a checkpoint', () => {
	test('comes back as it was written', () => {
		fc.assert(
			fc.property(manifests, manifest => {
				expect(decodeCheckpoint(encodeCheckpoint(manifest), 'x')).toEqual(manifest)
			}),
		)
	})

	test.each(Object.keys(GOLDEN_CHECKPOINTS))('has the bytes that it always had: %s', name => {
		const manifest = GOLDEN_CHECKPOINTS[name] as Manifest
		const golden = readGolden(new URL(`golden/${name}.bin`, import.meta.url))
		expect(Buffer.from(encodeCheckpoint(manifest)).toString('hex')).toBe(Buffer.from(golden).toString('hex'))
		expect(decodeCheckpoint(golden, name)).toEqual(manifest)
	})

	test('that is empty, cut short anywhere or too long is corrupt, never an empty database', () => {
		const bytes = encodeCheckpoint(SAMPLE)
		for (const cut of truncations(bytes)) expect(() => decodeCheckpoint(cut, 'x')).toThrow(corruptError)
		expect(() => decodeCheckpoint(new Uint8Array([...bytes, 0]), 'x')).toThrow(corruptError)
	})

	test('of which any bit is flipped is refused', () => {
		const accepted: string[] = []
		for (const [where, flipped] of bitFlips(encodeCheckpoint(SAMPLE))) {
			if (verdictOf(() => decodeCheckpoint(flipped, 'x')) === 'accepted') accepted.push(where)
		}
		expect(accepted).toEqual([])
	})

	test('of a newer format is unsupported, of format 0 corrupt', () => {
		const body = encodeCheckpoint(EMPTY_MANIFEST).subarray(12)
		expect(decodeCheckpoint(forge(body), 'x')).toEqual(EMPTY_MANIFEST)
		expect(() => decodeCheckpoint(forge(body, 2), 'x')).toThrow(expect.objectContaining({ code: 'ISLE_UNSUPPORTED' }))
		expect(() => decodeCheckpoint(forge(body, 0), 'x')).toThrow(corruptError)
	})

	test('whose reserved bytes are not 0 is corrupt, behind a checksum that is right', () => {
		for (const at of [6, 7]) {
			const bytes = encodeCheckpoint(SAMPLE)
			bytes[at] = 1
			new DataView(bytes.buffer).setUint32(8, crc32(bytes.subarray(12), crc32(bytes.subarray(0, 8))), true)
			expect(() => decodeCheckpoint(bytes, 'x')).toThrow(corruptError)
		}
	})

	test('with counts that lie is refused before anything is allocated', () => {
		const front = (): ByteWriter => {
			const writer = new ByteWriter()
			for (let field = 0; field < 6; field++) writer.varint(0)
			return writer
		}
		for (const claimed of [1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
			expect(() => decodeCheckpoint(forge(front().varint(claimed).finish()), 'x')).toThrow(corruptError)
			expect(() => decodeCheckpoint(forge(front().varint(0).varint(claimed).finish()), 'x')).toThrow(corruptError)
		}
	})

	test('never makes anything but a typed error or a manifest out of random bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, isPlausible) => {
				verdictOf(() => decodeCheckpoint(isPlausible ? forge(noise) : noise, 'x'))
			}),
			{ numRuns: 2000 },
		)
	})
})

describe('the name of a checkpoint', () => {
	test('comes back as its positions', () => {
		expect(parseCheckpointKey(checkpointKey(SAMPLE))).toEqual({
			key: 'checkpoints/0000000000000002-0000000000000007_0000000000000003-0000000000000041',
			maintenancePosition: SAMPLE.maintenancePosition,
			writerPosition: SAMPLE.writerPosition,
		})
	})

	test('orders checkpoints by maintenance position, then by writer position', () => {
		const position = fc.record({ epoch: fc.nat(11), slot: fc.nat(11) })
		const pair = fc.record({ maintenancePosition: position, writerPosition: position })
		fc.assert(
			fc.property(pair, pair, (a, b) => {
				const byPosition =
					comparePositions(a.maintenancePosition, b.maintenancePosition) ||
					comparePositions(a.writerPosition, b.writerPosition)
				const [nameA, nameB] = [checkpointKey(a), checkpointKey(b)]
				expect(Math.sign(nameA < nameB ? -1 : nameA > nameB ? 1 : 0)).toBe(Math.sign(byPosition))
			}),
		)
	})

	const beyond = `checkpoints/9999999999999999-${'0'.repeat(16)}_${'0'.repeat(16)}-${'0'.repeat(16)}`
	test.each([
		'checkpoints/',
		'checkpoints/tmp',
		'checkpoints/1-2_3-4',
		'log/x',
		`checkpoints/${'0'.repeat(67)}`,
		beyond,
	])('%s is none', key => {
		expect(() => parseCheckpointKey(key)).toThrow(corruptError)
	})
})

describe('the newest checkpoint', () => {
	const at = (maintenance: number, writer: number): Manifest => ({
		...EMPTY_MANIFEST,
		maintenancePosition: { epoch: 1, slot: maintenance },
		writerPosition: { epoch: 1, slot: writer },
	})

	test('is absent where there is none, for one LIST', async () => {
		const store = new ScriptedStore()
		expect(await newestCheckpoint(store)).toBe(undefined)
		expect(store.calls).toEqual(['list checkpoints/'])
	})

	test('is the one of the highest maintenance position, although an older one covers more of the writer log', async () => {
		const store = new MemoryStore()
		for (const manifest of [at(3, 10), at(2, 99), at(3, 9)]) {
			await store.put(checkpointKey(manifest), encodeCheckpoint(manifest))
		}
		expect((await newestCheckpoint(store))?.key).toBe(checkpointKey(at(3, 10)))
	})

	test('is found behind a thousand others, one LIST a page', async () => {
		const store = new ScriptedStore()
		for (let slot = 1; slot <= 1_001; slot++) await store.put(checkpointKey(at(slot, 0)), new Uint8Array(1))
		store.calls.length = 0
		expect((await newestCheckpoint(store))?.maintenancePosition.slot).toBe(1_001)
		expect(store.calls).toHaveLength(2)
	})

	test('is read as absent when it was deleted meanwhile', async () => {
		expect(await readCheckpoint(new MemoryStore(), { ...parseCheckpointKey(checkpointKey(SAMPLE)), bytes: 99 })).toBe(
			undefined,
		)
	})

	test('that holds other positions than its name says is corrupt', async () => {
		const store = new MemoryStore()
		const name = { ...parseCheckpointKey(checkpointKey(at(1, 2))), bytes: 99 }
		for (const other of [at(1, 1), at(2, 2)]) {
			await store.put(checkpointKey(at(1, 2)), encodeCheckpoint(other))
			await expect(readCheckpoint(store, name)).rejects.toEqual(corruptError)
		}
		await store.put(checkpointKey(at(1, 2)), encodeCheckpoint(at(1, 2)))
		expect(await readCheckpoint(store, name)).toEqual(at(1, 2))
	})
})
