/**
 * Judges what readers saw against what the writer did.
 *
 * - Each call gave the state at one number, the same for all of its rows, between what the reader's view was before and after;
 *   no batch in two; a scan its whole range, in order, up to its limit.
 * - That state is not older than what the caller asked for: everything up to a position, or all that had been acknowledged
 *   some time before the call.
 * - A snapshot is the state at its number, the same each time it is read.
 * - A tail is the state that it begins with, then every operation once and in order.
 *
 * Entries that expire may or may not be there around that time; before it they are, and after it they are not.
 */
import type { HistoryOperation, ReadersHistory } from './readers-history.ts'
import type {
	Observation,
	SeenChange,
	SeenRange,
	SeenRead,
	SeenRow,
	SeenSnapshot,
	WriterNote,
} from './readers-observation.ts'

export interface Verdict {
	readonly faults: readonly string[]
	/** Rows and answers that were compared, by kind of observation and call. */
	readonly judged: Readonly<Record<string, number>>
	/** Typed errors that may happen. */
	readonly expired: number
}

/** What may have been read. */
interface Times {
	readonly fromMs: number
	readonly toMs: number
}

export class ReadersJudge {
	readonly #history: ReadersHistory
	readonly #lastSeq: number
	readonly #flushed: { readonly seq: number; readonly atMs: number }[] = []
	/** When entries expire: not before the first, not after the second. */
	readonly #expiry = new Map<number, readonly [earliestMs: number, latestMs: number]>()
	/** Ascending in number. */
	readonly #versions = new Map<string, HistoryOperation[]>()
	readonly #keys: readonly string[]

	constructor(history: ReadersHistory, notes: readonly WriterNote[]) {
		this.#history = history
		for (const note of notes) {
			if (note.kind === 'flushed') this.#flushed.push(note)
			else {
				const { ttlMs } = history.operation(note.seq)
				this.#expiry.set(note.seq, [note.fromMs + ttlMs, note.toMs + ttlMs])
			}
		}
		this.#lastSeq = this.#flushed.at(-1)?.seq ?? 0
		for (let seq = 1; seq <= this.#lastSeq; seq++) {
			const operation = history.operation(seq)
			const versions = this.#versions.get(operation.key)
			if (versions === undefined) this.#versions.set(operation.key, [operation])
			else versions.push(operation)
		}
		this.#keys = [...this.#versions.keys()].sort()
	}

