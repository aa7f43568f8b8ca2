/**
 * Judges what was seen in a history against what really was committed.
 *
 * - What was acknowledged as durable is committed, in an order that time allows, batches whole.
 * - Every reading is a state that was: one cut of the order of commits for all keys of the reading, not older than what was
 *   durable when a strong reading was called, never older than an earlier reading of the same process, and the same for all
 *   readings of a snapshot. The writer's process reads what it opened and what it accepted since.
 * - What expired, or is older than retention, may be gone, never older versions in its place. So may a value that is read piece by
 *   piece when it has been overwritten meanwhile.
 * - A tail is the commit history: from a cursor exactly what follows it; from the start one state, and what follows that.
 * - Without any of that knowledge: the keys are linearizable registers.
 */
import {
	GONE,
	type HistoryRecord,
	type Mutation,
	type Reading,
	type SeenValue,
	type TailSession,
} from './history-record.ts'
import { isLinearizable, type RegisterOperation } from './linearizability.ts'
import type { SimulationSettings } from './settings.ts'
import { latestTrustedMs } from './stage.ts'
import { lostMutations, misorderedMutations, type Truth } from './truth.ts'

/** When a state was looked at. */
interface Moment {
	readonly nowMs: readonly [from: number, to: number]
	readonly trueMs: number
	/** The last mutation that may have been committed by then. */
	readonly lastSeq: number
}

export function judgeHistory(truth: Truth, record: HistoryRecord, settings: SimulationSettings): string[] {
	const judge = new Judge(truth, record, settings)
	return [
		...record.faults,
		...truth.faults,
		...lostMutations(truth, record),
		...misorderedMutations(truth),
		...judge.readings(),
		...judge.tails(),
		...judge.registers(),
	]
}

class Judge {
	readonly #truth: Truth
	readonly #record: HistoryRecord
	readonly #retentionMs: number

	constructor(truth: Truth, record: HistoryRecord, settings: SimulationSettings) {
		this.#truth = truth
		this.#record = record
		this.#retentionMs = settings.retention?.retentionPeriodMs ?? Number.POSITIVE_INFINITY
	}

