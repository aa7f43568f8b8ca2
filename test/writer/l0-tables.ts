/** L0 as a writer weighs it: tables of some size, and limits. */
import type { TableRef } from '../../src/manifest/manifest.ts'
import type { L0Limits } from '../../src/writer/l0-pressure.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

export const MIB = 1_048_576
export const LIMITS: L0Limits = { l0SlowdownTables: 48, l0StopTables: 96, memtableMaxBytes: 16 * MIB }

/** `count` tables of `storedBytes`, of one commit each. */
export function tables(count: number, storedBytes: number = 16 * MIB): readonly TableRef[] {
	return Array.from({ length: count }, (_, i) => {
		const table = tableOf(`w1-${i}`, i + 1, i + 1)
		return { ...table, meta: { ...table.meta, storedBytes } }
	})
}