	judge(observations: readonly Observation[]): Verdict {
		const faults: string[] = []
		const judged: Record<string, number> = {}
		let expired = 0
		/** Behind which number the tail goes on. */
		let tailSeq: number | undefined
		const count = (what: string, more: number): void => {
			judged[what] = (judged[what] ?? 0) + more
		}
		for (const seen of observations) {
			switch (seen.kind) {
				case 'read':
					faults.push(...this.#judgeRead(seen))
					count(seen.call, 1)
					break
				case 'snapshot':
					faults.push(...this.#judgeSnapshot(seen))
					count('snapshot', seen.calls.length)
					break
				case 'tail rows': {
					const { stateSeq, rows } = seen
					if (!this.#showsRange(stateSeq, {}, rows, seen)) faults.push(`tail: not the state at ${stateSeq} first`)
					tailSeq = stateSeq
					count('tail rows', rows.length)
					break
				}
				case 'changes':
					for (const change of seen.changes) {
						faults.push(...this.#judgeChange(change, tailSeq))
						tailSeq = change[0]
					}
					count('changes', seen.changes.length)
					break
				case 'error':
					if (seen.code === 'ISLE_EXPIRED') expired++
					else faults.push(`${seen.call}: ${seen.code} ${seen.message}`)
			}
		}
		if (tailSeq !== this.#lastSeq) faults.push(`tail: ended at ${tailSeq} instead of ${this.#lastSeq}`)
		return { faults, judged, expired }
	}

	#judgeRead(read: SeenRead): string[] {
		const { call, rows, fromSeq, toSeq, atLeastSeq } = read
		if (rows.some(([, writtenBy]) => writtenBy < 0)) return [`${call}: a value that nobody wrote`]
		const mustSeq = Math.max(atLeastSeq, this.#acknowledgedBefore(read.fromMs, read.maxStalenessMs))
		if (toSeq < mustSeq) return [`${call}: stale, at ${toSeq}, and ${mustSeq} had been committed`]
		for (let seq = toSeq; seq >= Math.max(fromSeq, mustSeq); seq--) {
			if (this.#history.isCut(seq) && this.#shows(seq, read, rows, read)) return []
		}
		const what = read.keys?.join() ?? JSON.stringify(read.range)
		const differences = this.#differences(toSeq, read)
		return [
			`${call}: of no state from ${Math.max(fromSeq, mustSeq)} to ${toSeq}: ${what} differs in ${differences.join('; ')}`,
		]
	}

	/** In which rows it is not the state at `seq`, for whoever looks for the reason. */
	#differences(seq: number, read: SeenRead): string[] {
		const { fromMs, toMs } = read
		const seen = new Map(read.rows)
		const keys = read.keys ?? this.#keys.filter(key => isInside(key, read.range ?? {}))
		return [...new Set([...keys, ...seen.keys()])].flatMap(key => {
			const { operation, visible } = this.#putAt(seq, key, read)
			const writtenBy = seen.get(key) ?? 0
			if (writtenBy === (operation?.seq ?? 0) ? visible !== 'no' : writtenBy === 0 && visible !== 'yes') return []
			const expiry = this.#expiry.get(operation?.seq ?? 0)?.join(' to ') ?? 'never'
			const times = `expires ${expiry}, read ${fromMs} to ${toMs}`
			return [`${key}: ${writtenBy} instead of ${operation?.seq ?? 0} (${visible}, ${times})`]
		})
	}

	#judgeSnapshot({ lastSeq, fromSeq, toSeq, calls, ...times }: SeenSnapshot): string[] {
		if (lastSeq < fromSeq || lastSeq > toSeq || !this.#history.isCut(lastSeq)) {
			return [`snapshot: at ${lastSeq}, from a view between ${fromSeq} and ${toSeq}`]
		}
		return calls.flatMap(call => {
			const [first = []] = call.times
			if (!this.#shows(lastSeq, call, first, times)) return [`snapshot: not the state at ${lastSeq}`]
			const text = JSON.stringify(first)
			return call.times.every(rows => JSON.stringify(rows) === text) ? [] : [`snapshot at ${lastSeq}: does not repeat`]
		})
	}

	#judgeChange([seq, key, kind, writtenBy, expiresAtMs]: SeenChange, afterSeq: number | undefined): string[] {
		if (afterSeq === undefined || seq !== afterSeq + 1) return [`tail: ${seq} behind ${afterSeq}`]
		const operation = this.#history.operation(seq)
		const [earliestMs, latestMs] = this.#expiry.get(seq) ?? [0, 0]
		const isRight =
			key === operation.key &&
			kind === operation.kind &&
			writtenBy === (kind === 'put' ? seq : 0) &&
			expiresAtMs >= earliestMs &&
			expiresAtMs <= latestMs
		return isRight ? [] : [`tail: ${seq} is ${kind} ${key} of ${writtenBy}, expiring at ${expiresAtMs}`]
	}

	/** What was acknowledged so long before the call that the call must see it. */
	#acknowledgedBefore(callMs: number, maxStalenessMs: number | undefined): number {
		if (maxStalenessMs === undefined) return 0
		return this.#flushed.findLast(({ atMs }) => atMs < callMs - maxStalenessMs)?.seq ?? 0
	}

	#shows(
		seq: number,
		of: { readonly keys?: readonly string[] | undefined; readonly range?: SeenRange | undefined },
		rows: readonly SeenRow[],
		times: Times,
	): boolean {
		if (of.keys === undefined) return this.#showsRange(seq, of.range ?? {}, rows, times)
		return (
			rows.length === of.keys.length &&
			of.keys.every((key, i) => {
				const [seenKey, writtenBy] = rows[i] as SeenRow
				if (seenKey !== key) return false
				const put = this.#putAt(seq, key, times)
				return writtenBy === (put.operation?.seq ?? 0) ? put.visible !== 'no' : writtenBy === 0 && put.visible !== 'yes'
			})
		)
	}

	#showsRange(seq: number, range: SeenRange, rows: readonly SeenRow[], times: Times): boolean {
		const { reverse, limit = Number.POSITIVE_INFINITY } = range
		const keys = this.#keys.filter(key => isInside(key, range))
		if (reverse) keys.reverse()
		let next = 0
		for (const key of keys) {
			if (next === limit) break
			const { operation, visible } = this.#putAt(seq, key, times)
			if (operation === undefined || visible === 'no') continue
			const [seenKey, writtenBy] = rows[next] ?? []
			if (seenKey === key && writtenBy === operation.seq) next++
			else if (visible === 'yes') return false
		}
		return next === rows.length
	}

	/** The put that stands under `key` in the state at `seq`, and whether it has expired. */
	#putAt(
		seq: number,
		key: string,
		{ fromMs, toMs }: Times,
	): { readonly operation: HistoryOperation | undefined; readonly visible: 'yes' | 'maybe' | 'no' } {
		const operation = newestAt(this.#versions.get(key) ?? [], seq)
		if (operation === undefined || operation.kind === 'delete') return { operation: undefined, visible: 'yes' }
		const [earliestMs, latestMs] = this.#expiry.get(operation.seq) ?? [Infinity, Infinity]
		const visible = toMs < earliestMs ? 'yes' : fromMs > latestMs ? 'no' : 'maybe'
		return { operation, visible }
	}
}

function isInside(key: string, { gte = '', lt }: SeenRange): boolean {
	return key >= gte && (lt === undefined || key < lt)
}

/** The last of `versions` that is not behind `seq`. */
function newestAt(versions: readonly HistoryOperation[], seq: number): HistoryOperation | undefined {
	let [low, high] = [0, versions.length]
	while (low < high) {
		const middle = (low + high) >>> 1
		if ((versions[middle]?.seq ?? Infinity) <= seq) low = middle + 1
		else high = middle
	}
	return versions[low - 1]
}