	readings(): string[] {
		const faults: string[] = []
		/** The oldest state that each reader may see, and the cuts that each snapshot may be. */
		const floors = new Map<string, number>()
		const snapshots = new Map<number, readonly number[]>()
		for (const reading of this.#record.readings) {
			const { life, readerName, snapshot, what } = reading
			const known = snapshot === undefined ? undefined : snapshots.get(snapshot)
			// A pin that another process has just made, and not read yet, may be of before what this one has seen.
			const isOlder = what === 'pin' && !reading.isStrong
			const candidates =
				known ??
				(life === undefined ? this.#cutsOf(reading, isOlder ? 0 : (floors.get(readerName) ?? 0)) : ownCuts(reading))
			const history = life === undefined ? this.#truth.mutations : ownHistory(this.#truth, reading)
			const fitting = candidates.filter(cut =>
				this.#isState(history, cut, reading.values, this.#momentOf(reading, cut)),
			)
			const [oldest] = fitting
			if (oldest === undefined) {
				faults.push(`${readerName}: ${what} is no state of ${candidates.join(' ')}: ${shown(reading.values)}`)
				continue
			}
			if (snapshot !== undefined) snapshots.set(snapshot, fitting)
			if (life === undefined && snapshot === undefined && reading.past === undefined) floors.set(readerName, oldest)
		}
		return faults
	}

	tails(): string[] {
		return this.#record.tails.flatMap(session => this.#judgeTail(session))
	}

	/** Strong readings and durable writes of each key, as those who know nothing of logs see them. */
	registers(): string[] {
		if (this.#retentionMs !== Number.POSITIVE_INFINITY) return []
		const faults: string[] = []
		const mutations = this.#record.lives.flatMap(life => life.mutations)
		const readings = this.#record.readings.filter(({ isStrong, snapshot }) => isStrong && snapshot === undefined)
		for (const key of new Set(mutations.map(mutation => mutation.key))) {
			const writes = mutations.filter(mutation => mutation.key === key)
			// Without a reading any order in which they were called will do.
			const isRead = readings.some(({ values }) => values.has(key))
			if (!isRead || writes.some(write => write.expiresAtMs !== 0)) continue
			const operations: RegisterOperation<string | undefined>[] = [
				...writes.map(({ value, calledAt, durableAt }) => ({
					kind: 'write' as const,
					value,
					calledAt,
					returnedAt: durableAt,
				})),
				...readings.flatMap(({ values, calledAt, returnedAt }) => {
					const value = values.get(key)
					if (!values.has(key) || value === GONE) return []
					return [{ kind: 'read' as const, value, calledAt, returnedAt }]
				}),
			]
			if (!isLinearizable(operations, undefined)) faults.push(`${key} is not linearizable`)
		}
		return faults
	}

	#cutsOf(
		{ isStrong, durableBeforeMs = 0, atLeast, leastSeq = 0, past, calledAt, returnedAt }: Reading,
		floor: number,
	): number[] {
		if (past !== undefined) return this.#truth.cutsOf(past, calledAt, returnedAt)
		const { mutations, cuts } = this.#truth
		const strong = isStrong ? mutations.findLastIndex(({ durableAt }) => durableAt < calledAt) + 1 : 0
		const fresh = mutations.findLastIndex(({ durableMs }) => durableMs < durableBeforeMs) + 1
		const least = Math.max(
			strong,
			fresh,
			floor,
			leastSeq,
			atLeast === undefined ? 0 : this.#truth.lastSeqBelow(atLeast),
		)
		const newest = this.#truth.lastSeqAt(returnedAt)
		return cuts.filter(cut => cut >= least && cut <= newest)
	}

	/** The past is seen as of then. */
	#momentOf({ past, nowMs, trueMs, life, accepted, returnedAt }: Reading, cut: number): Moment {
		const lastSeq = life === undefined ? this.#truth.lastSeqAt(returnedAt) : life.baseSeq + accepted[1]
		if (past === undefined) return { nowMs, trueMs, lastSeq }
		const commit = this.#truth.commits.find(({ lastSeq }) => lastSeq >= cut)
		const thenMs = past.kind === 'time' ? past.timeMs : (commit?.committedAtMs ?? 0)
		return { nowMs: [thenMs, thenMs], trueMs, lastSeq }
	}

	#isState(history: readonly Mutation[], cut: number, values: ReadonlyMap<string, SeenValue>, moment: Moment): boolean {
		for (const [key, value] of values) {
			let newest: Mutation | undefined
			for (let at = Math.min(cut, history.length) - 1; at >= 0 && newest === undefined; at--) {
				if (history[at]?.key === key) newest = history[at]
			}
			if (value === GONE) {
				// A stream outlives its objects while the value is the same: it goes on wherever that lies now.
				if (newest?.value === undefined || !newest.isApart) return false
				const isReplaced = history.slice(cut, moment.lastSeq).some(later => later.key === key)
				if (!isReplaced && !this.#mayBeDropped(newest, moment)) return false
			} else if (!this.#admits(newest, value, moment)) return false
		}
		return true
	}

	/** Whether a read may answer `value` where `newest` is the newest version. */
	#admits(newest: Mutation | undefined, value: string | undefined, moment: Moment): boolean {
		if (newest?.value === undefined) return value === undefined
		if (value !== undefined) return value === newest.value && !isSurelyExpired(newest, moment)
		return this.#mayBeDropped(newest, moment)
	}

