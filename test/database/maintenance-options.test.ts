/** Options of maintenance at every door that takes them: at their limits they are taken, one past them refused, before anything is written. */
import { describe, expect, test } from 'vitest'
import { createInlinePool, open, openCompactor, openRetentionCompactor } from '../../src/index.ts'
import { keysOf, stage } from './resident.ts'

const CENTURY_MS = 100 * 365.25 * 86_400_000
const age = { mode: 'age', retentionPeriodMs: 1000 } as const

/** Opens it there with untyped options, and closes it; answers the name of what it throws. */
async function tried(door: 'open' | 'openCompactor' | 'openRetentionCompactor', options: object): Promise<string> {
	const [store, host] = await stage(61)
	const common = { host, pool: createInlinePool(host), ...options }
	try {
		if (door === 'open') await (await open(store, common)).close()
		else if (door === 'openCompactor') await (await openCompactor(store, common)).close()
		else await (await openRetentionCompactor(store, { retention: age, ...common })).close()
		return 'taken'
	} catch (error) {
		expect(await keysOf(store)).toEqual([])
		return error instanceof Error ? error.name : String(error)
	}
}

const everywhere: readonly (readonly [taken: object, refused: object])[] = [
	[{ gracePeriodMs: 0 }, { gracePeriodMs: -1 }],
	[{ gracePeriodMs: CENTURY_MS }, { gracePeriodMs: CENTURY_MS + 1 }],
	[{ changeRetentionMs: 0 }, { changeRetentionMs: -1 }],
	[{ changeRetentionMs: CENTURY_MS }, { changeRetentionMs: CENTURY_MS + 1 }],
	[{ compaction: { l0Tables: 2 } }, { compaction: { l0Tables: 1 } }],
	[{ compaction: { l0Tables: 64 } }, { compaction: { l0Tables: 65 } }],
	[{ compaction: { runs: 16 } }, { compaction: { runs: 17 } }],
	[{ compaction: { targetTableBytes: 1_048_576 } }, { compaction: { targetTableBytes: 1_048_575 } }],
	[{ compaction: { concurrentMerges: 16 } }, { compaction: { concurrentMerges: 17 } }],
	[{ retention: age }, { retention: { ...age, retentionPeriodMs: 0 } }],
	[{ retention: { ...age, retentionCount: 0 } }, { retention: { ...age, retentionCount: -1 } }],
]
const alone: typeof everywhere = [
	[{ pollIntervalMs: 10 }, { pollIntervalMs: 9 }],
	[{ pollIntervalMs: 86_400_000 }, { pollIntervalMs: 86_400_001 }],
	[{ takeoverAfterMs: 1000 }, { takeoverAfterMs: 999 }],
	[{ onFenced: 'stop' }, { onFenced: 'die' }],
]

describe.each(['open', 'openCompactor', 'openRetentionCompactor'] as const)('%s', door => {
	test.each([...everywhere, ...(door === 'open' ? [] : alone)])('takes %j and refuses %j', async (taken, refused) => {
		expect(await tried(door, taken)).toBe('taken')
		expect(await tried(door, refused)).toBe('RangeError')
	})

	test.each([
		{ compaction: { unknown: 1 } },
		{ gracePeriod: 5 },
		{ retention: { ...age, segmentDurationMs: 10 } },
		...(door === 'open' ? [{ maintenance: false, retention: age }, { pollIntervalMs: 1000 }] : [{ maintenance: true }]),
		...(door === 'openRetentionCompactor' ? [{ retention: undefined }] : [{ compaction: false }]),
	])('refuses %j, which contradicts itself or says nothing', async options => {
		expect(await tried(door, options)).toBe('TypeError')
	})
})

test.each([
	[{ deadlineMs: 1 }, undefined],
	[{ deadlineMs: 604_800_000 }, undefined],
	[{ deadlineMs: 0 }, RangeError],
	[{ deadlineMs: -1 }, RangeError],
	[{ deadlineMs: 604_800_001 }, RangeError],
	[{ deadlineMs: '5' }, TypeError],
	[{ takeover: 'never' }, RangeError],
	[{ deadline: 5 }, TypeError],
])('runOnce with %j', async (options, refusal) => {
	const [store, host] = await stage(62)
	await using compactor = await openCompactor(store, { host, pool: createInlinePool(host), background: false })
	const running = compactor.runOnce(Object(options))
	if (refusal === undefined) expect(await running).toMatchObject({ outcome: 'no-database' })
	else await expect(running).rejects.toThrow(refusal)
})
