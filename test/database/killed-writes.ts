/**
 * What a writer does until it is killed, as data: the writer carries it out, the judge knows what must be left of it.
 *
 * Everything follows from a seed. Each operation uses one sequence number, in this order; so what a database holds after
 * a crash must be the state after some number of operations (its `cut`): all of them up to the cut, none behind it. The
 * cut stands at or behind the last operation that was acknowledged as durable, not behind what was begun, and never
 * inside a batch.
 */
import { seededRandom } from '../../src/host/random.ts'

export interface KilledOperation {
	readonly key: string
	/** Undefined: a delete. */
	readonly value: string | undefined
}

export interface KilledStep {
	/**
	 * - `single`: a durable put or delete; `batch`: several at once; `stream`: a durable put, in pieces
	 * - `pipelined`: durable puts and deletes, all begun before the first is acknowledged
	 * - `burst`: accepted one by one, then made durable by one flush
	 */
	readonly kind: 'single' | 'batch' | 'stream' | 'pipelined' | 'burst'
	/** Number of its first operation, counted from the start of the run. */
	readonly first: number
	readonly operations: readonly KilledOperation[]
}

export interface KilledRun {
	/** Small memtables and blobs, or tables of more than 1 MiB, which are uploaded apart. */
	readonly options: {
		readonly memtableMaxBytes: number
		readonly inlineMaxBytes: number
		readonly blobThresholdBytes: number
		readonly codec: 'none' | 'lz4'
	}
	/** Bounded: a writer that nobody kills comes to an end. */
	readonly steps: readonly KilledStep[]
}

const STEPS = 60
/** Few, so that most writes overwrite. */
const KEYS = 60
const KIB = 1024

const PROFILES: readonly KilledRun['options'][] = [
	{ memtableMaxBytes: 64 * KIB, inlineMaxBytes: 16 * KIB, blobThresholdBytes: 8 * KIB, codec: 'lz4' },
	{ memtableMaxBytes: 64 * KIB, inlineMaxBytes: 1024 * KIB, blobThresholdBytes: 256 * KIB, codec: 'none' },
	{ memtableMaxBytes: 4096 * KIB, inlineMaxBytes: 1024 * KIB, blobThresholdBytes: 256 * KIB, codec: 'none' },
]

/** Text that does not compress to nothing: 1 MiB, the same in each process. */
const filler: string = Buffer.from(seededRandom(20_231_114).bytes(786_432)).toString('base64')

export function killedRun(seed: number, run: number): KilledRun {
	const random = seededRandom(seed + run * 7919)
	const below = (count: number): number => Math.floor(random.next() * count)
	const steps: KilledStep[] = []
	let operationCount = 0
	const operation = (mayDelete: boolean, valueBytes: number): KilledOperation => {
		const tag = `run ${run} operation ${operationCount++}:`
		const key = `key ${below(KEYS)}`
		if (mayDelete && below(4) === 0) return { key, value: undefined }
		const from = below(filler.length - valueBytes)
		return { key, value: tag + filler.slice(from, from + valueBytes) }
	}
	const profile = PROFILES[run % PROFILES.length] ?? fail()
	for (let step = 0; step < STEPS; step++) {
		const first = operationCount
		const kind =
			(['single', 'single', 'batch', 'pipelined', 'pipelined', 'burst', 'stream'] as const)[below(7)] ?? fail()
		const isLarge = below(4) === 0
		const valueBytes = isLarge ? below(300 * KIB) : below(2 * KIB)
		const isBulky = profile.memtableMaxBytes > 1024 * KIB && kind === 'burst'
		const count = { single: 1, stream: 1, batch: 2 + below(20), pipelined: 2 + below(30), burst: 20 + below(200) }[kind]
		const each = (): number => {
			if (isBulky) return 12 * KIB + below(4 * KIB)
			return kind === 'single' || kind === 'stream' || below(20) === 0 ? valueBytes : below(2 * KIB)
		}
		const operations = Array.from({ length: count }, () => operation(kind !== 'stream', each()))
		steps.push({ kind, first, operations })
	}
	return { options: profile, steps }
}

/** What the log of a killed writer says about its run. */
export interface KilledLog {
	/** Operations below this were acknowledged as durable. */
	readonly acknowledged: number
	/** Operations from this on were not begun. */
	readonly begun: number
}

/** The writer prints `begin <operation behind the last>` before each step and `durable <operation>` as it is told so. */
export function readKilledLog(lines: readonly string[]): KilledLog {
	let acknowledged = 0
	let begun = 0
	for (const line of lines) {
		const [word, number] = line.split(' ')
		if (word === 'begin') begun = Math.max(begun, Number(number))
		if (word === 'durable') acknowledged = Math.max(acknowledged, Number(number) + 1)
	}
	return { acknowledged, begun }
}

/** Everything that is wrong with a database that holds `found` and has made `cut` operations of `run` durable. */
export function judgeKilled(
	run: KilledRun,
	log: KilledLog,
	before: ReadonlyMap<string, string>,
	cut: number,
	found: ReadonlyMap<string, string>,
): string[] {
	const faults: string[] = []
	if (cut < log.acknowledged) faults.push(`lost: ${log.acknowledged} operations were acknowledged, ${cut} are there`)
	if (cut > log.begun) faults.push(`invented: ${log.begun} operations were begun, ${cut} are there`)
	const torn = run.steps.find(
		({ kind, first, operations }) => kind === 'batch' && first < cut && cut < first + operations.length,
	)
	if (torn !== undefined) faults.push(`a torn batch: ${cut - torn.first} of ${torn.operations.length} operations`)
	const expected = stateAfter(run, before, cut)
	for (const [key, value] of expected) {
		const other = found.get(key)
		if (other !== value) faults.push(`${key}: ${shown(other)} instead of ${shown(value)}`)
	}
	for (const key of found.keys()) if (!expected.has(key)) faults.push(`${key}: deleted, and is there again`)
	return faults
}

/** The state after the first `cut` operations. */
export function stateAfter(run: KilledRun, before: ReadonlyMap<string, string>, cut: number): Map<string, string> {
	const state = new Map(before)
	for (const { key, value } of run.steps.flatMap(step => step.operations).slice(0, cut)) {
		if (value === undefined) state.delete(key)
		else state.set(key, value)
	}
	return state
}

function shown(value: string | undefined): string {
	return value === undefined ? 'nothing' : `${value.length} characters '${value.slice(0, 30)}…'`
}

function fail(): never {
	throw new Error('broken invariant: a choice out of range')
}
