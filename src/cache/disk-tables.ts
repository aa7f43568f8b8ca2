/**
 * What a disk cache holds of the tables of one database: under which names, and what of it is in which file.
 *
 * A table has one file for its end (filter, index, properties), and one for each 64 KiB of its blocks: block b is in file
 * number ⌊offset of b / 65,536⌋, so that every process finds it without an index. A file holds those blocks that somebody
 * has read.
 *
 * The digest of a table covers its database (disk-identity.ts) and the whole reference of the table (id, object, offset and
 * metadata with sizes, key range and times), so that two histories that went apart, as that of a restored copy does, do not
 * mix.
 */
import { type CachedPart, type CacheFileName, cacheFileOverheadBytes } from '../../workers/cache-file.ts'
import { writeTableRef } from '../manifest/table-ref-codec.ts'
import { metaRange, type SstTable } from '../sst/sst-table.ts'
import type { DiskCache, DiskCacheStats } from './disk-cache.ts'
import type { DiskIdentity } from './disk-identity.ts'
import type { TableSlot } from './table-slot.ts'

/** Persisted in names of files: never change without a new layout. */
const GROUP_BYTES = 65_536
const METADATA_SECTION = 0xffff_ffff

export class DiskTables {
	readonly #disk: DiskCache
	readonly #identity: DiskIdentity
	readonly #digests = new WeakMap<TableSlot, Uint8Array>()

	/** Whoever opened `disk` closes it. */
	constructor(disk: DiskCache, identity: DiskIdentity) {
		this.#disk = disk
		this.#identity = identity
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

	/** Resolves when nothing waits to be written. */
	async idle(): Promise<void> {
		await this.#disk.idle()
	}

	stats(): DiskCacheStats {
		return this.#disk.stats()
	}

	#nameOf(slot: TableSlot, section: number): CacheFileName | undefined {
		const digest = this.#digestOf(slot)
		if (digest === undefined) return undefined
		return { digest, section, label: `${this.#identity.url}/${slot.ref.objectKey} ${slot.ref.id}` }
	}

	#digestOf(slot: TableSlot): Uint8Array | undefined {
		let digest = this.#digests.get(slot)
		if (digest === undefined) {
			digest = this.#identity.digestOf(writer => writeTableRef(writer, slot.ref))
			if (digest !== undefined) this.#digests.set(slot, digest)
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
