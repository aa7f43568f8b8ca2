/**
 * Asks memory for what several lookups will need, before they need it.
 *
 * Why: most of the time of a lookup among much that is cached goes by waiting for memory, a dozen times one after another.
 * The processor fetches many lines at once when nothing waits for them; so each step is made for all keys before the next.
 * Nothing is decided here, and nothing counts as used.
 */
import { hashKey } from '../bytes/hash.ts'
import type { TableSlot } from '../cache/table-slot.ts'
import type { TableSource } from '../cache/table-source.ts'
import type { Block } from '../sst/block.ts'
import type { KeyEncoder } from './key-encoder.ts'
import { numberInPlan, type SearchPlan, slotForKey } from './search-plan.ts'

export interface TouchContext {
	readonly source: TableSource
	readonly plan: SearchPlan
	readonly keyEncoder: KeyEncoder
}

export class TouchAhead {
	readonly #slots: TableSlot[] = []
	readonly #indexes: number[] = []
	readonly #blocks: (Block | undefined)[] = []
	readonly #hashes: number[] = []

	/** Of `keys[from, end)`, which lookups are about to ask for. The result means nothing. */
	touch({ source, plan, keyEncoder }: TouchContext, keys: readonly unknown[], from: number, end: number): number {
		let count = 0
		for (let i = from; i < end; i++) if (this.#find(source, plan, keyEncoder.encode(keys[i]), count)) count++
		for (let i = 0; i < count; i++) {
			this.#blocks[i] = source.peekBlock(this.#slots[i] as TableSlot, this.#indexes[i] as number)
		}
		let sum = 0
		for (let i = 0; i < count; i++) sum += this.#blocks[i]?.touch(this.#hashes[i] as number) ?? 0
		for (let i = 0; i < count; i++) sum += this.#blocks[i]?.touchEntry(this.#hashes[i] as number) ?? 0
		return sum
	}

	/** The block where `key` most likely is. */
	#find(source: TableSource, plan: SearchPlan, key: Uint8Array, at: number): boolean {
		const number = numberInPlan(plan, key)
		if (number < 0) return false
		const hash = hashKey(key, 0, key.length)
		for (let level = 0; level < plan.count; level++) {
			const slot = slotForKey(plan, level, key, number)
			const table = slot === undefined ? undefined : source.peekTable(slot)
			if (slot === undefined || table === undefined || !table.mayContain(hash)) continue
			const index = table.findBlock(key)
			if (index < 0) continue
			this.#slots[at] = slot
			this.#indexes[at] = index
			this.#hashes[at] = hash
			return true
		}
		return false
	}
}
