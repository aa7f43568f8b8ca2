/**
 * A few names that are looked for among very many tables: a hash tells nearly all others apart, without a string for each.
 */
import { hashKey } from '../bytes/hash.ts'
import type { TableRef } from './manifest.ts'
import { PackedTable } from './packed-table.ts'

const encoder = new TextEncoder()

export class TableNames {
	readonly #names: ReadonlySet<string>
	readonly #hashes: ReadonlySet<number>

	constructor(names: Iterable<string>) {
		this.#names = new Set(names)
		this.#hashes = new Set(Array.from(this.#names, hashOf))
	}

	/** Whether the id of `table` is one of them. */
	hasId(table: TableRef): boolean {
		if (table instanceof PackedTable && !this.#hashes.has(table.idHash)) return false
		return this.#names.has(table.id)
	}

	/** Whether its object key is. */
	hasObjectKey(table: TableRef): boolean {
		if (table instanceof PackedTable && !this.#hashes.has(table.objectKeyHash)) return false
		return this.#names.has(table.objectKey)
	}
}

function hashOf(name: string): number {
	const bytes = encoder.encode(name)
	return hashKey(bytes, 0, bytes.length)
}
