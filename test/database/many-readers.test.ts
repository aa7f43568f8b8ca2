/**
 * Eight processes read while one writes, merges and collects: over a directory, and over a bucket of a real S3 server.
 * What every one of them saw is judged against what the writer did.
 *
 * `READERS_ROUNDS=2000 npm test` goes on for longer; `TEST_SEED=…` repeats a history, as far as processes repeat.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { testSeed } from '../support/seed.ts'
import { startCephRgw } from '../support/servers/ceph-rgw.ts'
import { createBucket } from '../support/servers/s3-test-store.ts'
import { serverForTests } from '../support/servers/test-server.ts'
import { ReadersHistory } from './readers-history.ts'
import { ReadersJudge } from './readers-judge.ts'
import type { Observation, SeenChange, SeenRow } from './readers-observation.ts'
import { type ReadersPlan, type ReadersResult, runReaders } from './readers-run.ts'

const seed = testSeed()
const rounds = Number(process.env['READERS_ROUNDS'] ?? 24)
const LONG_MS = 120_000 + rounds * 5_000
const READERS = 8
const scratch = scratchDirectories()
const server = await serverForTests('Ceph RGW', startCephRgw)

/** Who polls ten times a second looks well within half of the grace period, on a machine that is busy too. */
const usual = {
	seed,
	readers: READERS,
	rounds,
	roundsMax: rounds + 2_000,
	deletedMin: 40,
	gracePeriodMs: 2_000,
	changeRetentionMs: 1_000,
	readsPerRound: 6,
} as const

describe.each([
	{ name: 'a directory', isHere: true, urlOf: () => Promise.resolve(pathToFileURL(scratch()).href) },
	{ name: 'Ceph RGW', isHere: server !== undefined, urlOf: bucketUrl },
])(`8 readers of $name (TEST_SEED=${seed})`, ({ name, isHere, urlOf }) => {
	describe.skipIf(!isHere)('beside a writer and its maintenance', () => {
		let result: ReadersResult

		beforeAll(async () => {
			result = await runReaders({ ...usual, url: await urlOf(), cacheDir: join(scratch(), 'cache') })
		}, LONG_MS)

		test('see committed states only: no stale one, no torn one, none that never was', () => {
			const faults = result.verdicts.flatMap((verdict, i) => verdict.faults.map(fault => `reader ${i}: ${fault}`))
			expect(faults.slice(0, 20)).toEqual([])
		})

		test('end in good order and say nothing', () => {
			expect(result.complaints).toEqual([])
		})

		test('did all that is asked for, while tables were merged and objects deleted', () => {
			expect(result.works).toBeGreaterThan(0)
			expect(result.deleted).toBeGreaterThanOrEqual(usual.deletedMin)
			for (const { judged } of result.verdicts) {
				expect(judged).toMatchObject({ get: expect.any(Number), scan: expect.any(Number), 'last scan': 2 })
				expect(judged['changes']).toBeGreaterThan(0)
				expect(judged['snapshot']).toBeGreaterThan(3)
			}
			// Two of eight have no directory; the six share what each of them fetched.
			expect(result.stats.filter(({ disk }) => disk !== undefined && disk.hits > 0).length).toBeGreaterThan(0)
		})

		afterAll(() => {
			if (result === undefined) return
			const sum = (of: (i: number) => number): number => result.verdicts.reduce((total, _, i) => total + of(i), 0)
			const reads = sum(i => result.observations[i]?.filter(({ kind }) => kind === 'read').length ?? 0)
			console.log(
				`many readers of ${name}: TEST_SEED=${seed}, ${result.rounds} rounds, ${reads} reads, ` +
					`${sum(i => result.verdicts[i]?.judged['changes'] ?? 0)} changes, ${sum(i => result.verdicts[i]?.expired ?? 0)} expired, ` +
					`${result.works} works, ${result.deleted} objects deleted, ${sum(i => result.stats[i]?.requests ?? 0)} requests`,
			)
		})

		test('what is wrong with a single answer is found', () => {
			const judge = new ReadersJudge(new ReadersHistory(seed), result.notes)
			const honest = result.observations[0] ?? []
			expect(judge.judge(honest).faults).toEqual([])
			for (const [lie, planted] of plantedLies(honest)) {
				expect(planted, lie).not.toEqual(honest)
				expect(judge.judge(planted).faults.length, lie).toBeGreaterThan(0)
			}
		})
	})
})

