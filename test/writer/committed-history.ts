/**
 * What a store holds, read back without any code of the writer or the reader: every entry of every commit, in order of
 * sequence numbers. Throws where the log breaks its own rules (a gap, a table that is missing, a value that is gone).
 */
import { decodeBlobRef } from '../../src/blob/blob-ref.ts'
import { decodeBlob } from '../../src/blob/frame-decoder.ts'
import { blobRange } from '../../src/blob/pack-format.ts'
import { systemHost } from '../../src/host/host.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import type { LoadedCommit } from '../../src/manifest/commit.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { KIND_BLOB } from '../../src/sst/entry.ts'
import { openTable } from '../../src/sst/sst-table.ts'

export interface CommittedEntry {
	readonly seq: number
	/** As latin1, so that entries compare as plain data. */
	readonly key: string
	/** As latin1; `undefined`: a delete. */
	readonly value: string | undefined
	readonly expiresAtMs: number
	/** Whether the value stands in a blob pack. */
	readonly isBlob: boolean
	readonly commit: LogPosition
}

export async function committedHistory(store: ObjectStore): Promise<CommittedEntry[]> {
	const loaded: LoadedCommit[] = []
	await ManifestFollower.open({ store, host: systemHost, onLoaded: commit => loaded.push(commit) })
	const entries: CommittedEntry[] = []
	for (const commit of loaded) entries.push(...(await entriesOf(store, commit)))
	entries.sort((a, b) => a.seq - b.seq)
	for (const [index, { seq }] of entries.entries()) {
		if (seq !== index + 1) throw new Error(`sequence number ${seq} stands at place ${index + 1} of the history`)
	}
	return entries
}

async function entriesOf(store: ObjectStore, { commit, inlineTables }: LoadedCommit): Promise<CommittedEntry[]> {
	const entries: CommittedEntry[] = []
	const packs = new Map(commit.blobPacks.map(pack => [pack.id, pack.objectKey]))
	for (const { id, objectKey, meta } of commit.tables) {
		const bytes = inlineTables.get(id) ?? (await store.get(objectKey))
		if (bytes === undefined) throw new Error(`table ${id} is not on the store: ${objectKey}`)
		const table = openTable(meta, bytes.subarray(meta.metaOffset), objectKey)
		for (let b = 0; b < table.blockCount; b++) {
			const range = table.blockRange(b)
			const block = table.decodeBlock(b, bytes.subarray(range.offset, range.offset + range.bytes), objectKey)
			for (let i = 0; i < block.count; i++) {
				const stored = block.valueViewAt(i)
				const isBlob = block.kindAt(i) === KIND_BLOB
				const value = isBlob ? await blobValue(store, packs, stored) : stored
				entries.push({
					seq: block.seqAt(i),
					key: latin1(block.keyAt(i)),
					value: block.kindAt(i) === 0 ? undefined : latin1(value),
					expiresAtMs: block.expiresAtMsAt(i),
					isBlob,
					commit: commit.position,
				})
			}
		}
	}
	return entries
}

async function blobValue(
	store: ObjectStore,
	packs: ReadonlyMap<string, string>,
	encodedRef: Uint8Array,
): Promise<Uint8Array> {
	const ref = decodeBlobRef(encodedRef, 'an entry')
	const objectKey = packs.get(ref.packId)
	if (objectKey === undefined) throw new Error(`a commit does not name the pack of its value: ${ref.packId}`)
	// Nothing is to be read of an empty value; that its pack is there is still to be seen.
	const range = ref.bytes === 0 ? { offset: 0, bytes: ref.offset } : blobRange(ref)
	const stored = await store.getRange(objectKey, range)
	if (stored === undefined) throw new Error(`a pack of a commit is not on the store: ${objectKey}`)
	return ref.bytes === 0 ? new Uint8Array(0) : decodeBlob(ref, stored, objectKey)
}

export function latin1(bytes: string | Uint8Array): string {
	return Buffer.from(bytes).toString('latin1')
}

/** Numbers of entries, commit by commit. */
export function commitSizes(history: readonly CommittedEntry[]): number[] {
	const sizes = new Map<string, number>()
	for (const { commit } of history) {
		const name = `${commit.epoch}/${commit.slot}`
		sizes.set(name, (sizes.get(name) ?? 0) + 1)
	}
	return [...sizes.values()]
}
