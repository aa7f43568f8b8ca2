/**
 * SIGKILL at any moment loses nothing that was acknowledged as durable.
 *
 * One directory, one writer process after another, each killed after a random number of lines of its own log (which the
 * kernel keeps when it dies): while opening, in the middle of a commit, of an upload, or between two. After each death
 * a reader judges the directory against that log, and the next writer takes over.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Random, seededRandom } from '../../src/host/random.ts'
import { openReader, openStore } from '../../src/index.ts'
import { type Program, startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { testSeed } from '../support/seed.ts'
import { judgeKilled, type KilledRun, killedRun, readKilledLog, stateAfter } from './killed-writes.ts'

/** At least; and at most, where a kind of moment has not come up yet: when a writer dies is also a matter of the machine. */
const KILLS = 50
const KILLS_MAX = 200
/** A minute; what hangs is found, not what is slow. */
const TIMEOUT_MS = 600_000
const WRITER = join(import.meta.dirname, 'fixtures/killed-writer.ts')
/** `TEST_SEED=… npm test` repeats a history, as far as processes repeat. */
const seed = testSeed()
const scratch = scratchDirectories()

interface State {
	readonly lastSeq: number
	readonly rows: Map<string, string>
}

interface Death {
	readonly run: KilledRun
	/** Whether it had opened before it died. */
	readonly hasOpened: boolean
	readonly faults: readonly string[]
	readonly acknowledged: number
	readonly cut: number
	readonly isKilled: boolean
}

/** Which come up by chance. */
const MOMENTS: readonly ((death: Death) => boolean)[] = [
	({ hasOpened }) => !hasOpened,
	// Something was on its way: begun or even durable, but not yet acknowledged.
	({ cut, acknowledged }) => cut > acknowledged,
]

describe(`${KILLS} writers killed at random, one after another (TEST_SEED=${seed})`, () => {
	const url = pathToFileURL(scratch()).href
	const deaths: Death[] = []
	let last: State = { lastSeq: 0, rows: new Map() }

	beforeAll(async () => {
		const random = seededRandom(seed)
		// The next one starts, up to its first line, while the last one is judged.
		let next: Program = startProgram(WRITER, [url, String(seed), '0'])
		const isOver = (): boolean =>
			deaths.length >= KILLS && (deaths.length === KILLS_MAX || MOMENTS.every(has => deaths.some(has)))
		for (let run = 0; !isOver(); run++) {
			await using program = next
			const log = await dieAtRandom(program, random)
			next = startProgram(WRITER, [url, String(seed), String(run + 1)])
			const found = await readState(url)
			deaths.push(judge(run, log, last, found))
			last = found
		}
		await next[Symbol.asyncDispose]()
	}, TIMEOUT_MS)

	test('leave everything that they acknowledged, whole batches, untorn values and nothing else', () => {
		expect(deaths.flatMap(({ faults }, run) => faults.map(fault => `run ${run}: ${fault}`))).toEqual([])
	})

	test('died at moments of every kind', () => {
		expect(deaths.length).toBeGreaterThanOrEqual(KILLS)
		expect(deaths.filter(death => death.isKilled).length).toBeGreaterThan(KILLS * 0.8)
		expect(MOMENTS.map(has => deaths.some(has))).toEqual(MOMENTS.map(() => true))
		expect(deaths.filter(death => death.cut > 0).length).toBeGreaterThan(KILLS / 3)
		expect(deaths.reduce((sum, death) => sum + death.acknowledged, 0)).toBeGreaterThan(KILLS * 10)
	})

	test('leave tables, blob packs and records, of which every kind was met', async () => {
		const store = await openStore(url)
		const folders = new Set<string>()
		for (const folder of ['log/', 'sst/', 'blobs/w', 'blobs/s']) {
			const { objects } = await store.list({ prefix: folder, limit: 1 })
			if (objects.length > 0) folders.add(folder)
		}
		await store.close()
		expect([...folders]).toEqual(['log/', 'sst/', 'blobs/w', 'blobs/s'])
	})

	test('leave a database that the next writer opens within its budget, and goes on with the next number', async () => {
		const store = await openStore(url)
		let records = 0
		let isTruncated = true
		for (let startAfter = ''; isTruncated; ) {
			const page = await store.list({ prefix: 'log/', startAfter })
			records += page.objects.length
			startAfter = page.objects.at(-1)?.key ?? ''
			isTruncated = page.isTruncated
		}
		await store.close()
		const before = await readState(url)
		await using program = startProgram(WRITER, [url, String(seed), String(deaths.length)])
		program.tell('go')
		const [lastSeq, lists = 0, gets = 0, creates, puts] = (await program.line('open ')).split(' ').slice(1).map(Number)
		expect(lastSeq).toBe(before.lastSeq)
		expect(lists).toBeLessThanOrEqual(2)
		// The tail of the log, in windows of 8 slots at first: at most that many past the end of each epoch.
		expect(gets).toBeLessThanOrEqual(2 * records + 8 * (deaths.length + 2))
		expect({ creates, puts }).toEqual({ creates: 1, puts: 0 })
		expect((await program.ended).code).toBe(0)
		const run = killedRun(seed, deaths.length)
		const after = await readState(url)
		const operations = run.steps.reduce((sum, step) => sum + step.operations.length, 0)
		expect(after.lastSeq).toBe(before.lastSeq + operations)
		expect(after.rows).toEqual(stateAfter(run, before.rows, operations))
	})

	afterAll(() => {
		const cuts = deaths.map(({ acknowledged, cut, hasOpened }) => (hasOpened ? `${acknowledged}≤${cut}` : 'opening'))
		console.log(`TEST_SEED=${seed}: acknowledged≤durable operations of each run: ${cuts.join(' ')}`)
	})
})