describe('the judge', () => {
	test('catches a reader that goes on showing an old state', async () => {
		const plan: ReadersPlan = { ...usual, readers: 2, rounds: 6, roundsMax: 6, stale: 1, url: '', cacheDir: '' }
		const url = pathToFileURL(scratch()).href
		const { verdicts, complaints } = await runReaders({ ...plan, url, cacheDir: join(scratch(), 'cache') })
		expect(complaints).toEqual([])
		expect(verdicts[0]?.faults).toEqual([])
		expect(verdicts[1]?.faults.length).toBeGreaterThan(3)
	})
})

async function bucketUrl(): Promise<string> {
	if (server === undefined) throw new Error('no server')
	await createBucket(server, 'many-readers')
	process.env['AWS_ACCESS_KEY_ID'] = server.accessKeyId
	process.env['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
	return `s3://many-readers/db?region=us-east-1&forcePathStyle=true&endpoint=${encodeURIComponent(server.endpoint)}`
}

/** What a reader saw, with one thing changed in each. */
function plantedLies(honest: readonly Observation[]): [string, Observation[]][] {
	/** With the last observation that `change` knows to change in place of itself. */
	const changed = (change: (seen: Observation) => Observation | undefined): Observation[] => {
		for (let i = honest.length - 1; i >= 0; i--) {
			const other = honest[i] && change(honest[i] as Observation)
			if (other !== undefined) return honest.with(i, other)
		}
		return [...honest]
	}
	const inLastScan = (change: (rows: readonly SeenRow[]) => readonly SeenRow[]): Observation[] =>
		changed(seen =>
			seen.kind === 'read' && seen.call === 'last scan' && seen.rows.length > 3
				? { ...seen, rows: change(seen.rows) }
				: undefined,
		)
	const inChanges = (change: (list: readonly SeenChange[]) => readonly SeenChange[]): Observation[] =>
		changed(seen =>
			seen.kind === 'changes' && seen.changes.length > 2 ? { ...seen, changes: change(seen.changes) } : undefined,
		)
	return [
		['a row is missing', inLastScan(rows => rows.toSpliced(1, 1))],
		['a row is there twice', inLastScan(rows => rows.toSpliced(1, 0, rows[1] as SeenRow))],
		['rows are out of order', inLastScan(rows => [rows[1] as SeenRow, rows[0] as SeenRow, ...rows.slice(2)])],
		['a value was never written', inLastScan(([first, ...rows]) => [[first?.[0] ?? '', -1], ...rows])],
		['an older value', inLastScan(([first, ...rows]) => [[first?.[0] ?? '', (first?.[1] ?? 0) - 1], ...rows])],
		['a change is missing', inChanges(list => list.slice(1))],
		['a change comes twice', inChanges(list => [...list, ...list.slice(-1)])],
		['changes are out of order', inChanges(list => [...list.slice(1, 2), ...list.slice(0, 1), ...list.slice(2)])],
		[
			'a snapshot does not repeat',
			changed(seen => {
				if (seen.kind !== 'snapshot') return undefined
				const [call, ...rest] = seen.calls
				if (call === undefined || call.times.length < 2) return undefined
				const times = call.times.with(-1, (call.times.at(-1) ?? []).toReversed())
				return { ...seen, calls: [{ ...call, times }, ...rest] }
			}),
		],
		[
			'a state that is older than was asked for',
			changed(seen =>
				seen.kind === 'read' && seen.atLeastSeq > 0 && seen.fromSeq > 80
					? { ...seen, fromSeq: seen.atLeastSeq - 80, toSeq: seen.atLeastSeq - 80 }
					: undefined,
			),
		],
		[
			'an error that must not be',
			[...honest, { kind: 'error', call: 'get', code: 'ISLE_CORRUPT', message: 'planted' }],
		],
	]
}
