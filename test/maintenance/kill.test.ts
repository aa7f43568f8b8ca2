/**
 * A writer, a maintainer and a reader, each a process of its own, on one directory; SIGKILL of each in turn.
 *
 *     ISLE_KILL_MINUTES=10 ISLE_KILL_SEED=1 npm test -- test/maintenance/kill --testTimeout=3600000
 *
 * Whatever dies when: nothing that was acknowledged is lost, what a reader sees of a key never goes back, its tail shows every
 * change once and in order over all its deaths, and no process meets an error but `ISLE_EXPIRED`, and `ISLE_FENCED` where it
 * was taken over. When all is at rest the store holds what its state needs.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import { type Random, seededRandom, systemRandom } from '../../src/host/random.ts'
import { openCompactor, openReader, openStore } from '../../src/index.ts'
import { type Program, startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { auditStore } from '../support/store-audit.ts'
import { CommittedOperations, isOlder, operationOf, readWriterLog, type WriterRun } from './three-processes.ts'

const KILLS = 24
/** 0: as many deaths as above. */
const MINUTES = Number(process.env['ISLE_KILL_MINUTES'] ?? 0)
const seed = Number(process.env['ISLE_KILL_SEED'] ?? Math.floor(systemRandom.next() * 1_000_000_000))
const fixture = (name: string): string => join(import.meta.dirname, `fixtures/${name}.ts`)
const scratch = scratchDirectories()
/** Rounds of maintenance after which nothing may be left over. */
const ROUNDS_TO_REST = 6
const FAULTS_SHOWN = 20

type Role = 'writer' | 'compactor' | 'reader'
const ROLES: readonly Role[] = ['writer', 'compactor', 'reader']

class Stage {
	readonly url = pathToFileURL(scratch()).href
	readonly runs: WriterRun[] = []
	/** Of all readers, one after another. */
	readonly tail: string[] = []
	readonly faults: string[] = []
	readonly counts = { deaths: 0, works: 0, deleted: 0, expired: 0, reads: 0, takeovers: 0 }
	readonly #programs: Partial<Record<Role, Program>> = {}
	#runs = 0

