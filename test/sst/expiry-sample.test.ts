import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { halfExpiryOf } from '../support/half-expiry.ts'
import { blockBytes, build, entry, type ModelEntry, open } from './table-model.ts'

const NEVER = 0
const expiriesArbitrary = fc.array(fc.oneof(fc.constant(NEVER), fc.integer({ min: 1, max: 2 ** 50 })), {
	minLength: 1,
	maxLength: 255,
})

/** A table whose entries expire at these times, in the order of its keys. */
const expiring = (expiries: readonly number[]): readonly ModelEntry[] =>
	expiries.map((expiresAtMs, i) => ({ ...entry(`key ${String(i).padStart(6, '0')}`, i + 1, 'value'), expiresAtMs }))

describe('when half of a table will have expired', () => {
	test('is exact for up to 255 entries, in however many blocks', () => {
		fc.assert(
			fc.property(expiriesArbitrary, fc.constantFrom(64, 512, 65_536), (expiries, blockBytes) => {
				const { meta } = build(expiring(expiries), { blockBytes })
				expect(meta.halfExpiresAtMs).toBe(halfExpiryOf(expiries))
			}),
		)
	})

	test('is told from 128 entries or more of a larger one', () => {
		const random = seededRandom(20)
		for (const count of [256, 257, 511, 512, 10_000, 65_537]) {
			const expiries = Array.from({ length: count }, () => 1 + Math.floor(random.next() * 1_000_000))
			const { halfExpiresAtMs } = build(expiring(expiries), { codec: 'lz4' }).meta
			const part = expiries.filter(timeMs => timeMs <= halfExpiresAtMs).length / count
			// Four standard deviations of the median of 128.
			expect(Math.abs(part - 0.5), `${part} of ${count}`).toBeLessThan(4 * (0.5 / Math.sqrt(128)))
			const never = expiries.map((timeMs, i) => (i % 3 === 0 ? timeMs : NEVER))
			expect(build(expiring(never)).meta.halfExpiresAtMs).toBe(0)
		}
	})

	test('counts what blocks hold that are added whole', () => {
		const source = build(expiring(Array.from({ length: 20 }, (_, i) => 100 + i)))
		const stored = blockBytes(source, open(source), 0)
		const block = open(source).decodeBlock(0, stored, 'here')
		const seqs = new Float64Array(block.count)
		block.copySeqs(seqs)
		const builder = new TableBuilder({ codec: 'none', minWriteMs: 0, maxWriteMs: 0 })
		builder.addBlock(block, seqs, stored)
		expect(builder.finish().meta).toMatchObject({ entryCount: 20, halfExpiresAtMs: 109, maxExpiresAtMs: 119 })
	})
})
