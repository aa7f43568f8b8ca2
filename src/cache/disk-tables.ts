/**
 * What a disk cache holds of the tables of one database: under which names, and what of it is in which file.
 *
 * A table has one file for its end (filter, index, properties), and one for each 64 KiB of its blocks: block b is in file
 * number ⌊offset of b / 65,536⌋, so that every process finds it without an index. A file holds those blocks that somebody
 * has read.
 *
 * Names. The digest of a table covers the URL of the database; owner and nonce of the first seal of its log, which are
 * random and never deleted, so that a prefix that was wiped and used again is another database; and the whole reference
 * of the table (id, object, offset and metadata with sizes, key range and times), so that two histories that went apart,
 * as that of a restored copy does, do not mix. While the seal is not known nothing is cached.
 */
import { createHash } from 'node:crypto'
import { type CachedPart, type CacheFileName, cacheFileOverheadBytes } from '../../workers/cache-file.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { Clock } from '../host/clock.ts'
import { FencedLog } from '../log/fenced-log.ts'
import { LOG_START } from '../log/log-position.ts'
import { writeTableRef } from '../manifest/table-ref-codec.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { metaRange, type SstTable } from '../sst/sst-table.ts'
import type { DiskCache, DiskCacheStats } from './disk-cache.ts'
import type { TableSlot } from './table-slot.ts'

/** Persisted in names of files: never change without a new layout. */
const GROUP_BYTES = 65_536
const METADATA_SECTION = 0xffff_ffff
const DIGEST_BYTES = 16
/** A database that was not there yet is looked for this often, while tables are read. */
const IDENTIFY_PAUSE_MS = 1_000

export class DiskTables {
	readonly #disk: DiskCache
	readonly #store: ObjectStore
	readonly #clock: Clock
	readonly #digests = new WeakMap<TableSlot, Uint8Array>()
	/** URL, owner and nonce. */
	#identity: Uint8Array | undefined
	#nextLookMs = Number.NEGATIVE_INFINITY

	/** `store` is the one of the database, its prefix taken off. Whoever opened `disk` closes it. */
	constructor(disk: DiskCache, store: ObjectStore, clock: Clock) {
		this.#disk = disk
		this.#store = store
		this.#clock = clock
	}