	start(role: Role, mode?: string): void {
		const last = this.tail.findLast(line => line.startsWith('cursor\t'))?.split('\t')
		if (role === 'writer') this.#runs++
		const words = {
			writer: ['killed-writer', String(seed), String(this.#runs - 1)],
			compactor: ['killed-compactor'],
			reader: ['killed-reader', last?.[1] ?? 'now', last?.[2] ?? '0'],
		}[role]
		const [name = '', ...rest] = words
		this.#programs[role] = startProgram(fixture(name), [this.url, ...rest, ...(mode === undefined ? [] : [mode])])
	}

	/** Waits for so many more lines, then kills it. */
	async kill(role: Role, lines: number): Promise<void> {
		const program = this.#programs[role]
		if (program === undefined) return
		let left = lines
		await Promise.race([
			new Promise<void>(resolve => {
				if (left === 0) resolve()
				program.onLine(() => {
					if (--left === 0) resolve()
				})
			}),
			program.ended,
		])
		program.kill('SIGKILL')
		const { stderr, signal } = await program.ended
		this.counts.deaths++
		// A writer is fenced by the next one only when that comes too early: here it never does.
		if (signal !== 'SIGKILL') this.faults.push(`${role} ended by itself: ${stderr.slice(0, 2000)}`)
		this.#take(role, program.lines)
	}

	async end(): Promise<void> {
		for (const role of ROLES) await this.#programs[role]?.[Symbol.asyncDispose]()
	}

	#take(role: Role, lines: readonly string[]): void {
		for (const line of lines) {
			if (line.startsWith('fault ')) this.faults.push(`${role}: ${line}`)
			if (line.startsWith('work ')) this.counts.works++
			if (line.startsWith('tended ')) this.counts.deleted += Number(line.split(' ')[2])
			if (line.startsWith('expired ')) this.counts.expired++
			if (line.startsWith('read ')) this.counts.reads++
			if (line.startsWith('state active')) this.counts.takeovers++
		}
		// What follows the last cursor may have been cut off in the middle of a line, and comes again.
		const end = lines.findLastIndex(line => line.startsWith('cursor\t') && line.endsWith('\tend'))
		if (role === 'reader') this.tail.push(...lines.slice(0, end + 1).filter(line => line.includes('\t')))
		if (role === 'writer') this.runs.push(readWriterLog(this.runs.length, lines))
	}
}

async function rowsAt(url: string): Promise<{ readonly lastSeq: number; readonly rows: Map<string, string> }> {
	await using reader = await openReader(url, { refreshIntervalMs: 0 })
	const rows = new Map<string, string>()
	for await (const [key, value] of reader.entries()) rows.set(key, value)
	return { lastSeq: reader.stats().lastSeq, rows }
}

/** Lets a maintainer without patience do all that is left, and answers what should not be there, or should. */
async function auditAtRest(url: string): Promise<{ readonly left: readonly string[]; readonly deleted: number }> {
	const store = await openStore(url)
	try {
		let deleted = 0
		await using compactor = await openCompactor(url, { background: false, gracePeriodMs: 0, changeRetentionMs: 0 })
		for (let round = 0; ; round++) {
			deleted += (await compactor.runOnce()).objectsDeleted
			const { missing, orphans, waiting } = await auditStore(store)
			const left = [...missing.map(key => `missing ${key}`), ...orphans, ...waiting]
			if (left.length === 0 || round === ROUNDS_TO_REST) return { left, deleted }
		}
	} finally {
		await store.close()
	}
}

function someLines(role: Role, random: Random): number {
	// Now and then before it has opened.
	if (random.next() < 0.1) return 0
	return 1 + Math.floor(random.next() ** 2 * { writer: 300, compactor: 80, reader: 400 }[role])
}

describe(`a writer, a maintainer and a reader (ISLE_KILL_SEED=${seed})`, () => {
	test(`survive ${MINUTES === 0 ? `${KILLS} deaths` : `${MINUTES} minutes of deaths`} of one of them`, async () => {
		const random = seededRandom(seed)
		const beganMs = systemClock.monotonicMs()
		const isLongEnough = (kills: number): boolean =>
			MINUTES === 0 ? kills >= KILLS : systemClock.monotonicMs() - beganMs >= 60_000 * MINUTES
		const stage = new Stage()
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
		const { lastSeq, rows } = await rowsAt(stage.url)
		const committed = new CommittedOperations(seed, stage.runs, lastSeq)
		const faults = [
			...stage.faults,
			...committed.faults,
			...committed.judgeRows(rows),
			...committed.judgeTail(stage.tail),
		]
		const tailed = stage.tail.filter(line => line.startsWith('change')).length
		console.log(`ISLE_KILL_SEED=${seed}: ${lastSeq} operations, ${tailed} tailed, ${JSON.stringify(stage.counts)}`)
		expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
		const { left, deleted } = await auditAtRest(stage.url)
		expect(left).toEqual([])
		expect(committed.judgeRows((await rowsAt(stage.url)).rows)).toEqual([])
		expect(stage.counts.works).toBeGreaterThan(0)
		expect(stage.counts.deleted + deleted).toBeGreaterThan(0)
		expect(stage.counts.reads).toBeGreaterThan(0)
		expect(tailed).toBeGreaterThan(0)
	})

	test('are not served by a collector that looks at the state too early, and that is noticed', async () => {
		const stage = new Stage()
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
		const stage = new Stage()
		let faults: readonly string[] = []
		for (let tries = 0; tries < 10 && faults.length === 0; tries++) {
			stage.start('writer', 'early')
			await stage.kill('writer', 30)
			faults = new CommittedOperations(seed, stage.runs, (await rowsAt(stage.url)).lastSeq).faults
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
