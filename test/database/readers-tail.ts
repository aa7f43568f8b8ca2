/**
 * A tail from the start to where it is told to stop, left now and then and resumed behind the last change that was seen.
 * One that has lagged behind what is retained begins anew, and says so.
 */
import { systemClock } from '../../src/host/clock.ts'
import { type Change, type DatabaseReader, isIsleError } from '../../src/index.ts'
import type { ReadersHistory } from './readers-history.ts'
import type { Observation, SeenChange, SeenRow } from './readers-observation.ts'

const BATCHES_PER_TAIL = 25
/** Of a cursor, behind the digit of the version: of a change its own number, of a row that of the state. Then 0 for a row. */
const NUMBER_DIGITS = [1, 15] as const

export class ReadersTail {
	readonly #reader: DatabaseReader
	readonly #history: ReadersHistory
	readonly #emit: (seen: Observation) => void
	readonly #stop = new AbortController()
	readonly #waiting = new Set<{ readonly seq: number; readonly resolve: () => void }>()
	#cursor: string | undefined
	#rows: SeenRow[] | undefined
	#beganMs = 0
	#seq = -1

	constructor(reader: DatabaseReader, history: ReadersHistory, emit: (seen: Observation) => void) {
		this.#reader = reader
		this.#history = history
		this.#emit = emit
	}

	/** Resolves after `stop`. Rejects with what ended the tail, which was told too. */
	async run(): Promise<void> {
		while (!this.#stop.signal.aborted) {
			try {
				await this.#follow()
			} catch (error) {
				if (this.#stop.signal.aborted) break
				const code = isIsleError(error) ? error.code : 'untyped'
				this.#emit({ kind: 'error', call: 'tail', code, message: String(error) })
				if (code !== 'ISLE_EXPIRED') throw error
				this.#cursor = undefined
			}
		}
		this.#endRows(this.#seq)
	}

	/** Resolves when everything up to `seq` was seen. */
	reaches(seq: number): Promise<void> {
		return new Promise(resolve => {
			if (this.#seq >= seq) resolve()
			else this.#waiting.add({ seq, resolve })
		})
	}

	stop(): void {
		this.#stop.abort()
	}

	async #follow(): Promise<void> {
		const { signal } = this.#stop
		if (this.#cursor === undefined) {
			this.#rows = []
			this.#beganMs = systemClock.nowMs()
		}
		let batches = 0
		for await (const changes of this.#reader.changes({ from: this.#cursor ?? 'start', pollIntervalMs: 40, signal })) {
			this.#take(changes)
			if (++batches === BATCHES_PER_TAIL) break
		}
	}

	#take(changes: readonly Change<string, string>[]): void {
		const seen: SeenChange[] = []
		for (const change of changes) {
			this.#cursor = change.cursor
			if (this.#isRow(change)) this.#takeRow(change)
			else {
				this.#endRows(change.seq - 1)
				seen.push([change.seq, change.key, change.kind, this.#writerOf(change), change.expiresAtMs])
				this.#seq = change.seq
			}
		}
		if (seen.length > 0) this.#emit({ kind: 'changes', changes: seen })
		for (const waiting of this.#waiting) {
			if (waiting.seq > this.#seq) continue
			this.#waiting.delete(waiting)
			waiting.resolve()
		}
	}

	/** The last row of a state has the cursor of its end, which is that of a change; its own number tells. */
	#isRow({ cursor, seq }: Change<string, string>): boolean {
		if (cursor[NUMBER_DIGITS[1]] === '0') return true
		const stateSeq = Number.parseInt(cursor.slice(...NUMBER_DIGITS), 16)
		return seq < stateSeq || (this.#rows !== undefined && this.#rows.length > 0 && seq <= this.#seq)
	}

	#takeRow(change: Change<string, string>): void {
		this.#rows?.push([change.key, this.#writerOf(change)])
		this.#seq = Number.parseInt(change.cursor.slice(...NUMBER_DIGITS), 16)
	}

	/** A state without rows is that before the first change. */
	#endRows(beforeSeq: number): void {
		if (this.#rows === undefined) return
		const stateSeq = this.#rows.length > 0 ? this.#seq : beforeSeq
		const times = { fromMs: this.#beganMs, toMs: systemClock.nowMs(), fromSeq: stateSeq, toSeq: stateSeq }
		this.#emit({ kind: 'tail rows', stateSeq, rows: this.#rows, ...times })
		this.#rows = undefined
	}

	#writerOf(change: Change<string, string>): number {
		return change.kind === 'delete' ? 0 : this.#history.writerOf(change.key, change.value ?? '')
	}
}
