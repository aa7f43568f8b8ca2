/**
 * The soak: two writers that take turns at two databases, and a reader, each a process of its own.
 *
 * Steps of a turn: the next writer takes over, in one of three ways: the one before has closed (`close`), goes on and is fenced (`fence`), or
 * was killed and comes back as another process (`kill`; one of the two writers alone, so that the other's memory can be followed);
 * both write for a while; everybody is asked what memory it takes. At the end the reader's tail reaches the last change, everything that
 * was seen is judged (three-processes.ts), and the stores are audited when maintenance has done what was left.
 */
import { join } from 'node:path'
import { type Clock, sleep, systemClock } from '../../src/host/clock.ts'
import { seededRandom } from '../../src/host/random.ts'
import { openCompactor, openReader, openStore } from '../../src/index.ts'
import { CommittedOperations, type WriterRun } from '../maintenance/three-processes.ts'
import { type Program, startProgram } from '../support/process.ts'
import { auditStore } from '../support/store-audit.ts'
import type { MemorySample } from './memory.ts'

export interface SoakOptions {
	readonly url: string
	readonly seed: number
	/** It ends with the turn that is later than this, and not before `minTurns`. */
	readonly durationMs: number
	readonly minTurns: number
	readonly turnMs: number
	/** Told after each turn. */
	readonly onTurn?: ((turn: number) => void) | undefined
}

export type Way = 'close' | 'fence' | 'kill'

/**
 * The processes that live from the beginning to the end. The writer is two: with its databases open it has threads that it has not when it
 * waits for its turn.
 */
export type Lasting = 'writer, open' | 'writer, closed' | 'reader'

export interface Opening {
	readonly requests: number
	readonly ms: number
}

export interface SoakReport {
	readonly turns: Readonly<Record<Way, number>>
	readonly openings: readonly Opening[]
	readonly memory: Readonly<Record<Lasting, readonly MemorySample[]>>
	readonly operations: number
	readonly tailed: number
	readonly reads: number
	readonly expired: number
	readonly works: number
	/** Bytes on the store at the end, of both databases. */
	readonly storedBytes: number
	/** Everything that is wrong, and what was left on the store. */
	readonly faults: readonly string[]
}

const fixture = (name: string): string => join(import.meta.dirname, `fixtures/${name}.ts`)
const WAYS: readonly Way[] = ['close', 'kill', 'fence', 'kill']
/** Rounds of maintenance after which nothing may be left over. */
const ROUNDS_TO_REST = 6

class Soak {
	readonly faults: string[] = []
	readonly openings: Opening[] = []
	readonly memory: Record<Lasting, MemorySample[]> = { 'writer, open': [], 'writer, closed': [], reader: [] }
	readonly turns: Record<Way, number> = { close: 0, fence: 0, kill: 0 }
	readonly tail: string[] = []
	readonly #runs = new Map<number, WriterRun>()
	readonly #options: SoakOptions
	readonly #clock: Clock
	#works = 0
	#reads = 0
	#expired = 0
	#steady: Program
	#mortal: Program
	readonly #reader: Program
	/** Whose turn it is, and the number of its run. */
	#isSteady = true
	#run = -1
	#samples = 0

	constructor(options: SoakOptions, clock: Clock) {
		this.#options = options
		this.#clock = clock
		this.#steady = this.#startWriter()
		this.#mortal = this.#startWriter()
		this.#reader = startProgram(fixture('soak-reader'), [options.url])
		this.#reader.onLine(line => this.#hearReader(line))
	}

