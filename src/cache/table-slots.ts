/** The slots of all tables of which anything is in memory, by id, and the tables that are kept as they were offered. */
import { corrupt } from '../errors.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { TableSlot } from './table-slot.ts'

/** Slots without anything in memory are swept when the registry has grown to this many, or twice what the last sweep left. */
const SWEEP_MIN_SLOTS = 1024

/**
 * What an offered table takes beside its bytes: its slot, reference and keys, as measured with tables of 600 bytes. They are what most
 * commits bring, and without it 27,000 of them, which nobody reads any more, would take 80 MB where 16 MiB are allowed.
 */
export const OFFERED_OVERHEAD_BYTES = 2400

export class TableSlots {
	/** Whether somebody reads new tables as soon as they are committed, so that it is worth while to offer them. */
	wantsOffers: () => boolean = () => false
	readonly #slots = new Map<string, TableSlot>()
	#sweepAt = SWEEP_MIN_SLOTS
	/** Slots with offered bytes, oldest first. */
	readonly #offered = new Set<TableSlot>()
	readonly #offeredMaxBytes: number
	#offeredBytes = 0

	constructor(offeredMaxBytes: number) {
		this.#offeredMaxBytes = offeredMaxBytes
	}

	/** Of all offered tables that are kept, with what each takes beside its bytes. */
	get offeredBytes(): number {
		return this.#offeredBytes
	}

	/** The slot of `ref`, always the same one while anything of the table is in memory. */
	get(ref: TableRef): TableSlot {
		let slot = this.#slots.get(ref.id)
		if (slot === undefined) {
			slot = new TableSlot(ref)
			this.#slots.set(ref.id, slot)
			if (this.#slots.size >= this.#sweepAt) this.#sweep()
		}
		return slot
	}

	/** A view may hold a slot that was swept meanwhile: what it loads is found again by others. */
	register(slot: TableSlot): void {
		if (!this.#slots.has(slot.ref.id)) this.#slots.set(slot.ref.id, slot)
	}

	/** Forgets the table; its slot, if it had one. */
	take(ref: TableRef): TableSlot | undefined {
		const slot = this.#slots.get(ref.id)
		if (slot === undefined) return undefined
		this.#slots.delete(ref.id)
		this.#withdraw(slot)
		return slot
	}

	/** Keeps `bytes`, which are the whole table as stored, as long as there is room. @throws ISLE_CORRUPT. */
	offer(ref: TableRef, bytes: Uint8Array): void {
		if (bytes.length !== ref.meta.storedBytes) {
			throw corrupt(
				ref.objectKey,
				`table ${ref.id} of ${bytes.length} bytes where ${ref.meta.storedBytes} are recorded,`,
			)
		}
		const slot = this.get(ref)
		if (slot.offered !== undefined || bytes.length + OFFERED_OVERHEAD_BYTES > this.#offeredMaxBytes) return
		slot.offered = bytes
		this.#offered.add(slot)
		this.#offeredBytes += bytes.length + OFFERED_OVERHEAD_BYTES
		for (const oldest of this.#offered) {
			if (this.#offeredBytes <= this.#offeredMaxBytes) break
			this.#withdraw(oldest)
		}
	}

	#withdraw(slot: TableSlot): void {
		if (slot.offered === undefined) return
		this.#offeredBytes -= slot.offered.length + OFFERED_OVERHEAD_BYTES
		slot.offered = undefined
		this.#offered.delete(slot)
	}

	#sweep(): void {
		for (const [id, slot] of this.#slots) if (slot.isIdle) this.#slots.delete(id)
		this.#sweepAt = Math.max(SWEEP_MIN_SLOTS, this.#slots.size * 2)
	}
}
