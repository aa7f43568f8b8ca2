import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/bytes/crc32.ts'
import { encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import {
	createPin,
	decodePin,
	encodePin,
	listPinKeys,
	PIN_NAME_MAX_BYTES,
	pinnedState,
	readPin,
	releasePin,
	renewPin,
} from '../../src/manifest/pin.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { manifests, tableOf } from '../support/manifest-arbitraries.ts'
import { manualHost } from '../support/manual-clock.ts'
import { ScriptedStore } from '../support/scripted-store.ts'

const pins = fc.record({
	name: fc.string({ maxLength: 20 }),
	createdMs: fc.nat(),
	expiresMs: fc.nat(),
	manifest: manifests.map(pinnedState),
})

function stateOf(...names: string[]): Manifest {
	return {
		...EMPTY_MANIFEST,
		l0: names.map((name, i) => ({ ...tableOf(name, i * 10 + 1, i * 10 + 9), objectKey: `sst/${name}` })),
	}
}

describe('the bytes of a pin', () => {
	test('give back the state that reading needs, and nothing of what maintenance had under way', () => {
		fc.assert(
			fc.property(pins, pin => {
				expect(decodePin(encodePin(pin), 'pins/x')).toEqual(pin)
			}),
			{ numRuns: 50 },
		)
		const busy = { ...stateOf('w1-0'), sweptWriterEpoch: 3 }
		expect(decodePin(encodePin({ name: 'p', createdMs: 1, expiresMs: 0, manifest: busy }), 'x').manifest).toEqual({
			...busy,
			sweptWriterEpoch: 0,
		})
	})

	test('that are cut short or changed anywhere are corruption that names the object', () => {
		const bytes = encodePin({ name: 'p', createdMs: 1, expiresMs: 2, manifest: stateOf('w1-0', 'w1-1') })
		for (let length = 0; length < bytes.length; length++) {
			expect(() => decodePin(bytes.subarray(0, length), 'pins/7')).toThrow(/pins\/7/)
		}
		for (let at = 0; at < bytes.length; at++) {
			const changed = new Uint8Array(bytes)
			changed[at] = (changed[at] ?? 0) ^ 1
			expect(() => decodePin(changed, 'pins/7')).toThrow(/pins\/7/)
		}
		expect(() => decodePin(encodeCheckpoint(stateOf('w1-0')), 'pins/7')).toThrow(/not a pin/)
		const reserved = new Uint8Array(bytes)
		reserved[6] = 1
		const body = reserved.subarray(12)
		new DataView(reserved.buffer).setUint32(8, crc32(body, crc32(reserved.subarray(0, 8))), true)
		expect(() => decodePin(reserved, 'pins/7')).toThrow(/pins\/7/)
	})
})

describe('a pin', () => {
	const host = manualHost(3)
	const create = (
		store: MemoryStore | ScriptedStore,
		manifest: Manifest,
		now: Manifest,
	): ReturnType<typeof createPin> =>
		createPin({ store, host, name: 'p', expiresMs: 0, manifest, refresh: async () => now })

	test('counts when none of its objects is found removed after it was written', async () => {
		const store = new MemoryStore()
		const pin = await create(store, stateOf('w1-0'), stateOf('w1-0', 'w1-1'))
		expect(await listPinKeys(store)).toEqual([pin.key])
		expect((await readPin(store, pin.key))?.manifest.l0).toHaveLength(1)
		await releasePin(store, pin.key)
		await releasePin(store, pin.key)
		expect(await readPin(store, pin.key)).toBeUndefined()
	})

	test('is refused, and gone, when one of them was removed meanwhile', async () => {
		const store = new MemoryStore()
		const failure = create(store, stateOf('w1-0', 'w1-1'), stateOf('w1-1'))
		await expect(failure).rejects.toMatchObject({ code: 'ISLE_EXPIRED', details: { key: 'sst/w1-0' } })
		expect(await listPinKeys(store)).toEqual([])
	})

	test('looks at the state only after it was written', async () => {
		const store = new ScriptedStore()
		let written = -1
		const manifest = stateOf('w1-0')
		await createPin({
			store,
			host,
			name: 'p',
			expiresMs: 0,
			manifest,
			refresh: async () => {
				written = store.count('put', 'pins/')
				return manifest
			},
		})
		expect(written).toBe(1)
	})

	test('is renewed under a new key, and never when it was gone meanwhile', async () => {
		const store = new ScriptedStore()
		const pin = await create(store, stateOf('w1-0'), stateOf('w1-0'))
		const renewed = await renewPin({ store, host, key: pin.key, expiresMs: 99 })
		expect(await listPinKeys(store)).toEqual([renewed.key])
		expect(await readPin(store, renewed.key)).toMatchObject({ name: 'p', expiresMs: 99, createdMs: pin.createdMs })
		await expect(renewPin({ store, host, key: pin.key, expiresMs: 99 })).rejects.toMatchObject({ code: 'ISLE_EXPIRED' })
		// Deleted by a collector between the write of the new one and the second look.
		let reads = 0
		store.onGet = async (_key, run) => (++reads === 2 ? undefined : await run())
		await expect(renewPin({ store, host, key: renewed.key, expiresMs: 1 })).rejects.toMatchObject({
			code: 'ISLE_EXPIRED',
		})
		expect(await listPinKeys(store)).toEqual([renewed.key])
	})

	test('has a name of at most 256 bytes', async () => {
		const store = new MemoryStore()
		const named = (name: string): ReturnType<typeof createPin> =>
			createPin({ store, host, name, expiresMs: 0, manifest: stateOf(), refresh: async () => stateOf() })
		expect((await named('n'.repeat(PIN_NAME_MAX_BYTES))).name).toHaveLength(PIN_NAME_MAX_BYTES)
		await expect(named('n'.repeat(PIN_NAME_MAX_BYTES + 1))).rejects.toThrow(RangeError)
	})
})
