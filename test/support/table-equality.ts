/** Table references are equal when all that they say is equal, however they are kept: a packed one has no properties to compare. */
import { expect } from 'vitest'
import { PackedTable, plainTable } from '../../src/manifest/packed-table.ts'

expect.addEqualityTesters([
	function sameTable(a: unknown, b: unknown): boolean | undefined {
		if (!(a instanceof PackedTable) && !(b instanceof PackedTable)) return undefined
		const [left, right] = [a, b].map(table => (table instanceof PackedTable ? plainTable(table) : table))
		return this.equals(left, right)
	},
])
