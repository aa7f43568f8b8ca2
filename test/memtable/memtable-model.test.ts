import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import type { SortedEntries } from '../../src/memtable/sorted-entries.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import { type EntryKind, KEY_MAX_BYTES, toSeq } from '../../src/sst/entry.ts'
import { contentsOf, MemtableModel, type ModelEntry, mergeRuns } from './memtable-model.ts'

interface Real {
	memtable: Memtable
	readonly arena: ArenaPool
	readonly jobs: JobPool
}

type Command = fc.AsyncCommand<MemtableModel, Real>

/** Few different keys, so that versions meet; bytes at both ends of the range; lengths around whole words. */
const keys = fc.oneof(
	fc.uint8Array({ minLength: 1, maxLength: 9 }),
	fc.array(fc.constantFrom(0x00, 0x61, 0xff), { minLength: 1, maxLength: 5 }).map(list => Uint8Array.from(list)),
	fc.constantFrom('a', 'ab', 'abc', 'abcd', 'abcde', 'user:00001', 'é', '鍵', '\u{1f5dd}'),
	fc.integer({ min: 0, max: 40 }).map(n => `a/long/common/prefix/${n}/tail`),
)
const values = fc.oneof(
	fc.uint8Array({ maxLength: 40 }),
	fc.string({ unit: 'binary', maxLength: 40 }),
	fc.integer({ min: 0, max: 70_000 }).map(length => new Uint8Array(length).fill(length)),
	fc.integer({ min: 0, max: 3_000 }).map(length => 'x'.repeat(length)),
)
const kinds = fc.constantFrom<EntryKind>(0, 1, 2)
const expiries = fc.oneof(fc.constant(0), fc.maxSafeNat())

const encoder = new TextEncoder()
const asBytes = (data: string | Uint8Array): Uint8Array => (typeof data === 'string' ? encoder.encode(data) : data)
const hitOf = (entry: ModelEntry | undefined): object | undefined => entry && { ...entry, key: undefined }

const put = fc.tuple(keys, values, kinds, expiries).map(([key, value, kind, expiresAtMs]): Command => {
	return {
		check: () => true,
		async run(model, real) {
			const given = typeof value === 'string' ? value : value.slice()
			real.memtable.put(key, given, kind, expiresAtMs)
			if (typeof given !== 'string') given.fill(0xee) // The caller's buffer is the caller's again.
			model.put(asBytes(key), asBytes(value), kind, expiresAtMs)
			expect(real.memtable.entryCount).toBe(model.entries.length)
			expect(real.memtable.lastSeq).toBe(model.baseSeq + model.entries.length - 1)
		},
		toString: () => `put(${fc.stringify([key, value.length, kind, expiresAtMs])})`,
	}
})

const manyPuts = fc.tuple(fc.integer({ min: 1, max: 1_500 }), fc.integer({ min: 1, max: 2_000 })).map(
	([count, different]): Command => ({
		check: () => true,
		async run(model, real) {
			for (let i = 0; i < count; i++) {
				const key = encoder.encode(`many/${(i * 7_919) % different}`)
				const value = encoder.encode(`value ${model.entries.length}`)
				real.memtable.put(key, value, 1, 0)
				model.put(key, value, 1, 0)
			}
		},
		toString: () => `manyPuts(${count} of ${different} keys)`,
	}),
)

const badPut = fc
	.constantFrom<[string | Uint8Array, number]>(
		['', 0],
		[new Uint8Array(0), 0],
		['x'.repeat(KEY_MAX_BYTES + 1), 0],
		[new Uint8Array(KEY_MAX_BYTES + 1), 0],
		['鍵'.repeat(KEY_MAX_BYTES / 2), 0],
		['k', -1],
		['k', 1.5],
	)
	.map(([key, expiresAtMs]): Command => {
		return {
			check: () => true,
			async run(model, real) {
				const before = real.memtable.entryBytes
				expect(() => real.memtable.put(key, 'v', 1, expiresAtMs)).toThrow(RangeError)
				expect(real.memtable.entryCount).toBe(model.entries.length)
				expect(real.memtable.entryBytes).toBe(before)
			},
			toString: () => `badPut(${key.length}, ${expiresAtMs})`,
		}
	})

const get = fc.tuple(keys, fc.double({ min: -0.1, max: 1.1, noNaN: true })).map(([key, position]): Command => {
	return {
		check: () => true,
		async run(model, real) {
			const maxSeq = model.baseSeq + Math.floor(position * model.entries.length)
			const hit = real.memtable.get(asBytes(key), maxSeq)
			expect(hit && { ...hit, value: hit.value.slice(), key: undefined }).toEqual(
				hitOf(model.get(asBytes(key), maxSeq)),
			)
		},
		toString: () => `get(${fc.stringify(key)}, ${position})`,
	}
})

const scan = fc.constant<Command>({
	check: () => true,
	async run(model, real) {
		const count = model.entries.length
		const runs = await real.memtable.sortedRuns(real.jobs)
		expect(runs.length).toBeLessThanOrEqual(8)
		expect(mergeRuns(runs.map(contentsOf))).toEqual(model.sorted())
		expect(runs.reduce((sum, run) => sum + run.count, 0)).toBe(count)
		for (const run of runs) checkSeek(run, model)
	},
	toString: () => 'scan()',
})

function checkSeek(run: SortedEntries, model: MemtableModel): void {
	const entries = contentsOf(run)
	for (const { key } of model.entries.slice(-5)) {
		const at = run.seek(key)
		expect(at === run.count || run.compareKeyAt(at, key) >= 0).toBe(true)
		expect(at === 0 || run.compareKeyAt(at - 1, key) < 0).toBe(true)
		expect(entries[at]?.key ?? undefined).toEqual(at === run.count ? undefined : run.keyAt(at))
	}
}

/** The next memtable works in the memory of this one. */
const rotate = fc.constant<Command>({
	check: () => true,
	async run(model, real) {
		real.memtable.freeze()
		expect(() => real.memtable.put('k', 'v', 1, 0)).toThrow('frozen')
		real.memtable.recycle()
		const baseSeq = model.baseSeq + model.entries.length
		real.memtable = new Memtable({ baseSeq: toSeq(baseSeq), pool: real.arena })
		model.startOver(baseSeq)
	},
	toString: () => 'rotate()',
})

test('a memtable answers as a list of all versions does, through any history', async () => {
	const commands = [put, put, put, manyPuts, badPut, get, get, scan, rotate]
	await fc.assert(
		fc.asyncProperty(fc.commands(commands, { maxCommands: 60 }), async history => {
			const arena = new ArenaPool()
			const jobs = createInlinePool(systemHost)
			const memtable = new Memtable({ baseSeq: toSeq(7), pool: arena })
			await fc.asyncModelRun(() => ({ model: new MemtableModel(7), real: { memtable, arena, jobs } }), history)
			await jobs.close()
		}),
		{ numRuns: 60 },
	)
})