describe('the judge', () => {
	test('catches a writer that acknowledges before the commit', async () => {
		const url = pathToFileURL(scratch()).href
		await using program = startProgram(WRITER, [url, String(seed), '1', 'early'])
		program.tell('go')
		await new Promise<void>(resolve => {
			let acknowledged = 0
			program.onLine(line => {
				if (!line.startsWith('durable') || ++acknowledged < 3) return
				program.kill('SIGKILL')
				resolve()
			})
		})
		await program.ended
		const faults = judge(1, program.lines, { lastSeq: 0, rows: new Map() }, await readState(url)).faults
		expect(faults).toContainEqual(expect.stringContaining('lost: '))
	})

	test('catches a lost, a torn, an old and a resurrected value, a torn batch and an invented operation', () => {
		const run = killedRun(1, 0)
		const all = run.steps.reduce((sum, step) => sum + step.operations.length, 0)
		const log = { acknowledged: all, begun: all }
		const state = stateAfter(run, new Map(), all)
		const [[key, value] = ['', '']] = state
		const judged = (cut: number, found: Map<string, string>, of = log): string[] =>
			judgeKilled(run, of, new Map(), cut, found)
		expect(judged(all, state)).toEqual([])
		expect(judged(all, new Map([...state].slice(1)))).toEqual([expect.stringContaining(`${key}: nothing instead`)])
		expect(judged(all, new Map([...state, [key, value.slice(1)]]))).toHaveLength(1)
		expect(judged(all, new Map([...state, ['deleted', 'value']]))).toEqual([expect.stringContaining('there again')])
		const batch = run.steps.find(step => step.kind === 'batch')
		const torn = (batch?.first ?? 0) + 1
		expect(judged(torn, stateAfter(run, new Map(), torn), { acknowledged: 0, begun: all })).toEqual([
			expect.stringContaining('a torn batch'),
		])
		expect(judged(all, state, { acknowledged: 0, begun: all - 1 })).toEqual([expect.stringContaining('invented')])
	})
})

/** Lets it go, and kills it when it has printed a random number of lines. Answers what it has printed. */
async function dieAtRandom(program: Program, random: Random): Promise<readonly string[]> {
	await program.line('ready')
	// One in six before it can have opened; most within the first steps, some after hundreds of lines.
	const linesLeft = random.next() < 1 / 6 ? 0 : 1 + Math.floor(random.next() ** 2 * 250)
	const turns = Math.floor(random.next() * 3000)
	let seen = 0
	const isDue = new Promise<void>(resolve => {
		if (linesLeft === 0) resolve()
		program.onLine(() => {
			if (++seen === linesLeft) resolve()
		})
	})
	program.tell('go')
	await Promise.race([isDue, program.ended])
	// A few turns of this event loop more, so that the moment is not always just behind a line.
	for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
	program.kill('SIGKILL')
	const { stderr } = await program.ended
	expect(stderr).toBe('')
	return program.lines
}

async function readState(url: string): Promise<State> {
	await using reader = await openReader(url, { refreshIntervalMs: 0 })
	const rows = new Map<string, string>()
	for await (const [key, value] of reader.entries()) rows.set(key, value)
	// The other way of reading must not see anything else.
	const keys = [...rows.keys()]
	const values = await reader.getMany(keys)
	expect(keys.filter((key, index) => values[index] !== rows.get(key))).toEqual([])
	return { lastSeq: reader.stats().lastSeq, rows }
}

function judge(run: number, lines: readonly string[], before: State, found: State): Death {
	const log = readKilledLog(lines)
	const cut = found.lastSeq - before.lastSeq
	const opened = lines.find(line => line.startsWith('open '))
	const faults = judgeKilled(killedRun(seed, run), log, before.rows, cut, found.rows)
	if (opened !== undefined && Number(opened.split(' ')[1]) !== before.lastSeq) {
		faults.push(`opened at ${opened} instead of ${before.lastSeq}`)
	}
	return {
		run: killedRun(seed, run),
		hasOpened: opened !== undefined,
		faults,
		acknowledged: log.acknowledged,
		cut,
		isKilled: !lines.includes('done'),
	}
}
