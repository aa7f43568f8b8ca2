/**
 * Counts what the entries of a table hold of blob packs, and writes that down:
 *
 *     varint packs, then of each, by id ascending: id (UTF-8, length-prefixed), varint count, varint bytes
 *
 * A table without blobs pays one byte and no work.
 */
import { decodeBlobRef, PACK_ID_MAX_BYTES } from '../blob/blob-ref.ts'
import type { ByteReader } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import { corrupt } from '../errors.ts'
import type { BlobUse } from './sst-meta.ts'

export class BlobUseCounter {
	readonly #uses = new Map<string, { count: number; bytes: number }>()

	/** Adds one reference, in the encoding of `encodeBlobRef`. @throws ISLE_CORRUPT naming `where` when it is none. */
	add(encodedRef: Uint8Array, where: string): void {
		const ref = decodeBlobRef(encodedRef, where)
		const use = this.#uses.get(ref.packId)
		if (use === undefined) {
			this.#uses.set(ref.packId, { count: 1, bytes: ref.bytes })
			return
		}
		use.count++
		// Only references that lie about their values add up beyond 2^53.
		use.bytes = Math.min(Number.MAX_SAFE_INTEGER, use.bytes + ref.bytes)
	}

	/** By pack id, ascending. */
	finish(): readonly BlobUse[] {
		if (this.#uses.size === 0) return []
		const uses = Array.from(this.#uses, ([packId, { count, bytes }]) => ({ packId, count, bytes }))
		return uses.sort((a, b) => (a.packId < b.packId ? -1 : 1))
	}
}

export function encodeBlobUses(writer: ByteWriter, uses: readonly BlobUse[]): void {
	writer.varint(uses.length)
	for (const { packId, count, bytes } of uses) writer.string(packId).varint(count).varint(bytes)
}

/** Reads what `encodeBlobUses` wrote. @throws ISLE_CORRUPT naming `where`, also when they do not add up to `blobRefCount`. */
export function decodeBlobUses(reader: ByteReader, blobRefCount: number, where: string): readonly BlobUse[] {
	const packs = reader.varint()
	const uses: BlobUse[] = []
	let counted = 0
	let before = ''
	for (let i = 0; i < packs; i++) {
		const use = { packId: reader.string(PACK_ID_MAX_BYTES), count: reader.varint(), bytes: reader.varint() }
		if (use.packId <= before || use.count === 0) throw corrupt(where, 'uses of blob packs that are out of order')
		before = use.packId
		counted += use.count
		uses.push(use)
	}
	if (counted !== blobRefCount) {
		throw corrupt(where, `uses of blob packs that count ${counted} references, not ${blobRefCount}`)
	}
	return uses
}

export function isSameBlobUses(a: readonly BlobUse[], b: readonly BlobUse[]): boolean {
	return (
		a.length === b.length &&
		a.every((use, i) => {
			const other = b[i]
			return use.packId === other?.packId && use.count === other.count && use.bytes === other.bytes
		})
	)
}
