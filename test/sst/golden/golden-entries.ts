/** What the golden files hold, and the code that makes them. Never change: add a file for a new version instead. */

import { encodeBlobRef } from '../../../src/blob/blob-ref.ts'
import { PackEncoder } from '../../../src/blob/pack-encoder.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../../../src/sst/entry.ts'
import type { CodecName } from '../../../src/sst/sst-meta.ts'
import { type BuiltTable, TableBuilder } from '../../../src/sst/table-builder.ts'

export interface GoldenEntry {
	readonly key: Uint8Array
	readonly seq: number
	readonly kind: EntryKind
	readonly expiresAtMs: number
	readonly value: Uint8Array
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Values of the pack: empty, short, and one of two frames. */
export const goldenBlobs: readonly Uint8Array[] = [
	new Uint8Array(0),
	utf8('a short blob'),
	Uint8Array.from({ length: 262_144 + 9 }, (_, i) => (i >>> 10) & 0xff),
]

export function goldenPack(): { pack: Uint8Array; refs: readonly Uint8Array[] } {
	const encoder = new PackEncoder('w3-17')
	const pieces: Uint8Array[] = [encoder.header()]
	const refs = goldenBlobs.map(blob => {
		const { ref, pieces: framed } = encoder.value(blob)
		pieces.push(...framed)
		return encodeBlobRef(ref)
	})
	return { pack: new Uint8Array(Buffer.concat(pieces)), refs }
}

export function goldenEntries(): readonly GoldenEntry[] {
	const entries: GoldenEntry[] = [
		{ key: Uint8Array.of(0), seq: 7, kind: KIND_VALUE, expiresAtMs: 0, value: utf8('the smallest key') },
		{ key: utf8('blob'), seq: 90, kind: KIND_BLOB, expiresAtMs: 0, value: goldenPack().refs[2] ?? new Uint8Array(0) },
	]
	for (let i = 0; i < 40; i++) {
		const key = utf8(`user/${String(i * 37).padStart(6, '0')}`)
		const value = utf8(JSON.stringify({ id: i, name: `user number ${i}`, tags: ['a', 'b', 'c'] }))
		// Some keys have several versions, some of them spanning blocks.
		for (let version = i % 8 === 0 ? 12 : 1; version > 0; version--) {
			const isDeleted = i % 5 === 1 && version === 1
			entries.push({
				key,
				seq: 1000 * version + i,
				kind: isDeleted ? KIND_TOMBSTONE : KIND_VALUE,
				expiresAtMs: i % 7 === 3 ? 1_800_000_000_000 + i : 0,
				value: isDeleted ? new Uint8Array(0) : value,
			})
		}
	}
	entries.push(
		{ key: utf8('wide'), seq: 2 ** 40, kind: KIND_VALUE, expiresAtMs: 0, value: new Uint8Array(70_000).fill(0x77) },
		{
			key: Uint8Array.of(0xff, 0xff),
			seq: Number.MAX_SAFE_INTEGER,
			kind: KIND_VALUE,
			expiresAtMs: 0,
			value: new Uint8Array(0),
		},
	)
	return entries
}

export function goldenTable(codec: CodecName): BuiltTable {
	const builder = new TableBuilder({
		codec,
		blockBytes: 512,
		minWriteMs: 1_700_000_000_000,
		maxWriteMs: 1_700_000_060_000,
	})
	for (const { key, seq, kind, expiresAtMs, value } of goldenEntries()) {
		builder.add(key, 0, key.length, seq, kind, expiresAtMs, value, 0, value.length)
	}
	return builder.finish()
}
