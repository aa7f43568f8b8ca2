/**
 * A writer, a maintainer and a reader, each a process of its own, on one store, to be killed and started again; what they print is judged
 * in the end (three-processes.ts), and the store is audited when all that is left to do is done.
 */
import { join } from 'node:path'
import type { Random } from '../../src/host/random.ts'
import { openCompactor, openReader, openStore, openWriter } from '../../src/index.ts'
import { type Program, startProgram } from '../support/process.ts'
import { auditStore } from '../support/store-audit.ts'
import { CommittedOperations, readWriterLog, type WriterRun } from './three-processes.ts'

const fixture = (name: string): string => join(import.meta.dirname, `fixtures/${name}.ts`)
/** Rounds of maintenance after which nothing may be left over. */
const ROUNDS_TO_REST = 6

export type Role = 'writer' | 'compactor' | 'reader'
export const ROLES: readonly Role[] = ['writer', 'compactor', 'reader']

export class KillStage {
	readonly #url: string
	readonly #seed: number
	readonly runs: WriterRun[] = []
	/** Of all readers, one after another. */
	readonly tail: string[] = []
	readonly faults: string[] = []
	readonly counts = { deaths: 0, works: 0, deleted: 0, expired: 0, reads: 0, takeovers: 0 }
	readonly #programs: Partial<Record<Role, Program>> = {}
	#runs = 0

	/** `url`: as the processes see the store. */
	constructor(url: string, seed: number) {
		this.#url = url
		this.#seed = seed
	}

	start(role: Role, mode?: string): void {
		const last = this.tail.findLast(line => line.startsWith('cursor\t'))?.split('\t')
		if (role === 'writer') this.#runs++
		const words = {
			writer: ['killed-writer', String(this.#seed), String(this.#runs - 1)],
			compactor: ['killed-compactor'],
			reader: ['killed-reader', last?.[1] ?? 'now', last?.[2] ?? '0'],
		}[role]
		const [name = '', ...rest] = words
		this.#programs[role] = startProgram(fixture(name), [this.#url, ...rest, ...(mode === undefined ? [] : [mode])])
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

export async function rowsAt(url: string): Promise<{ readonly lastSeq: number; readonly rows: Map<string, string> }> {
	await using reader = await openReader(url, { refreshIntervalMs: 0 })
	const rows = new Map<string, string>()
	for await (const [key, value] of reader.entries()) rows.set(key, value)
	return { lastSeq: reader.stats().lastSeq, rows }
}

/** Lets a maintainer without patience do all that is left, and answers what should not be there, or should. */
async function auditAtRest(url: string): Promise<{ readonly left: readonly string[]; readonly deleted: number }> {
	const store = await openStore(url)
	try {
		// What the last writer was uploading when it died may be its own still: the next one ends its epoch.
		await (await openWriter(url)).close()
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

export function someLines(role: Role, random: Random): number {
	// Now and then before it has opened.
	if (random.next() < 0.1) return 0
	return 1 + Math.floor(random.next() ** 2 * { writer: 300, compactor: 80, reader: 400 }[role])
}

/** What the processes did, judged by the store as it is now. */
export async function judgeStage(stage: KillStage, seed: number, url: string): Promise<StageVerdict> {
	const { lastSeq, rows } = await rowsAt(url)
	const committed = new CommittedOperations(seed, stage.runs, lastSeq)
	const seen = [...committed.judgeRows(rows), ...committed.judgeTail(stage.tail)]
	const { left, deleted } = await auditAtRest(url)
	const after = committed.judgeRows((await rowsAt(url)).rows)
	return {
		operations: lastSeq,
		tailed: stage.tail.filter(line => line.startsWith('change')).length,
		faults: [...stage.faults, ...committed.faults, ...seen, ...after, ...left],
		deleted: stage.counts.deleted + deleted,
	}
}

export interface StageVerdict {
	readonly operations: number
	readonly tailed: number
	/** Everything that is wrong, and what was left over. */
	readonly faults: readonly string[]
	readonly deleted: number
}
