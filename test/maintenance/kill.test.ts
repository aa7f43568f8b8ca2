/**
 * A writer, a maintainer and a reader, each a process of its own, on one directory; SIGKILL of each in turn.
 *
 *     ISLE_KILL_MINUTES=10 TEST_SEED=1 npm test -- test/maintenance/kill
 *
 * Whatever dies when: nothing that was acknowledged is lost, what a reader sees of a key never goes back, its tail shows every
 * change once and in order over all its deaths, and no process meets an error but `ISLE_EXPIRED`, and `ISLE_FENCED` where it
 * was taken over. When all is at rest the store holds what its state needs.
 */
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import { seededRandom } from '../../src/host/random.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { testSeed } from '../support/seed.ts'
import { judgeStage, KillStage, ROLES, rowsAt, someLines } from './kill-stage.ts'
import { CommittedOperations, isOlder, operationOf } from './three-processes.ts'

const KILLS = 24
/** 0: as many deaths as above. */
const MINUTES = Number(process.env['ISLE_KILL_MINUTES'] ?? 0)
const seed = testSeed()
const scratch = scratchDirectories()
const FAULTS_SHOWN = 20
/** A process takes a second to start, and many where many others want the processor. What hangs is found, not what is slow. */
const TIMEOUT_MS = 60_000 * (10 + MINUTES)

describe(`a writer, a maintainer and a reader (TEST_SEED=${seed})`, { timeout: TIMEOUT_MS }, () => {
	test(`survive ${MINUTES === 0 ? `${KILLS} deaths` : `${MINUTES} minutes of deaths`} of one of them`, async () => {
		const random = seededRandom(seed)
		const beganMs = systemClock.monotonicMs()
		const url = pathToFileURL(scratch()).href
		const stage = new KillStage(url, seed)
		// On a busy machine the first lives of some may end before they have done anything.
		const hasSeenAll = (): boolean => stage.counts.works > 0 && stage.counts.reads > 0
		const isLongEnough = (kills: number): boolean =>
			MINUTES === 0
				? kills >= KILLS && (hasSeenAll() || kills >= 10 * KILLS)
				: systemClock.monotonicMs() - beganMs >= 60_000 * MINUTES
		try {
			for (const role of ROLES) stage.start(role)
			for (let kills = 0; !isLongEnough(kills) && stage.faults.length === 0; kills++) {
				const role = ROLES[kills % ROLES.length] ?? 'writer'
				await stage.kill(role, someLines(role, random))
				stage.start(role)
			}
			for (const role of ROLES) await stage.kill(role, 5)
		} finally {
			await stage.end()
		}
		const { operations, tailed, faults, deleted } = await judgeStage(stage, seed, url)
		console.log(`TEST_SEED=${seed}: ${operations} operations, ${tailed} tailed, ${JSON.stringify(stage.counts)}`)
		expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
		expect(stage.counts.works).toBeGreaterThan(0)
		expect(deleted).toBeGreaterThan(0)
		expect(stage.counts.reads).toBeGreaterThan(0)
		expect(tailed).toBeGreaterThan(0)
	})

	test('are not served by a collector that looks at the state too early, and that is noticed', async () => {
		const url = pathToFileURL(scratch()).href
		const stage = new KillStage(url, seed)
		try {
			stage.start('compactor', 'rogue')
			stage.start('writer')
			stage.start('reader')
			// It is a matter of chance each time, and of a busy machine.
			for (let kills = 0; kills < 50 && stage.faults.length === 0; kills++) {
				await stage.kill('reader', 300)
				stage.start('reader')
			}
		} finally {
			await stage.end()
		}
		expect(stage.faults).not.toEqual([])
	})

	test('are judged: a writer that acknowledges before the commit is noticed', async () => {
		const url = pathToFileURL(scratch()).href
		const stage = new KillStage(url, seed)
		let faults: readonly string[] = []
		for (let tries = 0; tries < 50 && faults.length === 0; tries++) {
			stage.start('writer', 'early')
			await stage.kill('writer', 30)
			faults = new CommittedOperations(seed, stage.runs, (await rowsAt(url)).lastSeq).faults
		}
		expect(faults).toContainEqual(expect.stringContaining('lost: '))
	})
})

describe('the judge', () => {
	const run = { run: 0, openedAt: 0, acknowledged: 10, begun: 12 }
	const lineOf = (number: number): string => {
		const { key, value } = operationOf(1, 0, number)
		return `change\t${number + 1}\t${key}\t${value === undefined ? '-' : value.slice(0, value.indexOf(' '))}`
	}

	test('finds nothing where nothing is wrong', () => {
		const committed = new CommittedOperations(1, [run], 11)
		expect(committed.faults).toEqual([])
		expect(committed.judgeRows(committed.rows())).toEqual([])
		expect(committed.judgeTail(['resume\t2', lineOf(2), lineOf(3), 'resume\t2', lineOf(2)])).toEqual([])
	})

	test('finds what was lost, invented, changed, resurrected, and passed over by the tail', () => {
		expect(new CommittedOperations(1, [run], 9).faults).toEqual([expect.stringContaining('lost')])
		expect(new CommittedOperations(1, [run], 13).faults).toEqual([expect.stringContaining('invented')])
		const committed = new CommittedOperations(1, [run], 11)
		const [[key] = ['']] = committed.rows()
		expect(committed.judgeRows(new Map([...committed.rows(), [key, 'other']]))).toHaveLength(1)
		expect(committed.judgeRows(new Map([...committed.rows(), ['none', 'value']]))).toHaveLength(1)
		expect(committed.judgeTail(['resume\t2', lineOf(3)])).toHaveLength(1)
		expect(committed.judgeTail([lineOf(3), lineOf(3)])).toHaveLength(1)
		expect(committed.judgeTail([lineOf(11)])).toHaveLength(1)
		expect([isOlder('1.5', '1.6'), isOlder('1.9', '2.0'), isOlder('2.0', '1.9'), isOlder('1.5', '1.5')]).toEqual([
			true,
			true,
			false,
			false,
		])
	})
})
