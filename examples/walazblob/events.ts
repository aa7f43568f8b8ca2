/**
 * The events of the example, and the diary of their consumer: a file to which it adds a line for each event that it has
 * handled and for each cursor that it has saved. What it wrote there survives its own death, as the effects of a real
 * handler (mails sent, rows inserted) would.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const DIRECTORY: string = join(import.meta.dirname, '../../data/walazblob')
export const DIARY: string = join(DIRECTORY, 'consumer.diary')
export const CURSOR_FILE: string = join(DIRECTORY, 'consumer.cursor')
export const CONTAINER = 'events'
/** Credentials stay out of it: they are in AZURE_STORAGE_CONNECTION_STRING. */
export const URL_OF_STREAM: string = `azblob://${CONTAINER}/orders`

export const eventKey = (number: number): string => `event/${String(number).padStart(8, '0')}`
export const numberOf = (key: string): number => Number(key.slice('event/'.length))

export interface DiaryRun {
	/** What was saved when this consumer started: it may begin behind it, and no earlier. */
	readonly savedBefore: number
	/** The last event that was handled when it started: it may not begin later than behind it. */
	readonly handledBefore: number
	/** The numbers of the events that it handled, in order. */
	readonly handled: readonly number[]
}

/** The diary, by lives of the consumer. A line that a death cut short stands for nothing. */
export function readDiary(): DiaryRun[] {
	const runs: { savedBefore: number; handledBefore: number; handled: number[] }[] = []
	let saved = -1
	let last = -1
	for (const line of readFileSync(DIARY, 'utf8').split('\n').slice(0, -1)) {
		const [what, number] = line.split(' ')
		if (what === 'started') runs.push({ savedBefore: saved, handledBefore: last, handled: [] })
		if (what === 'saved') saved = Number(number)
		if (what !== 'handled') continue
		last = Math.max(last, Number(number))
		runs.at(-1)?.handled.push(Number(number))
	}
	return runs
}

/**
 * Throws unless every event from 0 to `count` − 1 was handled at least once, each life of the consumer in order and
 * without a gap, beginning no earlier than behind what was saved. Answers how many were handled again.
 */
export function checkDiary(runs: readonly DiaryRun[], count: number): number {
	let repeats = 0
	let last = -1
	for (const [life, { savedBefore, handledBefore, handled }] of runs.entries()) {
		for (const [index, number] of handled.entries()) {
			const previous = handled[index - 1]
			if (previous !== undefined && number !== previous + 1) {
				throw new Error(`life ${life}: event ${number} came after ${previous}`)
			}
			if (previous === undefined && number > handledBefore + 1) {
				throw new Error(`life ${life}: began with event ${number}, but only ${handledBefore} had been handled`)
			}
			if (previous === undefined && number <= savedBefore) {
				throw new Error(`life ${life}: began with event ${number}, but ${savedBefore} had been saved`)
			}
			if (number <= last) repeats++
			last = Math.max(last, number)
		}
	}
	if (last !== count - 1) throw new Error(`the last event handled is ${last} of ${count}`)
	return repeats
}
