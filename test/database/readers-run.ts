/**
 * A writer and its readers, each in a process of its own, kept in step by counts: the writer begins a round when every reader
 * has dealt with the round before the last one. It ends after so many rounds as are asked for, once maintenance has merged and
 * deleted as much as is asked for; after `roundsMax` in any case. In the rounds that only wait for maintenance the writer is not
 * opened again: a session on a machine that is quick, or one whose maintainer gets little of a busy processor, may be too short.
 */
import { join } from 'node:path'
import { type Program, startProgram } from '../support/process.ts'
import type { ReadersReaderSettings } from './fixtures/readers-reader.ts'
import type { ReadersWriterSettings } from './fixtures/readers-writer.ts'
import { ReadersHistory } from './readers-history.ts'
import { ReadersJudge, type Verdict } from './readers-judge.ts'
import type { Observation, WriterNote } from './readers-observation.ts'

export interface ReadersPlan {
	readonly url: string
	readonly seed: number
	readonly readers: number
	/** At least, and at most. */
	readonly rounds: number
	readonly roundsMax: number
	/** It goes on until maintenance has done so much. */
	readonly deletedMin: number
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	readonly cacheDir: string
	readonly readsPerRound: number
	/** This reader lies. */
	readonly stale?: number | undefined
}

export interface ReadersResult {
	readonly notes: readonly WriterNote[]
	readonly observations: readonly (readonly Observation[])[]
	readonly verdicts: readonly Verdict[]
	/** What each said on standard error, if anything, and how it ended if not well. */
	readonly complaints: readonly string[]
	readonly rounds: number
	readonly works: number
	readonly deleted: number
	/** What each reader said of itself. */
	readonly stats: readonly { readonly disk?: { readonly hits: number }; readonly requests: number }[]
}

const WRITER = join(import.meta.dirname, 'fixtures/readers-writer.ts')
const READER = join(import.meta.dirname, 'fixtures/readers-reader.ts')
/** Another session of the writer, each time: in good order, and by fencing the one before. */
const REOPEN_EVERY = 11
const TAKEOVER_EVERY = 17

export async function runReaders(plan: ReadersPlan): Promise<ReadersResult> {
	const { url, seed, gracePeriodMs, changeRetentionMs } = plan
	const settings: ReadersWriterSettings = { seed, gracePeriodMs, changeRetentionMs }
	await using writer = startProgram(WRITER, [url, JSON.stringify(settings)])
	await using stack = new AsyncDisposableStack()
	const readers: Program[] = []
	const startReaders = async (count: number): Promise<void> => {
		const started = Array.from({ length: count }, (_, i) =>
			stack.use(startProgram(READER, [url, JSON.stringify(readerSettings(plan, readers.length + i))])),
		)
		readers.push(...started)
		await Promise.all(started.map(reader => reader.line('opened')))
	}
	await Promise.all([writer.line('opened'), startReaders(Math.ceil(plan.readers / 2))])
	// The others come when there is something already.
	const lateRound = Math.floor(plan.rounds / 4)
	let [round, works, deleted] = [0, 0, 0]
	for (; round < plan.roundsMax; round++) {
		if (round === lateRound) await startReaders(Math.floor(plan.readers / 2))
		if (round < plan.rounds && round % REOPEN_EVERY === REOPEN_EVERY - 1) writer.tell('reopen')
		if (round < plan.rounds && round % TAKEOVER_EVERY === TAKEOVER_EVERY - 1) writer.tell('takeover')
		writer.tell(`round ${round}`)
		const words = (await writer.line(`round ${round} `)).split(' ')
		works = Number(words[3])
		deleted = Number(words[5])
		const last = lastFlush(writer)
		for (const reader of readers) reader.tell(`round ${round} ${last?.position} ${last?.seq}`)
		const behind = round - 1
		if (behind >= (round >= lateRound ? lateRound : 0)) {
			await Promise.all(readers.map(reader => reader.line(`did ${behind}`)))
		}
		if (round + 1 >= plan.rounds && deleted >= plan.deletedMin) break
	}
	for (const reader of readers) reader.tell(`end ${lastFlush(writer)?.seq}`)
	const readerEnds = await Promise.all(readers.map(reader => reader.ended))
	writer.tell('close')
	const ends = [await writer.ended, ...readerEnds]
	const notes = notesOf(writer)
	const judge = new ReadersJudge(new ReadersHistory(seed), notes)
	const observations = readers.map(reader => jsonLines<Observation>(reader, 'seen '))
	return {
		notes,
		observations,
		verdicts: observations.map(seen => judge.judge(seen)),
		complaints: ends.flatMap(({ code, signal, stderr }, i) =>
			code === 0 && stderr === '' ? [] : [`${i === 0 ? 'writer' : `reader ${i - 1}`}: ${signal ?? code} ${stderr}`],
		),
		rounds: round + 1,
		works,
		deleted,
		stats: readers.flatMap(reader => jsonLines<ReadersResult['stats'][number]>(reader, 'stats ')),
	}
}

/** They differ in what they keep in memory, and whether on disk; those who do share one directory. */
function readerSettings(plan: ReadersPlan, index: number): ReadersReaderSettings {
	return {
		seed: plan.seed,
		index,
		gracePeriodMs: plan.gracePeriodMs,
		cacheDir: index % 4 === 3 ? undefined : plan.cacheDir,
		blockCacheBytes: [0, 65_536, 67_108_864][index % 3] ?? 0,
		refreshIntervalMs: 30 + 10 * index,
		readsPerRound: plan.readsPerRound,
		isStale: index === plan.stale,
	}
}

function lastFlush(writer: Program): Extract<WriterNote, { kind: 'flushed' }> | undefined {
	const line = writer.lines.findLast(each => each.startsWith('note {"kind":"flushed"'))
	return line === undefined ? undefined : JSON.parse(line.slice('note '.length))
}

function notesOf(writer: Program): WriterNote[] {
	return jsonLines<WriterNote>(writer, 'note ')
}

function jsonLines<Line>(program: Program, start: string): Line[] {
	return program.lines.filter(line => line.startsWith(start)).map((line): Line => JSON.parse(line.slice(start.length)))
}
