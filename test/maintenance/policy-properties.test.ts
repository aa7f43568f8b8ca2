/** Whatever is written, and however choices are interleaved: policies come to rest, stay bounded and lose nothing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Choice, tablesOfChoice } from '../../src/maintenance/choice.ts'
import type { MaintenanceSettings, RetentionSettings } from '../../src/maintenance/options.ts'
import { isHalfExpired } from '../../src/maintenance/policy-drop.ts'
import { isL0Due } from '../../src/maintenance/policy-l0.ts'
import { runsMax } from '../../src/maintenance/policy-runs.ts'
import { makeScene } from '../../src/maintenance/policy-scene.ts'
import { EXPIRY_MARGIN_MS } from '../../src/manifest/expiry-margin.ts'
import { PolicyModel } from './policy-model.ts'

const PERIOD_MS = 3_600_000
const RUNS = { numRuns: 150 }

/** Tables of up to 32 entries; two entries weigh as a large table in L0. */
function settingsOf(retention: RetentionSettings | undefined, l0Tables = 4, runs = 3): MaintenanceSettings {
	return {
		compaction: { l0Tables, runs, targetTableBytes: 2048, mergeMemoryBytes: 8192, concurrentMerges: 2 },
		retention,
		changeRetentionMs: 0,
		gracePeriodMs: 0,
	}
}

const writes = fc.array(
	fc.record({
		key: fc.oneof(fc.nat(15), fc.nat(400)),
		isTombstone: fc.boolean(),
		ttlMs: fc.constantFrom(0, 0, 60_000, PERIOD_MS),
	}),
	{ minLength: 1, maxLength: 40 },
)
/** Neighbours in key order, as of a queue or a time series. */
const appends = fc.record({ from: fc.nat(300), count: fc.integer({ min: 1, max: 60 }), isTombstone: fc.boolean() })

const steps = fc.array(
	fc.oneof(
		{ weight: 6, arbitrary: writes.map(value => ({ kind: 'commit' as const, value })) },
		{ weight: 3, arbitrary: appends.map(value => ({ kind: 'append' as const, value })) },
		{
			weight: 3,
			arbitrary: fc.constantFrom(1000, 60_000, PERIOD_MS / 3, PERIOD_MS).map(ms => ({ kind: 'pass' as const, ms })),
		},
		{ weight: 5, arbitrary: fc.array(fc.nat(9), { maxLength: 4 }).map(picks => ({ kind: 'work' as const, picks })) },
		{ weight: 1, arbitrary: fc.constant({ kind: 'rest' as const }) },
	),
	{ maxLength: 60 },
)
type Step = typeof steps extends fc.Arbitrary<readonly (infer S)[]> ? S : never

const ages: RetentionSettings = { mode: 'age', retentionPeriodMs: PERIOD_MS, bucketMs: PERIOD_MS / 10, keepCount: 0 }
const windows: RetentionSettings = {
	mode: 'time-window',
	retentionPeriodMs: PERIOD_MS,
	bucketMs: PERIOD_MS / 4,
	keepCount: 1,
}

function play(model: PolicyModel, history: readonly Step[], quarantined: Set<string>): void {
	for (const step of history) {
		switch (step.kind) {
			case 'commit':
				model.commit(step.value)
				break
			case 'append': {
				const { from, count, isTombstone } = step.value
				model.commit(Array.from({ length: count }, (_, i) => ({ key: from + i, isTombstone })))
				break
			}
			case 'pass':
				model.nowMs += step.ms
				break
			case 'work':
				work(model, step.picks, quarantined)
				break
			case 'rest':
				model.rest(quarantined)
		}
	}
}

/** Several choices at once, ended in some order; some stop half way, some tables turn out to be damaged. */
function work(model: PolicyModel, picks: readonly number[], quarantined: Set<string>): void {
	const busy = new Set<string>()
	const chosen: Choice[] = []
	for (const _ of picks) {
		const choice = model.choose({ busy, quarantined, isLargeAllowed: busy.size === 0 })
		if (choice === undefined) break
		// An abandoned merge frees its inputs only when that is committed.
		if (choice.kind === 'abandon') {
			model.apply(choice)
			continue
		}
		for (const { id } of tablesOfChoice(choice)) {
			expect(busy.has(id), 'disjoint').toBe(false)
			busy.add(id)
		}
		chosen.push(choice)
	}
	for (const [i, pick] of picks.entries()) {
		const [choice] = chosen.splice((pick + i) % Math.max(1, chosen.length), 1)
		if (choice === undefined) break
		const first = tablesOfChoice(choice)[0]
		if (choice.kind === 'merge' && choice.resume === undefined && pick === 9) model.suspend(choice)
		else if (choice.kind === 'merge' && pick === 8 && first !== undefined && quarantined.size < 3)
			quarantined.add(first.id)
		else model.apply(choice)
	}
}

