/** What may happen to a database in the model test, as data that fast-check makes, shrinks and prints. */
import fc from 'fast-check'
import type { RangeOptions } from '../../src/index.ts'

export type Write =
	| { readonly kind: 'put'; readonly key: string; readonly valueBytes: number; readonly ttlMs: number | undefined }
	| { readonly kind: 'delete'; readonly key: string }

export type Command =
	| { readonly kind: 'write'; readonly write: Write; readonly durable: boolean }
	| { readonly kind: 'batch'; readonly writes: readonly Write[]; readonly durable: boolean }
	| {
			readonly kind: 'stream'
			readonly key: string
			readonly pieces: readonly number[]
			readonly ttlMs: number | undefined
	  }
	/** So many puts in a row that a memtable is sorted and encoded in the pool. */
	| { readonly kind: 'bulk'; readonly keys: readonly string[]; readonly count: number; readonly valueBytes: number }
	| { readonly kind: 'flush' }
	| { readonly kind: 'pass-time'; readonly ms: number }
	| { readonly kind: 'take-snapshot' }
	| { readonly kind: 'drop-snapshot' }
	| { readonly kind: 'read-keys'; readonly keys: readonly string[] }
	| { readonly kind: 'scan'; readonly range: RangeOptions<string>; readonly from: 'database' | 'snapshot' | 'reader' }
	/** Close and open again. */
	| { readonly kind: 'reopen' }
	/** Another writer opens while this one is open, with writes that are not durable. */
	| { readonly kind: 'take-over' }

/** Prefixes of each other, a zero byte, the highest code point, and order that differs between UTF-8 and UTF-16. */
const KEYS = [
	'a',
	'a\0',
	'a\0b',
	'ab',
	'abc',
	'b',
	'b/1',
	'b/2',
	'b/10',
	'é',
	'\u{ffff}',
	'\u{10000}',
	'\u{10ffff}',
	'z',
]
const keys = fc.constantFrom(...KEYS)
const ttls = fc.option(fc.integer({ min: 1, max: 2_000 }), { nil: undefined, freq: 4 })
/** Empty, small, and beyond the 1 KiB from which values are stored apart here. */
const sizes = fc.oneof(
	{ weight: 5, arbitrary: fc.integer({ min: 0, max: 60 }) },
	{ weight: 1, arbitrary: fc.integer({ min: 1000, max: 1050 }) },
	{ weight: 1, arbitrary: fc.integer({ min: 1024, max: 20_000 }) },
)

const writes: fc.Arbitrary<Write> = fc.oneof(
	{
		weight: 3,
		arbitrary: fc.record({ kind: fc.constant('put' as const), key: keys, valueBytes: sizes, ttlMs: ttls }),
	},
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: keys }) },
)

/** Bounds are keys, prefixes of keys and what lies between them. */
const bounds = fc.oneof(keys, fc.constantFrom('', 'a\u{1}', 'b/', 'aa', '\u{10ffff}\u{10ffff}'))
const ranges: fc.Arbitrary<RangeOptions<string>> = fc.record(
	{
		gt: bounds,
		gte: bounds,
		lt: bounds,
		lte: bounds,
		prefix: fc.constantFrom('a', 'a\0', 'b/', 'b/1', 'nothing'),
		reverse: fc.boolean(),
		limit: fc.integer({ min: 0, max: 6 }),
	},
	{ requiredKeys: [] },
)

const kind = <const Kind extends string>(name: Kind): fc.Arbitrary<Kind> => fc.constant(name)

export const commands: fc.Arbitrary<Command> = fc.oneof(
	{ weight: 12, arbitrary: fc.record({ kind: kind('write'), write: writes, durable: fc.boolean() }) },
	{
		weight: 3,
		arbitrary: fc.record({
			kind: kind('batch'),
			writes: fc.array(writes, { maxLength: 8 }),
			durable: fc.boolean(),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			kind: kind('stream'),
			key: keys,
			pieces: fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 4 }),
			ttlMs: ttls,
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			kind: kind('bulk'),
			keys: fc.shuffledSubarray(KEYS, { minLength: 1 }),
			count: fc.integer({ min: 500, max: 1_500 }),
			valueBytes: fc.integer({ min: 0, max: 200 }),
		}),
	},
	{ weight: 4, arbitrary: fc.record({ kind: kind('flush') }) },
	{ weight: 4, arbitrary: fc.record({ kind: kind('pass-time'), ms: fc.integer({ min: 1, max: 1_500 }) }) },
	{ weight: 2, arbitrary: fc.record({ kind: kind('take-snapshot') }) },
	{ weight: 1, arbitrary: fc.record({ kind: kind('drop-snapshot') }) },
	{ weight: 6, arbitrary: fc.record({ kind: kind('read-keys'), keys: fc.array(keys, { maxLength: 6 }) }) },
	{
		weight: 8,
		arbitrary: fc.record({
			kind: kind('scan'),
			range: ranges,
			from: fc.constantFrom('database' as const, 'snapshot' as const, 'reader' as const),
		}),
	},
	{ weight: 2, arbitrary: fc.record({ kind: kind('reopen') }) },
	{ weight: 2, arbitrary: fc.record({ kind: kind('take-over') }) },
)
