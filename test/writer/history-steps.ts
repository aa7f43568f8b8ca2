/** What may happen in a history of writers. */
import fc from 'fast-check'

export type Step =
	| {
			readonly kind: 'put'
			readonly key: number
			readonly bytes: number
			readonly ttlMs?: number
			readonly durable: boolean
	  }
	| { readonly kind: 'delete'; readonly key: number; readonly durable: boolean }
	| { readonly kind: 'batch'; readonly keys: readonly number[]; readonly bytes: number; readonly durable: boolean }
	| { readonly kind: 'stream'; readonly key: number; readonly bytes: number; readonly cut: boolean }
	| { readonly kind: 'flush' }
	| { readonly kind: 'drain' }
	| { readonly kind: 'advance'; readonly ms: number }
	| { readonly kind: 'reopen' | 'crash' | 'takeover' | 'late' | 'heal' | 'read' }
	| { readonly kind: 'faults'; readonly seed: number; readonly rate: number }
	| { readonly kind: 'outage'; readonly ms: number }

export const KEYS = 12

const key = fc.nat({ max: KEYS - 1 })
const durable = fc.boolean()
/** Around the threshold of large values (1,024) and of tables that ride in records (4,096 in these histories). */
const bytes = fc.oneof(
	{ weight: 5, arbitrary: fc.nat({ max: 60 }) },
	{ weight: 1, arbitrary: fc.constantFrom(0, 1_023, 1_024, 3_000, 6_000, 40_000) },
)
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 12,
		arbitrary: fc.record({
			kind: fc.constant('put' as const),
			key,
			bytes,
			durable,
			ttlMs: fc.option(fc.constantFrom(1, 500, 100_000), { nil: undefined, freq: 5 }),
		}) as fc.Arbitrary<Step>,
	},
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, durable }) },
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant('batch' as const),
			keys: fc.array(key, { minLength: 2, maxLength: 9 }),
			bytes,
			durable,
		}),
	},
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant('stream' as const), key, bytes, cut: fc.boolean() }) },
	{ weight: 4, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('drain' as const) }) },
	{
		weight: 4,
		arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(0, 1, 60, 1_000, 9_000) }),
	},
	{
		weight: 5,
		arbitrary: fc.record({
			kind: fc.constantFrom('reopen', 'crash', 'takeover', 'late', 'heal', 'read', 'read'),
		}) as fc.Arbitrary<Step>,
	},
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant('faults' as const),
			seed: fc.nat(),
			rate: fc.constantFrom(0.1, 0.3, 0.6),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({ kind: fc.constant('outage' as const), ms: fc.constantFrom(500, 20_000, 90_000) }),
	},
)
