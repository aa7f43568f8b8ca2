/** Makes tables from plain entries, reads them back, and is the naive model that both are judged by. */
import fc from 'fast-check'
import { encodeBlobRef } from '../../src/blob/blob-ref.ts'
import { compareBytes } from '../../src/bytes/compare.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { isIsleError } from '../../src/errors.ts'
import { type EntryKind, KIND_BLOB, KIND_TOMBSTONE, KIND_VALUE } from '../../src/sst/entry.ts'
import { metaRange, openTable, type SstTable } from '../../src/sst/sst-table.ts'
import { type BuiltTable, TableBuilder } from '../../src/sst/table-builder.ts'
import type { TableOptions } from '../../src/sst/table-options.ts'

export interface ModelEntry {
	readonly key: Uint8Array
	readonly seq: number
	readonly kind: EntryKind
	readonly expiresAtMs: number
	readonly value: Uint8Array
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export function entry(key: string | Uint8Array, seq: number, value: string | Uint8Array = ''): ModelEntry {
	return {
		key: typeof key === 'string' ? utf8(key) : key,
		seq,
		kind: KIND_VALUE,
		expiresAtMs: 0,
		value: typeof value === 'string' ? utf8(value) : value,
	}
}

/** In table order: key ascending, newest first; of equal (key, seq) pairs one is kept. */
export function sorted(entries: readonly ModelEntry[]): ModelEntry[] {
	const ordered = [...entries].sort((a, b) => compareBytes(a.key, b.key) || b.seq - a.seq)
	return ordered.filter((item, i) => {
		const before = ordered[i - 1]
		return before === undefined || before.seq !== item.seq || compareBytes(before.key, item.key) !== 0
	})
}

export function build(entries: readonly ModelEntry[], options: Partial<TableOptions> = {}): BuiltTable {
	const builder = new TableBuilder({ codec: 'none', minWriteMs: 1000, maxWriteMs: 2000, ...options })
	entries.forEach((item, i) => {
		if (i % 2 === 0) {
			const { key, value } = item
			builder.add(key, 0, key.length, item.seq, item.kind, item.expiresAtMs, value, 0, value.length)
			return
		}
		// Key and value beside each other, somewhere inside an array: the path of the memtable.
		const joined = new Uint8Array(3 + item.key.length + item.value.length + 2)
		joined.set(item.key, 3)
		joined.set(item.value, 3 + item.key.length)
		const valueAt = 3 + item.key.length
		builder.add(joined, 3, item.key.length, item.seq, item.kind, item.expiresAtMs, joined, valueAt, item.value.length)
	})
	return builder.finish()
}

export function open(built: BuiltTable): SstTable {
	const { offset, bytes } = metaRange(built.meta)
	return openTable(built.meta, built.bytes.subarray(offset, offset + bytes), 'here')
}

export function blockBytes(built: BuiltTable, table: SstTable, i: number): Uint8Array {
	const { offset, bytes } = table.blockRange(i)
	return built.bytes.subarray(offset, offset + bytes)
}

/** Every entry, through the methods that copy. */
export function readAll(built: BuiltTable, table: SstTable = open(built)): ModelEntry[] {
	const entries: ModelEntry[] = []
	for (let i = 0; i < table.blockCount; i++) {
		const block = table.decodeBlock(i, blockBytes(built, table, i), 'here')
		for (let j = 0; j < block.count; j++) {
			entries.push({
				key: block.keyAt(j),
				seq: block.seqAt(j),
				kind: block.kindAt(j),
				expiresAtMs: block.expiresAtMsAt(j),
				value: new Uint8Array(block.valueViewAt(j)),
			})
		}
	}
	return entries
}

/** The newest entry of `key` at or below `maxSeq`, as a reader finds it. */
export function readNewest(
	built: BuiltTable,
	table: SstTable,
	key: Uint8Array,
	maxSeq: number = Number.MAX_SAFE_INTEGER,
): ModelEntry | undefined {
	if (!table.mayContain(hashKey(key, 0, key.length))) return undefined
	let i = table.findBlock(key)
	if (i < 0) return undefined
	let block = table.decodeBlock(i, blockBytes(built, table, i), 'here')
	let j = block.seek(key)
	for (;;) {
		if (j === block.count) {
			if (!table.mayContinue(i, key)) return undefined
			i++
			block = table.decodeBlock(i, blockBytes(built, table, i), 'here')
			j = 0
		}
		if (block.compareKeyAt(j, key) !== 0) return undefined
		if (block.seqAt(j) <= maxSeq) {
			return {
				key: block.keyAt(j),
				seq: block.seqAt(j),
				kind: block.kindAt(j),
				expiresAtMs: block.expiresAtMsAt(j),
				value: new Uint8Array(block.valueViewAt(j)),
			}
		}
		j++
	}
}

/** Keys that like to collide: few letters, zero and 0xFF bytes, long shared prefixes. */
export const keys: fc.Arbitrary<Uint8Array> = fc
	.tuple(
		fc.constantFrom('', '', 'user/', 'user/0000', 'x'.repeat(60)),
		fc.array(fc.constantFrom(0, 1, 0x61, 0x62, 0xfe, 0xff), { minLength: 1, maxLength: 6 }),
	)
	.map(([prefix, rest]) => Uint8Array.from([...utf8(prefix), ...rest]))

/** An entry of kind blob holds a reference, made from its value. */
function withBlobRef(item: ModelEntry): ModelEntry {
	if (item.kind !== KIND_BLOB) return item
	const packId = `w${(item.value[0] ?? 0) % 3}-${item.value.length % 4}`
	const bytes = 300_000 + item.value.length
	return { ...item, value: encodeBlobRef({ packId, offset: 64 + bytes, bytes, crc: 7 }) }
}

export const modelEntries: fc.Arbitrary<ModelEntry[]> = fc
	.array(
		fc.record({
			key: keys,
			seq: fc.oneof(fc.nat(40), fc.nat(70_000), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
			kind: fc.constantFrom<EntryKind>(KIND_VALUE, KIND_VALUE, KIND_TOMBSTONE, KIND_BLOB),
			expiresAtMs: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(), fc.maxSafeNat()),
			value: fc.oneof(
				fc.uint8Array({ maxLength: 12 }),
				fc.nat(300).map(n => new Uint8Array(n).fill(7)),
			),
		}),
		{ minLength: 1, maxLength: 120 },
	)
	.map(entries => sorted(entries.map(withBlobRef)))

/** A small table that has everything: versions, a tombstone, an expiry. */
export const smallEntries: readonly ModelEntry[] = sorted([
	...Array.from({ length: 12 }, (_, i) =>
		entry(`user/${String(i).padStart(3, '0')}`, 100 + i, `value number ${i} `.repeat(3)),
	),
	...Array.from({ length: 9 }, (_, i) => entry('user/005', 300 + i, `version ${i}`)),
	{ ...entry('user/007', 900), kind: KIND_TOMBSTONE },
	{ ...entry('user/009', 901, 'soon gone'), expiresAtMs: 1_700_000_000_000 },
])

/** The code of the `IsleError` that `act` throws; `none` when it throws nothing. Other errors pass. */
export function codeOf(act: () => unknown): string {
	try {
		act()
	} catch (error) {
		if (isIsleError(error)) return error.code
		throw error
	}
	return 'none'
}