	get counts(): { readonly works: number; readonly reads: number; readonly expired: number } {
		return { works: this.#works, reads: this.#reads, expired: this.#expired }
	}

	/** By number. */
	get runs(): WriterRun[] {
		return [...this.#runs.values()].sort((a, b) => a.run - b.run)
	}

	async begin(): Promise<void> {
		await this.#open(this.#steady)
		await this.#reader.line('open')
	}

	/** The other writer takes over. */
	async turn(way: Way): Promise<void> {
		const [from, to] = this.#isSteady ? [this.#steady, this.#mortal] : [this.#mortal, this.#steady]
		const run = this.#run
		const chosen = way === 'kill' && this.#isSteady ? 'fence' : way
		this.turns[chosen]++
		if (chosen === 'close') {
			from.tell('close')
			await from.line(`closed ${run}`)
		} else if (chosen === 'kill') {
			from.kill('SIGKILL')
			await from.ended
			this.#mortal = this.#startWriter()
		}
		this.#isSteady = !this.#isSteady
		await this.#open(to)
		// It goes on until it finds out.
		if (chosen === 'fence') await from.line(`fenced ${run}`)
	}

	async pass(): Promise<void> {
		await sleep(this.#clock, this.#options.turnMs)
		const number = this.#samples++
		const writer = this.#isSteady ? 'writer, open' : 'writer, closed'
		for (const who of [writer, 'reader'] as const) {
			const program = who === 'reader' ? this.#reader : this.#steady
			program.tell(`sample ${number}`)
			const line = await program.line(`memory ${number} `)
			this.memory[who].push(JSON.parse(line.slice(line.indexOf('{'))))
		}
	}

	/** Everybody closes; the reader when its tail has reached the end. */
	async end(): Promise<void> {
		const writer = this.#isSteady ? this.#steady : this.#mortal
		writer.tell('close')
		await writer.line(`closed ${this.#run}`)
		await using reader = await openReader(this.#options.url, { prefix: 'state', refreshIntervalMs: 0 })
		this.#reader.tell(`end ${reader.stats().lastSeq}`)
		await this.#reader.line('closed')
	}

	async stop(): Promise<void> {
		for (const program of [this.#steady, this.#mortal, this.#reader]) await program[Symbol.asyncDispose]()
	}

	async #open(program: Program): Promise<void> {
		const run = ++this.#run
		program.tell(`open ${run}`)
		const [, , , requests, ms] = (await program.line(`opened ${run} `)).split(' ')
		this.openings.push({ requests: Number(requests), ms: Number(ms) })
	}

	#startWriter(): Program {
		const { url, seed } = this.#options
		const program = startProgram(fixture('soak-writer'), [url, String(seed)])
		program.onLine(line => this.#hearWriter(line))
		return program
	}

	#hearWriter(line: string): void {
		const [word = '', run = '', number = ''] = line.split(' ')
		if (word === 'fault') this.faults.push(line)
		if (word === 'work') this.#works++
		const known = this.#runs.get(Number(run)) ?? { run: Number(run), openedAt: undefined, acknowledged: 0, begun: 0 }
		if (word === 'opened') this.#runs.set(known.run, { ...known, openedAt: Number(number) })
		if (word === 'begin') this.#runs.set(known.run, { ...known, begun: Number(number) })
		if (word === 'durable') this.#runs.set(known.run, { ...known, acknowledged: Number(number) })
	}

	#hearReader(line: string): void {
		if (line.includes('\t')) this.tail.push(line)
		else if (line.startsWith('fault ')) this.faults.push(`reader: ${line}`)
		else if (line.startsWith('read ')) this.#reads++
		else if (line.startsWith('expired')) this.#expired++
	}
}

/** Runs it, and judges. */
export async function soak(options: SoakOptions, clock: Clock = systemClock): Promise<SoakReport> {
	const { url, seed, durationMs, minTurns } = options
	const random = seededRandom(seed)
	const run = new Soak(options, clock)
	const beganMs = clock.monotonicMs()
	try {
		await run.begin()
		for (let turn = 0; turn < minTurns || clock.monotonicMs() - beganMs < durationMs; turn++) {
			await run.pass()
			// Each way once, then by chance.
			await run.turn(WAYS[turn < WAYS.length ? turn : Math.floor(random.next() * WAYS.length)] ?? 'close')
			options.onTurn?.(turn)
			if (run.faults.length > 0) break
		}
		await run.end()
	} finally {
		await run.stop()
	}
	const { lastSeq, rows } = await rowsOf(url)
	const committed = new CommittedOperations(seed, run.runs, lastSeq)
	const rests = [await rest(url, 'state'), await rest(url, 'events')]
	const after = await rowsOf(url)
	const faults = [
		...run.faults,
		...committed.faults,
		...committed.judgeRows(rows),
		...committed.judgeTail(run.tail),
		...committed.judgeRows(after.rows),
		...rests.flatMap(({ left }) => left),
	]
	const storedBytes = rests.reduce((sum, { bytes }) => sum + bytes, 0)
	const { turns, openings, memory } = run
	const tailed = run.tail.filter(line => line.startsWith('change')).length
	return { turns, openings, memory, operations: lastSeq, tailed, ...run.counts, storedBytes, faults }
}

async function rowsOf(url: string): Promise<{ readonly lastSeq: number; readonly rows: Map<string, string> }> {
	await using reader = await openReader(url, { prefix: 'state', refreshIntervalMs: 0 })
	const rows = new Map<string, string>()
	for await (const [key, value] of reader.entries()) rows.set(key, value)
	return { lastSeq: reader.stats().lastSeq, rows }
}

/** Lets a maintainer without patience do all that is left; answers what should not be there, or should, and all bytes that are. */
async function rest(
	url: string,
	prefix: string,
): Promise<{ readonly left: readonly string[]; readonly bytes: number }> {
	const store = await openStore(url, { prefix })
	try {
		const impatient = { background: false, gracePeriodMs: 0, changeRetentionMs: 0 }
		await using compactor = await openCompactor(url, { ...impatient, prefix })
		for (let round = 0; ; round++) {
			await compactor.runOnce()
			const { missing, orphans, waiting } = await auditStore(store)
			const left = [...missing.map(key => `missing ${key}`), ...orphans, ...waiting].map(key => `${prefix}: ${key}`)
			if (left.length > 0 && round < ROUNDS_TO_REST) continue
			const { objects } = await store.list({ limit: 1000 })
			return { left, bytes: objects.reduce((sum, object) => sum + object.bytes, 0) }
		}
	} finally {
		await store.close()
	}
}
