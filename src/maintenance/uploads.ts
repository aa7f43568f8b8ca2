/**
 * What this owner has uploaded and no record names yet.
 *
 * An upload gets an id of the own epoch, which nobody else ever uses. Until a record names it, it is deleted here when the
 * work that made it fails. Once such a record is on its way its outcome may stay unknown, so that nothing is deleted any more:
 * what then is an orphan is found by the next owner, when the epoch has ended.
 */
import type { TableRef } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { RepeatedRequestOptions } from '../object-store/retrying-store.ts'
import type { SstMeta } from '../sst/sst-meta.ts'
import type { OwnedState } from './owned-state.ts'

export interface UploadedTable {
	readonly table: TableRef
	/** Nothing reads its bytes any more. False where an attempt was given up, which may go on for a while. */
	readonly isLetGo: boolean
}

export class Uploads {
	readonly #store: ObjectStore
	readonly #state: OwnedState
	/** Could not be deleted yet. */
	readonly #litter = new Set<string>()

	constructor(store: ObjectStore, state: OwnedState) {
		this.#store = store
		this.#state = state
	}

	/** Objects that nothing names and that still have to be deleted. */
	get litterCount(): number {
		return this.#litter.size
	}

	/** Uploads a table. A failure leaves nothing but litter. */
	async putTable(bytes: Uint8Array, meta: SstMeta, signal: AbortSignal): Promise<UploadedTable> {
		const id = this.#state.nextTableId()
		const objectKey = `sst/${id}`
		let isLetGo = true
		const options: RepeatedRequestOptions = {
			signal,
			onRepeat: () => {
				isLetGo = false
			},
		}
		try {
			await this.#store.put(objectKey, bytes, options)
		} catch (error) {
			// It may have taken effect, or do so yet.
			await this.discard([objectKey])
			throw error
		}
		return { table: { id, objectKey, offset: 0, meta }, isLetGo }
	}

	/** Deletes objects that no record names, now or at the next `deleteLitter`. Never rejects. */
	async discard(objectKeys: readonly string[]): Promise<void> {
		if (objectKeys.length === 0) return
		for (const key of objectKeys) this.#litter.add(key)
		try {
			await this.deleteLitter()
		} catch {
			// They are still in `#litter`.
		}
	}

	/** No request when there is none. Rejects with what the store throws. */
	async deleteLitter(): Promise<number> {
		if (this.#litter.size === 0) return 0
		const keys = [...this.#litter]
		await this.#store.deleteMany(keys)
		for (const key of keys) this.#litter.delete(key)
		return keys.length
	}
}
