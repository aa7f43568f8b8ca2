/**
 * What a writer does that is killed and followed again and again, as data; and the judge of what others saw of it.
 *
 * Everything follows from a seed: operation n of run r has one key and one value, and uses one sequence number. So the number
 * at which a run opened says which of the run before were committed, and every change that a tail shows is known in advance.
 */
import { seededRandom } from '../../src/host/random.ts'

export interface NumberedOperation {
	readonly key: string
	/** Begins with `<run>.<number> `; undefined: a delete. */
	readonly value: string | undefined
	/** The value may be gone after that time; undefined: it stays. */
	readonly ttlMs: number | undefined
}

export interface WriterRun {
	readonly run: number
	/** Sequence number at which it opened; undefined when it died before. */
	readonly openedAt: number | undefined
	/** Operations below this were acknowledged as durable, of those that it began. */
	readonly acknowledged: number
	readonly begun: number
}

/** Few, so that every merge has something to drop. */
const KEYS = 300
/** Of the keys, those from this on have values that expire. */
const FIRST_BRIEF_KEY = 270
const BRIEF_MS = 200
const LONG_BYTES = 12_000
const SHORT_BYTES = 900
/** Longer than a block, so that values do not compress to nothing. */
const filler: string = Buffer.from(seededRandom(7).bytes(300_000)).toString('base64')

export function operationOf(seed: number, run: number, number: number): NumberedOperation {
	const random = seededRandom(seed ^ Math.imul(run + 1, 0x9e37_79b1) ^ Math.imul(number + 1, 0x85eb_ca6b))
	// The first numbers of neighbouring seeds are alike.
	random.next()
	const index = Math.floor(random.next() * KEYS)
	const key = `key ${index}`
	const ttlMs = isBrief(index) ? BRIEF_MS : undefined
	if (random.next() < 0.2) return { key, value: undefined, ttlMs: undefined }
	const bytes = Math.floor(random.next() * (random.next() < 0.03 ? LONG_BYTES : SHORT_BYTES))
	const from = Math.floor(random.next() * (filler.length - bytes))
	return { key, value: `${run}.${number} ${filler.slice(from, from + bytes)}`, ttlMs }
}

function isBrief(index: number): boolean {
	return index >= FIRST_BRIEF_KEY
}

/** `open <seq>`, `begin <operation behind the last>`, `durable <operation behind the last>`: what a writer prints. */
export function readWriterLog(run: number, lines: readonly string[]): WriterRun {
	const last = (word: string): number | undefined => {
		const line = lines.findLast(candidate => candidate.startsWith(`${word} `))
		return line === undefined ? undefined : Number(line.split(' ')[1])
	}
	return { run, openedAt: last('open'), acknowledged: last('durable') ?? 0, begun: last('begin') ?? 0 }
}

/** What became of all runs, one after another. */
export class CommittedOperations {
	readonly #operations: NumberedOperation[] = []
	readonly faults: string[] = []

	/** Adds what `runs` committed; `lastSeq` is where the database stands behind the last of them. */
	constructor(seed: number, runs: readonly WriterRun[], lastSeq: number) {
		const opened = runs.filter(run => run.openedAt !== undefined)
		for (const [i, { run, openedAt = 0, acknowledged, begun }] of opened.entries()) {
			const end = opened[i + 1]?.openedAt ?? lastSeq
			const committed = end - openedAt
			if (openedAt !== this.#operations.length) this.faults.push(`run ${run} opened at ${openedAt}`)
			if (committed < acknowledged) {
				this.faults.push(`lost: run ${run} was told that ${acknowledged} are durable, ${committed} are there`)
			}
			if (committed > begun) this.faults.push(`invented: run ${run} began ${begun}, ${committed} are there`)
			for (let number = 0; number < committed; number++) this.#operations.push(operationOf(seed, run, number))
		}
	}

	get lastSeq(): number {
		return this.#operations.length
	}

	/** The state behind all of them. */
	rows(): Map<string, string> {
		const rows = new Map<string, string>()
		for (const { key, value } of this.#operations) {
			if (value === undefined) rows.delete(key)
			else rows.set(key, value)
		}
		return rows
	}

	/** What is wrong with rows that were read in the end. */
	judgeRows(found: ReadonlyMap<string, string>): string[] {
		const expected = this.rows()
		const wrong = [...expected]
			.filter(([key, value]) => found.get(key) !== value)
			.filter(([key]) => found.has(key) || !isBrief(Number(key.split(' ')[1])))
			.map(([key, value]) => `${key} is ${found.get(key)?.slice(0, 12)} instead of ${value.slice(0, 12)}`)
		const back = [...found.keys()].filter(key => !expected.has(key)).map(key => `${key}: deleted, and there again`)
		return [...wrong, ...back]
	}

	/**
	 * What is wrong with the lines of a tail: `change <seq> <key> <tag or ->`, and `resume <seq>` where one began behind
	 * `<seq>`. Each change must follow the one before, and be the one that was committed.
	 */
	judgeTail(lines: readonly string[]): string[] {
		const faults: string[] = []
		let last: number | undefined
		for (const line of lines) {
			const [word, number, key, tag] = line.split('\t')
			const seq = Number(number)
			if (word === 'resume') last = seq
			if (word !== 'change') continue
			const operation = this.#operations[seq - 1]
			const expected = operation?.value === undefined ? '-' : operation.value.slice(0, operation.value.indexOf(' '))
			if (last !== undefined && seq !== last + 1) faults.push(`the tail shows ${seq} behind ${last}`)
			// What is committed and not there any more would have been seen by nobody.
			if (operation === undefined || operation.key !== key || expected !== tag) {
				faults.push(`the tail shows ${seq} as ${key} ${tag}, not ${operation?.key} ${expected}`)
			}
			last = seq
		}
		return faults
	}
}

/** Whether the value `tag` of a key is older than `other`: run first, then number. */
export function isOlder(tag: string, other: string): boolean {
	const [run = 0, number = 0] = tag.split('.').map(Number)
	const [otherRun = 0, otherNumber = 0] = other.split('.').map(Number)
	return run === otherRun ? number < otherNumber : run < otherRun
}