	#mayBeDropped(newest: Mutation, moment: Moment): boolean {
		return isPerhapsExpired(newest, moment) || latestTrustedMs(moment.trueMs) - newest.writtenAtMs > this.#retentionMs
	}

	#judgeTail(session: TailSession): string[] {
		const [first] = session.changes
		if (first?.isRow !== 'perhaps') return this.#judgeSurely(session)
		const rest = session.changes.slice(1)
		const asRow = this.#judgeSurely({ ...session, changes: [{ ...first, isRow: true }, ...rest] })
		return asRow.length === 0 ? [] : this.#judgeSurely({ ...session, changes: [{ ...first, isRow: false }, ...rest] })
	}

	#judgeSurely(session: TailSession): string[] {
		const { mutations } = this.#truth
		const rows = session.changes.filter(change => change.isRow === true)
		const changes = session.changes.filter(change => change.isRow === false)
		const firstRow = rows[0]
		if (session.changes.findLastIndex(({ isRow }) => isRow === true) >= rows.length)
			return ['a tail shows rows behind changes']
		let last = session.after?.seq
		if (firstRow !== undefined) last = firstRow.seq
		// From the start, and no row: the state was empty, or all of it had expired.
		const begin = last ?? (changes[0] === undefined ? undefined : changes[0].seq - 1)
		if (begin === undefined) return []
		for (const { seq, key, value, expiresAtMs } of changes) {
			const expected = mutations[seq - 1]
			if (last !== undefined && seq !== last + 1) return [`a tail shows ${seq} behind ${last}`]
			if (key !== expected?.key || value !== expected.value || expiresAtMs !== expected.expiresAtMs) {
				return [`a tail shows another mutation ${seq}: ${key}`]
			}
			last = seq
		}
		if (session.after !== undefined && session.after.rowKey === undefined) return []
		return this.#judgeRows(session, rows, begin, changes.length > 0)
	}

	/** The rows of the state at `cut`, behind the row where the tail began. */
	#judgeRows(
		{ after, nowMs, trueMs }: TailSession,
		rows: TailSession['changes'],
		cut: number,
		isWhole: boolean,
	): string[] {
		if (after === undefined && rows.length === 0 && cut > 0 && !this.#truth.cuts.includes(cut)) {
			return [`a tail from the start begins behind ${cut}, within a commit`]
		}
		const lastKey = rows.at(-1)?.key
		const values = new Map<string, string | undefined>()
		for (const { key } of this.#truth.mutations) {
			const isBefore = after?.rowKey !== undefined && key <= after.rowKey
			const isBeyond = !isWhole && (lastKey === undefined || key > lastKey)
			if (!isBefore && !isBeyond) values.set(key, undefined)
		}
		for (const { key, value } of rows) {
			if (!values.has(key)) return [`a tail shows a row of ${key} where none can be`]
			values.set(key, value)
		}
		const isAscending = rows.every(({ key }, index) => index === 0 || (rows[index - 1]?.key ?? '') < key)
		if (!isAscending) return ['a tail shows rows out of order']
		if (this.#isState(this.#truth.mutations, cut, values, { nowMs, trueMs, lastSeq: cut })) return []
		return [`a tail from the start is not the state at ${cut}: ${shown(values)}`]
	}
}

/** Cuts of the history that a writer's process sees. */
function ownCuts({ life, accepted: [from, to] }: Reading): number[] {
	const base = life?.baseSeq ?? 0
	return Array.from({ length: to - from + 1 }, (_, more) => base + from + more)
}

function ownHistory(truth: Truth, { life }: Reading): Mutation[] {
	return [...truth.mutations.slice(0, life?.baseSeq), ...(life?.mutations ?? [])]
}

function isSurelyExpired({ expiresAtMs }: Mutation, { nowMs: [from] }: Moment): boolean {
	return expiresAtMs !== 0 && expiresAtMs <= from
}

function isPerhapsExpired({ expiresAtMs }: Mutation, { nowMs: [, to], trueMs }: Moment): boolean {
	return expiresAtMs !== 0 && (expiresAtMs <= to || expiresAtMs <= latestTrustedMs(trueMs))
}

function shown(values: ReadonlyMap<string, SeenValue>): string {
	return [...values].map(([key, value]) => `${key}=${value === GONE ? 'gone' : value?.slice(0, 12)}`).join(' ')
}
