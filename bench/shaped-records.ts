/**
 * Records of other shapes than the usual ones: keys in order, paths, strings; values of a kilobyte, and of mixed sizes.
 *
 * Keys of all shapes are distinct. Random ones are a bijection of the record's number, as in `Workload`, so that their
 * order says nothing; paths share long prefixes and come tenant by tenant in random order, as those of events do.
 */
import { seededRandom } from '../src/host/random.ts'
import type { Datum } from './engine.ts'
import type { RecordSource } from './ingestion.ts'
import { Workload } from './workload.ts'

export const KEY_SHAPES = ['random', 'sequential', 'paths', 'strings'] as const
export type KeyShape = (typeof KEY_SHAPES)[number]
export const VALUE_SHAPES = ['100 B', '1 KB', 'mixed'] as const
export type ValueShape = (typeof VALUE_SHAPES)[number]

const TENANTS = 97
const DIGITS = 16
/** Of mixed values: most are small, a few are large, and their mean is about 640 bytes. */
const MIXED_SIZES = [20, 20, 40, 60, 100, 100, 200, 400, 1_000, 4_500] as const
const PREPARED = 1_024

export function shapedRecords(keys: KeyShape, values: ValueShape, seed: number, inFlight: number): RecordSource {
	const workload = new Workload(seed, 100, inFlight)
	return { key: i => keyOf(keys, workload, i), value: valuesOf(values, workload, seed, keys === 'strings') }
}

function keyOf(shape: KeyShape, workload: Workload, i: number): Datum {
	switch (shape) {
		case 'random':
			return workload.key(i)
		case 'strings':
			return workload.keyText(i)
		case 'sequential':
			return Buffer.from(String(i).padStart(DIGITS, '0'), 'latin1')
		case 'paths': {
			const random = workload.keyText(i)
			const tenant = String(Number.parseInt(random.slice(0, 8), 16) % TENANTS).padStart(4, '0')
			return Buffer.from(`tenants/${tenant}/events/2026/11/${random.slice(8, 10)}/${random}.json`, 'latin1')
		}
	}
}

function valuesOf(shape: ValueShape, workload: Workload, seed: number, isText: boolean): (i: number) => Datum {
	const prepared = Array.from({ length: PREPARED }, (_, i) => workload.value(i))
	const random = seededRandom(seed)
	const sized = prepared.map((_, i): Datum => {
		const bytes = valueOfSize(sizeOf(shape, random.next()), prepared, i)
		return isText ? Buffer.from(bytes).toString('latin1') : bytes
	})
	return i => sized[i % PREPARED] as Datum
}

function sizeOf(shape: ValueShape, drawn: number): number {
	switch (shape) {
		case '100 B':
			return 100
		case '1 KB':
			return 1_000
		case 'mixed':
			return MIXED_SIZES[Math.floor(drawn * MIXED_SIZES.length)] ?? MIXED_SIZES[0]
	}
}

/** Prepared values behind one another, from the i-th on, so that a long value is not one text again and again. */
function valueOfSize(bytes: number, prepared: readonly Uint8Array[], i: number): Uint8Array {
	const value = new Uint8Array(bytes)
	for (let at = 0, next = i; at < bytes; next++) {
		const piece = prepared[next % prepared.length] as Uint8Array
		value.set(piece.subarray(0, Math.min(piece.length, bytes - at)), at)
		at += piece.length
	}
	return value
}
