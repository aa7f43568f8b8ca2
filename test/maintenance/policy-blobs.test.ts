/** Which packs are rewritten, and when a checkpoint is. */
import { describe, expect, test } from 'vitest'
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { choose } from '../../src/maintenance/policy.ts'
import { chooseCheckpoint, nextCheckpointMs, type SinceCheckpoint } from '../../src/maintenance/policy-checkpoint.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { BlobPackRef, Manifest, RemovedObject, TableRef } from '../../src/manifest/manifest.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

const MIB = 1_048_576
const NOW_MS = 1_700_000_000_000
const SETTINGS = maintenanceSettings({}) ?? failed()

function failed(): never {
	throw new Error('maintenance is on by default')
}

function pack(id: string, bytes: number): BlobPackRef {
	return { id, objectKey: `blobs/${id}`, bytes, valueCount: 10 }
}

function table(seq: number, uses: Readonly<Record<string, number>>, storedBytes = 1000): TableRef {
	const plain = tableOf(`t${seq}`, seq, seq)
	const blobUses = Object.entries(uses).map(([packId, bytes]) => ({ packId, count: 1, bytes }))
	return { ...plain, meta: { ...plain.meta, storedBytes, blobUses, blobRefCount: blobUses.length } }
}

function pick(l0: readonly TableRef[], blobPacks: readonly BlobPackRef[], busy: readonly string[] = []): unknown {
	const context = { busy: new Set(busy), quarantined: new Set<string>() }
	const choice = choose({ ...EMPTY_MANIFEST, l0, blobPacks }, NOW_MS, SETTINGS, context)
	if (choice?.kind !== 'rewrite-packs') return choice
	return { packs: choice.packs.map(({ id }) => id), tables: choice.tables.map(({ id }) => id), live: choice.liveBytes }
}

describe('packs', () => {
	test('are rewritten below half, and not at it', () => {
		expect(pick([table(1, { a: 50 * MIB })], [pack('a', 100 * MIB)])).toBeUndefined()
		expect(pick([table(1, { a: 50 * MIB - 1 })], [pack('a', 100 * MIB)])).toEqual({
			packs: ['a'],
			tables: ['t1'],
			live: 50 * MIB - 1,
		})
	})

	test('count what all tables use, and take all those tables along', () => {
		const tables = [table(1, { a: 20 * MIB }), table(2, { b: 90 * MIB }), table(3, { a: 20 * MIB, b: MIB })]
		expect(pick(tables, [pack('a', 100 * MIB), pack('b', 100 * MIB)])).toEqual({
			packs: ['a'],
			tables: ['t1', 't3'],
			live: 40 * MIB,
		})
		expect(pick([...tables, table(4, { a: 20 * MIB })], [pack('a', 100 * MIB)])).toBeUndefined()
	})

	test('the emptiest first, 128 MiB of live values in a round', () => {
		const packs = ['a', 'b', 'c'].map(id => pack(id, 300 * MIB))
		const tables = [table(1, { a: 120 * MIB }), table(2, { b: 60 * MIB }), table(3, { c: 68 * MIB })]
		expect(pick(tables, packs)).toMatchObject({ packs: ['b', 'c'], live: 128 * MIB })
		expect(pick(tables.slice(0, 1), packs)).toMatchObject({ packs: ['a'] })
	})

	test('are left while a table that refers to them is busy, or costs more than is freed', () => {
		const packs = [pack('a', 100 * MIB)]
		expect(pick([table(1, { a: MIB }), table(2, { a: MIB })], packs, ['t2'])).toBeUndefined()
		expect(pick([table(1, { a: MIB }, 197 * MIB)], packs)).toMatchObject({ packs: ['a'] })
		expect(pick([table(1, { a: MIB }, 198 * MIB)], packs)).toBeUndefined()
	})
})

describe('a checkpoint is due', () => {
	const quiet: SinceCheckpoint = { commits: 0, edits: 0, sinceMs: NOW_MS, manifestBytes: 1000 }
	const why = (since: Partial<SinceCheckpoint>, manifest: Manifest = EMPTY_MANIFEST, isClosing = false): boolean =>
		chooseCheckpoint(manifest, NOW_MS, SETTINGS, { ...quiet, ...since }, isClosing) !== undefined
	const withRemoved = (removed: Partial<RemovedObject>): Manifest => ({
		...EMPTY_MANIFEST,
		announced: { maintenancePosition: { epoch: 1, slot: 5 }, writerPosition: { epoch: 1, slot: 5 } },
		removed: [{ objectKey: 'x', bytes: 10, removedAt: { epoch: 1, slot: 5 }, removedAtMs: NOW_MS, ...removed }],
	})

	test('after 224 records, more when the manifest is large, 4,096 at most', () => {
		expect(why({ commits: 200, edits: 23 })).toBe(false)
		expect(why({ commits: 200, edits: 24 })).toBe(true)
		const manifestBytes = 1000 * 16_384
		expect(why({ commits: 999, manifestBytes })).toBe(false)
		expect(why({ commits: 1000, manifestBytes })).toBe(true)
		expect(why({ commits: 4095, manifestBytes: 1e9 })).toBe(false)
		expect(why({ commits: 4096, manifestBytes: 1e9 })).toBe(true)
	})

	test('after 16 when the owner closes, or when there is garbage', () => {
		expect(why({ commits: 15 }, EMPTY_MANIFEST, true)).toBe(false)
		expect(why({ commits: 16 }, EMPTY_MANIFEST, true)).toBe(true)
		expect(why({}, withRemoved({}), true)).toBe(true)
		expect(why({}, withRemoved({ removedAt: { epoch: 1, slot: 4 } }), true)).toBe(false)
	})

	test('a minute after something was removed, at once when it is much', () => {
		const minute = (removedAtMs: number): Manifest => withRemoved({ removedAtMs })
		expect(why({ sinceMs: 0 }, minute(NOW_MS - 59_999))).toBe(false)
		expect(nextCheckpointMs(minute(NOW_MS - 59_999), SETTINGS, { ...quiet, sinceMs: 0 })).toBe(NOW_MS + 1)
		expect(why({ sinceMs: 0 }, minute(NOW_MS - 60_000))).toBe(true)
		expect(why({ sinceMs: NOW_MS - 59_999 }, minute(0))).toBe(false)
		expect(why({}, withRemoved({ bytes: 256 * MIB - 1 }))).toBe(false)
		expect(why({}, withRemoved({ bytes: 256 * MIB }))).toBe(true)
	})

	test('four times in change retention while there are commits, and never without them', () => {
		expect(why({ commits: 1, sinceMs: NOW_MS - 899_999 })).toBe(false)
		expect(why({ commits: 1, sinceMs: NOW_MS - 900_000 })).toBe(true)
		expect(why({ edits: 100, sinceMs: 0 })).toBe(false)
		expect(nextCheckpointMs(EMPTY_MANIFEST, SETTINGS, quiet)).toBeUndefined()
	})
})
