/** A tail of the simulation: follows the changes for a while, is left, and goes on later behind any change that it has seen. */

import { isIsleError } from '../../src/errors.ts'
import type { Change, DatabaseReader } from '../../src/index.ts'
import { decodeCursor } from '../../src/tail/cursor.ts'
import type { SeenChange, TailSession } from './history-record.ts'
import { judgeBatch, judgeKeptCommits } from './memory-budgets.ts'
import type { PlannedOperation } from './operations.ts'
import { openSimulatedReader } from './reader-client.ts'
import type { HistoryKind } from './settings.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Client, Stage } from './stage.ts'

interface Place {
	readonly cursor: string
	readonly seq: number
	readonly rowKey: string | undefined
}

/** A state without rows shows nothing: nobody can tell when a tail from the start has read it. */
const START_WAIT_MS: Readonly<Record<HistoryKind, number>> = { short: 20_000, long: 60_000 }
const POLL_INTERVAL_MS = 1000
const LEFT_SHARE = 0.5

export class TailClient implements Client {
	readonly #stage: Stage
	readonly #name: string
	#process: SimulatedProcess | undefined
	/** Where the session under way began. */
	#after: Place | undefined
	#reader: DatabaseReader | undefined
	/** The reader is open: from then on nothing that passes may end the tail. */
	#isUnderWay = false
	/** Where it may begin again; the last one is where it was left. */
	readonly #places: Place[] = []
	/** Where consumption goes on. */
	#saved: Place | undefined

	constructor(stage: Stage, slot: number) {
		this.#stage = stage
		this.#name = `tail${slot}`
	}

	async run({ operation }: PlannedOperation): Promise<void> {
		if (operation.kind === 'wait') return await this.#stage.world.sleep(operation.ms)
		if (operation.kind === 'kill') {
			this.#process?.kill()
			this.#reader = undefined
			return
		}
		if (operation.kind !== 'follow' && operation.kind !== 'consume') throw new Error(`a tail cannot ${operation.kind}`)
		this.#isUnderWay = false
		try {
			if (operation.kind === 'follow') await this.#follow(operation.choice)
			else await this.#consume(operation.count, operation.concurrency)
		} catch (error) {
			this.#expired(error)
		}
	}

	async close(): Promise<void> {
		const [process, reader] = [this.#process, this.#reader]
		this.#reader = undefined
		if (process === undefined || reader === undefined) return
		await process.whileAlive(reader.close()).catch((error: unknown) => this.#stage.met(this.#name, error, []))
	}

	async #follow(choice: number): Promise<void> {
		const { world, settings, durableSeq: target } = this.#stage
		const after = this.#begin(choice, target)
		if (target <= (after?.seq ?? 0)) return
		this.#after = after
		const opened = await this.#open()
		if (opened === undefined) return
		this.#isUnderWay = true
		const { process, reader } = opened
		const times = process.watchClock()
		const changes = reader.changes({ from: after?.cursor ?? 'start', pollIntervalMs: POLL_INTERVAL_MS })
		const seen: (SeenChange & Place)[] = []
		const iterator = changes[Symbol.asyncIterator]()
		let last = 0
		try {
			while (last < target) {
				const next = process.whileAlive(iterator.next())
				const isOpen = after === undefined || after.rowKey !== undefined || last === 0
				const batch = await (after !== undefined && isOpen && after.rowKey === undefined
					? next
					: Promise.race([next, world.sleep(START_WAIT_MS[settings.kind])]))
				if (batch === DEAD || batch === undefined) break
				if (batch.done === true) throw new Error('a tail has ended by itself')
				judgeBatch(this.#stage, this.#name, batch.value, reader)
				for (const change of batch.value) seen.push(seenChange(change, stateOf(after, seen)))
				last = seen.at(-1)?.seq ?? last
			}
		} finally {
			this.#keep(after, seen, times())
			if (!process.isDead) await process.whileAlive(iterator.return?.() ?? Promise.resolve())
		}
		this.#remember(seen)
	}

	/** As many changes as wanted, or until nothing more comes; several handlers run at a time. */
	async #consume(count: number, concurrency: number): Promise<void> {
		const { world, settings, durableSeq } = this.#stage
		const after = this.#saved
		this.#after = after
		if (durableSeq <= (after?.seq ?? 0)) return
		const opened = await this.#open()
		if (opened === undefined) return
		this.#isUnderWay = true
		const { process, reader } = opened
		const times = process.watchClock()
		const seen: (SeenChange & Place)[] = []
		const handled = new Set<string>()
		let running = 0
		let wake: () => void = () => undefined
		const isEnough = new Promise<void>(resolve => {
			wake = resolve
		})
		const consumption = reader.consume({
			pollIntervalMs: POLL_INTERVAL_MS,
			concurrency,
			saveEveryCount: 2,
			handler: async change => {
				if (++running > concurrency)
					this.#stage.fault(`${this.#name}: ${running} handlers run where ${concurrency} may`)
				const place = seenChange(change, stateOf(after, seen))
				seen.push(place)
				await world.turn(process)
				running--
				handled.add(place.cursor)
				if (handled.size >= count || place.seq >= durableSeq) wake()
			},
			checkpoint: {
				load: async () => after?.cursor,
				save: async cursor => {
					await world.turn(process)
					this.#saveAt(cursor, seen, handled)
				},
			},
		})
		try {
			await process.whileAlive(
				Promise.race([isEnough, consumption.finished, world.sleep(START_WAIT_MS[settings.kind])]),
			)
			judgeKeptCommits(this.#stage, this.#name, reader)
			await process.whileAlive(consumption.stop())
		} finally {
			this.#keep(after, seen, times())
		}
		this.#remember(seen)
	}

	/** Nothing may be saved that was not handled, with all before it. Rows that have expired are behind it, and never seen. */
	#saveAt(cursor: string, seen: readonly (SeenChange & Place)[], handled: ReadonlySet<string>): void {
		const index = seen.findIndex(place => place.cursor === cursor)
		const { seq } = decodeCursor(cursor)
		const before = index < 0 ? seen.filter(place => place.seq <= seq) : seen.slice(0, index + 1)
		const isBeyond = index < 0 && before.at(-1)?.isRow === false && seq > (before.at(-1)?.seq ?? seq)
		if (isBeyond || !before.every(other => handled.has(other.cursor))) {
			const shown = before.map(
				place => `${place.seq}${place.isRow === true ? 'r' : ''}${handled.has(place.cursor) ? '' : '?'}`,
			)
			this.#stage.fault(`${this.#name} is told to save ${seq} before all up to it is handled: ${shown.join(' ')}`)
		}
		this.#saved = seen[index] ?? { cursor, seq, rowKey: undefined }
	}

	async #open(): Promise<{ readonly process: SimulatedProcess; readonly reader: DatabaseReader } | undefined> {
		if (this.#reader === undefined || this.#process === undefined || this.#process.isDead) {
			this.#process = this.#stage.start(this.#name)
			this.#reader = undefined
			const opened = await this.#process.whileAlive(openSimulatedReader(this.#stage, this.#process))
			if (opened === DEAD) return undefined
			this.#reader = opened
		}
		return { process: this.#process, reader: this.#reader }
	}

	#remember(seen: readonly (SeenChange & Place)[]): void {
		this.#places.push(...seen.map(({ cursor, seq, rowKey }) => ({ cursor, seq, rowKey })))
		const { cursors, world } = this.#stage
		for (const { cursor, seq, isRow } of seen) if (isRow === false) cursors.push({ cursor, seq, seenMs: world.nowMs })
	}