	/** Finds out which database this is: one GET. Never rejects; called again by itself while there is no database. */
	async identify(options: RequestOptions = {}): Promise<void> {
		this.#nextLookMs = this.#clock.monotonicMs() + IDENTIFY_PAUSE_MS
		const log = new FencedLog({ store: this.#store, folder: 'log', newestCheckpoint: async () => undefined })
		try {
			const seal = await log.readSlot(LOG_START, options)
			if (seal === undefined) return
			this.#identity = new ByteWriter().string(this.#store.url).bytes(seal.owner).bytes(seal.nonce).finish()
		} catch {
			// Reading works without a cache, and says itself what is wrong with the store.
		}
	}

	/** The end of a table, as `metaRange` names it. Never rejects. */
	async metadata(slot: TableSlot): Promise<Uint8Array | undefined> {
		const { bytes } = metaRange(slot.ref.meta)
		const name = this.#nameOf(slot, METADATA_SECTION)
		if (name === undefined || !this.#disk.admits(bytes)) return undefined
		const [part] = await this.#disk.read(name, { first: 0, count: 1 }, bytes + cacheFileOverheadBytes(1))
		return part?.bytes.length === bytes ? part.bytes : undefined
	}

	keepMetadata(slot: TableSlot, bytes: Uint8Array): void {
		const name = this.#nameOf(slot, METADATA_SECTION)
		if (name !== undefined) this.#disk.fill(name, [{ index: 0, offset: slot.ref.meta.metaOffset, bytes }])
	}

	discardMetadata(slot: TableSlot): void {
		const name = this.#nameOf(slot, METADATA_SECTION)
		if (name !== undefined) this.#disk.discard(name)
	}

	/** Of `count` blocks from `first` those that are there, as stored, each in its place. Never rejects. */
	async blocks(slot: TableSlot, table: SstTable, first: number, count: number): Promise<(Uint8Array | undefined)[]> {
		const stored = Array.from<undefined, Uint8Array | undefined>({ length: count }, () => undefined)
		if (this.#digestOf(slot) === undefined) return stored
		const reads = groupsOf(table, first, count).map(async group => {
			const name = this.#nameOf(slot, group.section)
			if (name === undefined || !this.#disk.admits(group.bytes)) return
			const maxBytes = group.bytes + cacheFileOverheadBytes(group.count)
			for (const part of await this.#disk.read(name, { first, count }, maxBytes)) {
				if (isBlockOf(table, part)) stored[part.index - first] = part.bytes
			}
		})
		await (reads.length === 1 ? reads[0] : Promise.all(reads))
		return stored
	}

	/** `stored` holds `count` blocks from `first` one after another; it must not change. */
	keepBlocks(slot: TableSlot, table: SstTable, first: number, count: number, stored: Uint8Array): void {
		const start = table.blockRange(first).offset
		for (const group of groupsOf(table, first, count)) {
			const name = this.#nameOf(slot, group.section)
			if (name === undefined) return
			const parts = []
			const end = Math.min(first + count, group.first + group.count)
			for (let index = Math.max(first, group.first); index < end; index++) {
				const { offset, bytes } = table.blockRange(index)
				parts.push({ index, offset, bytes: stored.subarray(offset - start, offset - start + bytes) })
			}
			this.#disk.fill(name, parts)
		}
	}

	discardBlocks(slot: TableSlot, table: SstTable, first: number, count: number): void {
		for (const { section } of groupsOf(table, first, count)) {
			const name = this.#nameOf(slot, section)
			if (name !== undefined) this.#disk.discard(name)
		}
	}

	stats(): DiskCacheStats {
		return this.#disk.stats()
	}

	#nameOf(slot: TableSlot, section: number): CacheFileName | undefined {
		const digest = this.#digestOf(slot)
		if (digest === undefined) return undefined
		return { digest, section, label: `${this.#store.url}/${slot.ref.objectKey} ${slot.ref.id}` }
	}

	#digestOf(slot: TableSlot): Uint8Array | undefined {
		const identity = this.#identity
		if (identity === undefined) {
			if (this.#clock.monotonicMs() >= this.#nextLookMs) void this.identify()
			return undefined
		}
		let digest = this.#digests.get(slot)
		if (digest === undefined) {
			const writer = new ByteWriter().lengthPrefixed(identity)
			writeTableRef(writer, slot.ref)
			digest = new Uint8Array(createHash('sha256').update(writer.finish()).digest()).slice(0, DIGEST_BYTES)
			this.#digests.set(slot, digest)
		}
		return digest
	}
}

/** The blocks that share a file. */
interface BlockGroup {
	readonly section: number
	readonly first: number
	readonly count: number
	/** Of all its blocks together. */
	readonly bytes: number
}

/** The groups that hold `count` blocks from `first`. */
function groupsOf(table: SstTable, first: number, count: number): BlockGroup[] {
	const groups: BlockGroup[] = []
	for (let index = first; index < first + count; ) {
		const section = sectionOf(table, index)
		let start = index
		while (start > 0 && sectionOf(table, start - 1) === section) start--
		let end = index + 1
		while (end < table.blockCount && sectionOf(table, end) === section) end++
		const last = table.blockRange(end - 1)
		const bytes = last.offset + last.bytes - table.blockRange(start).offset
		groups.push({ section, first: start, count: end - start, bytes })
		index = end
	}
	return groups
}

function sectionOf(table: SstTable, index: number): number {
	return Math.floor(table.blockRange(index).offset / GROUP_BYTES)
}

function isBlockOf(table: SstTable, { index, offset, bytes }: CachedPart): boolean {
	if (index >= table.blockCount) return false
	const range = table.blockRange(index)
	return range.offset === offset && range.bytes === bytes.length
}