function expectRest(model: PolicyModel, quarantined: ReadonlySet<string>): void {
	const { manifest, settings } = model
	const { compaction } = settings
	if (compaction === undefined) throw new Error('the model compacts')
	expect(manifest.pendingMerges.filter(merge => !merge.inputs.some(id => quarantined.has(id)))).toEqual([])
	expect(isL0Due(manifest.l0, compaction)).toBe(quarantined.size > 0 && isL0Due(manifest.l0, compaction))
	const overdue = manifest.runs.flatMap(({ tables }) => tables).filter(table => isHalfExpired(table, model.nowMs))
	if (quarantined.size === 0)
		expect(overdue.every(({ meta }) => meta.storedBytes < compaction.targetTableBytes / 32)).toBe(true)
	const damaged = manifest.runs.filter(run => run.tables.some(table => quarantined.has(table.id))).length
	const limit = runsMax(makeScene(manifest, model.nowMs, settings, { busy: new Set(), quarantined }), compaction)
	// What is set aside parts the runs into stretches of their own.
	expect(manifest.runs.length).toBeLessThanOrEqual(limit + 2 * damaged)
}

describe.each([
	['without retention', undefined],
	['by age', ages],
	['by time window', windows],
] as const)('%s', (_name, retention) => {
	test('every history comes to rest, bounded, with right reads and nothing that comes back', () => {
		fc.assert(
			fc.property(steps, fc.integer({ min: 2, max: 6 }), fc.integer({ min: 2, max: 4 }), (history, l0Tables, runs) => {
				const model = new PolicyModel(settingsOf(retention, l0Tables, runs))
				const quarantined = new Set<string>()
				play(model, history, quarantined)
				model.checkReads()
				model.rest(quarantined)
				model.checkReads()
				expectRest(model, quarantined)
				// Damage was a false alarm, and everything gets old.
				model.nowMs += 3 * PERIOD_MS + EXPIRY_MARGIN_MS
				model.rest()
				model.checkReads()
				expectRest(model, new Set())
			}),
			RUNS,
		)
	})
})

test('tombstones and expired entries are gone when all has been merged', () => {
	fc.assert(
		fc.property(fc.array(writes, { minLength: 1, maxLength: 30 }), commits => {
			const model = new PolicyModel(settingsOf(undefined))
			for (const commit of commits) {
				model.commit(commit.map(write => ({ ...write, ttlMs: 60_000 })))
				model.rest()
			}
			model.nowMs += 60_000 + EXPIRY_MARGIN_MS
			model.rest()
			const { l0, runs } = model.manifest
			// All of it has expired: only what is not due in L0, and tombstones above it, may be left.
			if (l0.length === 0) expect(runs).toEqual([])
			model.checkReads()
		}),
		RUNS,
	)
})

test('what retention drops by age is exactly what is too old, where tables do not overlap', () => {
	fc.assert(
		fc.property(
			fc.array(fc.integer({ min: 0, max: PERIOD_MS }), { minLength: 1, maxLength: 40 }),
			fc.integer({ min: 0, max: 5 }),
			(gaps, keepCount) => {
				const model = new PolicyModel({ ...settingsOf({ ...ages, keepCount }), compaction: undefined })
				for (const [i, gapMs] of gaps.entries()) {
					model.nowMs += gapMs
					model.commit([{ key: i }])
				}
				const written = model.tables
				model.rest()
				const kept = written.filter(
					(table, i) => table.meta.maxWriteMs >= model.nowMs - PERIOD_MS || i >= written.length - keepCount,
				)
				expect(model.tables.map(table => table.id)).toEqual(kept.map(table => table.id))
			},
		),
		RUNS,
	)
})

describe('the model finds', () => {
	const controlled = (): PolicyModel => {
		const model = new PolicyModel(settingsOf(undefined))
		model.commit([{ key: 1 }])
		model.commit([{ key: 1, isTombstone: true }])
		model.commit([{ key: 2 }])
		return model
	}

	test('a tombstone that is dropped above what it hides', () => {
		const model = controlled()
		model.checkReads()
		model.apply({ kind: 'drop', tables: model.tables.slice(1, 2), bytes: 0, why: 'wrong' })
		expect(() => model.checkReads()).toThrow('key 1')
	})

	test('a run that stands above older entries', () => {
		const model = controlled()
		const wrong = { kind: 'move', tables: model.tables.slice(1, 2), runId: undefined, why: 'wrong' } as const
		expect(() => model.apply(wrong)).toThrow('older below newer')
	})

	test('tables of a run that overlap', () => {
		const model = controlled()
		const wrong = { kind: 'move', tables: model.tables.slice(0, 2), runId: undefined, why: 'wrong' } as const
		expect(() => model.apply(wrong)).toThrow('tables of a run')
	})
})