	/** Most often where it was left; or anywhere that it has ever been, or at the start, so that there is something to see. */
	#begin(choice: number, target: number): Place | undefined {
		const last = this.#places.at(-1)
		if (choice < LEFT_SHARE && (last === undefined || last.seq < target)) return last
		const earlier = this.#places.filter(place => place.seq < target)
		return earlier[Math.floor(choice * (earlier.length + 1))]
	}

	#keep(after: TailSession['after'], changes: readonly SeenChange[], nowMs: TailSession['nowMs']): void {
		this.#stage.trace(() => `${this.#name} ${after?.seq} → ${changes.map(change => change.seq).join(' ')}`)
		this.#stage.record.tails.push({ after, changes, nowMs, trueMs: this.#stage.world.nowMs })
	}

	/** What follows its cursor is not retained any more: it goes on at the earliest that is. */
	#expired(error: unknown): void {
		const place = this.#after
		if (!isIsleError(error, 'ISLE_EXPIRED')) {
			const isTransient = isIsleError(error, 'ISLE_UNAVAILABLE')
			if (this.#isUnderWay && isTransient) this.#stage.fault(`${this.#name}: ended by what passes: ${error.message}`)
			else this.#stage.met(this.#name, error, [])
			return
		}
		this.#places.length = 0
		this.#saved = undefined
		const earliest = error.details['earliest']
		if (typeof earliest === 'string') {
			const { seq } = decodeCursor(earliest)
			// The earliest may be the very commit of which its cursor has seen a part.
			if (place !== undefined && seq < place.seq && place.rowKey === undefined) {
				this.#stage.fault(`${this.#name}: behind ${place.seq} changes are said to be gone, which begin behind ${seq}`)
			}
			this.#places.push({ cursor: earliest, seq, rowKey: undefined })
		} else if (place !== undefined && place.rowKey === undefined) {
			this.#stage.fault(`${this.#name}: expired, and nothing is said of what is left`)
		}
	}
}

/** The sequence number of the state whose rows are shown; 'unknown' before the first of a tail from the start. */
function stateOf(after: Place | undefined, seen: readonly SeenChange[]): number | 'unknown' | undefined {
	const last = seen.at(-1)
	if (last !== undefined) return last.isRow === true ? last.seq : undefined
	return after === undefined ? 'unknown' : after.rowKey === undefined ? undefined : after.seq
}

function seenChange(change: Change<string, string>, state: number | 'unknown' | undefined): SeenChange & Place {
	const { key, cursor, expiresAtMs, value } = change
	const place = decodeCursor(cursor)
	// A row has the number of the mutation that made it; what counts is that of the state, which is in its cursor.
	const isLastRow = state === place.seq || (state !== undefined && change.seq < place.seq)
	const isRow = place.kind === 'row' || isLastRow || (state === 'unknown' && 'perhaps')
	return { key, seq: place.seq, value, expiresAtMs, cursor, isRow, rowKey: place.kind === 'row' ? key : undefined }
}
