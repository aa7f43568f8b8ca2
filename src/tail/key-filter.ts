/** Which keys a tail wants: a half-open range, because keys with a prefix are one too. */
import { compareBytes } from '../bytes/compare.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { KeyRange } from '../reader/key-range.ts'

export class KeyFilter {
	/** Inclusive; undefined is the beginning. */
	readonly lower: Uint8Array | undefined
	/** Exclusive; undefined is the end. */
	readonly upper: Uint8Array | undefined
	/** No key is wanted. */
	readonly isEmpty: boolean

	constructor(range: Pick<KeyRange, 'lower' | 'upper' | 'isEmpty'>) {
		this.lower = range.lower
		this.upper = range.upper
		this.isEmpty = range.isEmpty
	}

	/** Whether the table may hold keys that are wanted. */
	touchesTable({ meta }: TableRef): boolean {
		if (this.isEmpty) return false
		if (this.upper !== undefined && compareBytes(meta.smallestKey, this.upper) >= 0) return false
		return this.lower === undefined || compareBytes(meta.largestKey, this.lower) >= 0
	}

	/** Whether every key of the table is wanted. */
	coversTable({ meta }: TableRef): boolean {
		if (this.isEmpty) return false
		if (this.upper !== undefined && compareBytes(meta.largestKey, this.upper) >= 0) return false
		return this.lower === undefined || compareBytes(meta.smallestKey, this.lower) >= 0
	}
}
