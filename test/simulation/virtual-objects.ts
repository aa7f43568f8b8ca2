/** The objects of a virtual store: strongly consistent, and each creation of a key is remembered, also when it was deleted since. */

import type { ListOptions, ListPage, ObjectStore } from '../../src/object-store/object-store.ts'
import { ReadRecords } from './read-records.ts'

interface VirtualObject {
	readonly bytes: Uint8Array
	readonly lastModifiedMs: number
}

/** Something that was created under a free key. */
export interface Creation {
	readonly key: string
	readonly bytes: Uint8Array
	readonly stamp: number
}

export interface VirtualTime {
	readonly nowMs: number
	stamp(): number
}

const PAGE_MAX_OBJECTS = 1000

export class VirtualObjects {
	/** The first of each key, in order. */
	readonly creations: Map<string, Creation> = new Map()
	/** Keys that stand there only because a repeated PUT came after the object was deleted. */
	readonly revived: Set<string> = new Set()
	/** What judges have read of its logs. */
	readonly records: ReadRecords = new ReadRecords()
	readonly #time: VirtualTime
	readonly #objects = new Map<string, VirtualObject>()

	constructor(time: VirtualTime) {
		this.#time = time
	}

	get size(): number {
		return this.#objects.size
	}

	/** Whoever gets them must not change them: see `copyOf`. */
	bytesOf(key: string): Uint8Array | undefined {
		return this.#objects.get(key)?.bytes
	}

	has(key: string): boolean {
		return this.#objects.has(key)
	}

	/** In no order. */
	keys(prefix: string): string[] {
		return [...this.#objects.keys()].filter(key => key.startsWith(prefix))
	}

	/** Takes over `bytes`. Answers false when the key is taken. `isRepeated`: nobody asked for this any more. */
	create(key: string, bytes: Uint8Array, isRepeated = false): boolean {
		if (this.#objects.has(key)) return false
		this.put(key, bytes, isRepeated)
		return true
	}

	/** Takes over `bytes`. */
	put(key: string, bytes: Uint8Array, isRepeated = false): void {
		const isThere = this.#objects.has(key)
		this.#objects.set(key, { bytes, lastModifiedMs: Math.floor(this.#time.nowMs) })
		if (!this.creations.has(key)) this.creations.set(key, { key, bytes, stamp: this.#time.stamp() })
		else if (isRepeated && !isThere) this.revived.add(key)
	}

	delete(key: string): void {
		this.#objects.delete(key)
		this.revived.delete(key)
	}

	page({ prefix = '', startAfter = '', limit = PAGE_MAX_OBJECTS }: ListOptions): ListPage {
		const keys = this.keys(prefix)
			.filter(key => key > startAfter)
			.sort()
		const objects = keys.slice(0, limit).map(key => {
			const { bytes, lastModifiedMs } = this.#objects.get(key) as VirtualObject
			return { key, bytes: bytes.length, lastModifiedMs }
		})
		return { objects, isTruncated: keys.length > limit }
	}

	/** The store without a network: every call takes effect, and is answered, at once. For whoever looks at the end. */
	get direct(): ObjectStore {
		const refuse = (): Promise<never> => Promise.reject(new Error('not for those who look'))
		return {
			url: 'virtual:',
			get: async key => copyOf(this.bytesOf(key)),
			getRange: async (key, { offset, bytes }) => copyOf(this.bytesOf(key)?.subarray(offset, offset + bytes)),
			list: async options => this.page(options ?? {}),
			put: refuse,
			createIfAbsent: refuse,
			delete: refuse,
			deleteMany: refuse,
			getStream: refuse,
			createFromStream: refuse,
			close: async () => undefined,
		}
	}
}

export function copyOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
	return bytes === undefined ? undefined : new Uint8Array(bytes)
}
