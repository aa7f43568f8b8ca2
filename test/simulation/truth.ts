/**
 * What really was committed: the records that were created first in each slot of the writer log, whatever was deleted later. Which
 * mutations stand in a commit follows from who owned its epoch and from its sequence numbers, not from the bytes of its tables.
 */
import { comparePositions, type LogPosition } from '../../src/log/log-position.ts'
import type { HistoryRecord, Mutation, PastState, WriterLife } from './history-record.ts'
import type { VirtualObjects } from './virtual-objects.ts'

export interface TrueCommit {
	readonly position: LogPosition
	readonly firstSeq: number
	readonly lastSeq: number
	/** By its writer's clock. */
	readonly committedAtMs: number
	/** When its record was created. */
	readonly stamp: number
}

export class Truth {
	/** By sequence number, from 1 on. */
	readonly mutations: Mutation[] = []
	readonly commits: TrueCommit[] = []
	readonly faults: string[] = []
	#newestMs = 0

	constructor(objects: VirtualObjects, lives: readonly WriterLife[]) {
		const byEpoch = new Map(lives.map(life => [life.epoch, life]))
		for (const commit of readLog(objects)) {
			this.commits.push(commit)
			this.#take(commit, byEpoch.get(commit.position.epoch))
		}
		for (const life of lives) {
			const before = this.commits.findLast(({ position }) => position.epoch < life.epoch)?.lastSeq ?? 0
			if (before !== life.baseSeq) {
				this.faults.push(`${life.process} opened at ${life.baseSeq}, and ${before} were committed before its epoch`)
			}
		}
	}

	get lastSeq(): number {
		return this.mutations.length
	}

	/** Ends of commits: what a reader may see. */
	get cuts(): number[] {
		return [0, ...this.commits.map(commit => commit.lastSeq)]
	}

	/** How many mutations were committed at that moment. */
	lastSeqAt(stamp: number): number {
		return this.commits.findLast(commit => commit.stamp < stamp)?.lastSeq ?? 0
	}

	/** How many mutations stand below that position. */
	lastSeqBelow(position: LogPosition): number {
		return this.commits.findLast(commit => comparePositions(commit.position, position) < 0)?.lastSeq ?? 0
	}

	/** How many mutations the state of the past may have that was asked for between two moments. */
	cutsOf(past: PastState, calledAt: number, returnedAt: number): number[] {
		if (past.kind === 'position') return [this.lastSeqBelow(past.position)]
		if (past.kind === 'seq') return [past.seq]
		// A later commit may be of the same time, by a clock that is behind.
		const { timeMs, writerEpoch = Infinity } = past
		const inTime = this.commits.filter(({ committedAtMs }) => committedAtMs <= timeMs)
		const before = inTime.filter(({ stamp }) => stamp < calledAt)
		const own = before.filter(({ position }) => position.epoch <= writerEpoch)
		return [
			own.at(-1)?.lastSeq ?? 0,
			before.at(-1)?.lastSeq ?? 0,
			...inTime.filter(({ stamp }) => stamp > calledAt && stamp < returnedAt).map(({ lastSeq }) => lastSeq),
		]
	}

	#take({ position, firstSeq, lastSeq, committedAtMs }: TrueCommit, life: WriterLife | undefined): void {
		const where = `the commit at ${position.epoch}/${position.slot}`
		if (committedAtMs < this.#newestMs) this.faults.push(`${where} is of ${committedAtMs}, before ${this.#newestMs}`)
		this.#newestMs = Math.max(this.#newestMs, committedAtMs)
		if (firstSeq !== this.lastSeq + 1) this.faults.push(`${where} begins with ${firstSeq} behind ${this.lastSeq}`)
		for (let seq = firstSeq; seq <= lastSeq; seq++) {
			const mutation = life?.mutations[seq - life.baseSeq - 1]
			if (mutation === undefined) {
				this.faults.push(`${where} holds ${seq}, which nobody wrote`)
				return
			}
			this.mutations.push(mutation)
		}
		const cut = life?.mutations[lastSeq - life.baseSeq]
		const last = this.mutations.at(-1)
		if (cut !== undefined && last !== undefined && last.batch !== 0 && cut.batch === last.batch) {
			this.faults.push(`${where} ends at ${lastSeq}, within a batch`)
		}
	}
}

/** The first commit that a state of the past lacks. */
export function firstBehind(objects: VirtualObjects, past: PastState): TrueCommit | undefined {
	return readLog(objects).find(({ position, lastSeq, committedAtMs }) => {
		if (past.kind === 'position') return comparePositions(position, past.position) >= 0
		return past.kind === 'seq' ? lastSeq > past.seq : committedAtMs > past.timeMs
	})
}

/** Commits in order, from the first record of each slot. */
function readLog(objects: VirtualObjects): TrueCommit[] {
	const commits: TrueCommit[] = []
	let position: LogPosition = { epoch: 0, slot: 0 }
	/** Appends are pipelined: a commit is one once all records before it are there, too. */
	let stamp = 0
	for (;;) {
		const key = `log/${digits(position.epoch)}/${digits(position.slot)}`
		const creation = objects.creations.get(key)
		if (creation === undefined) return commits
		stamp = Math.max(stamp, creation.stamp)
		const record = objects.records.record(creation.bytes, position, key)
		if (record.kind === 'seal') {
			position = { epoch: position.epoch + 1, slot: 0 }
			continue
		}
		const { firstSeq, lastSeq, committedAtMs } = objects.records.commit(record, key)
		commits.push({ position, firstSeq, lastSeq, committedAtMs, stamp })
		position = { epoch: position.epoch, slot: position.slot + 1 }
	}
}

/** Acknowledged and not committed. */
export function lostMutations(truth: Truth, { lives }: HistoryRecord): string[] {
	const committed = new Set(truth.mutations)
	return lives.flatMap(({ process, mutations }) =>
		mutations
			.filter(mutation => mutation.durableAt !== Number.POSITIVE_INFINITY && !committed.has(mutation))
			.map(({ id, seq }) => `mutation ${id} (${seq} of ${process}) was acknowledged as durable, and is not committed`),
	)
}

/** Acknowledged before another one was called, and committed behind it. */
export function misorderedMutations(truth: Truth): string[] {
	const faults: string[] = []
	let latestCall = 0
	let latest: Mutation | undefined
	for (const mutation of truth.mutations) {
		if (latest !== undefined && mutation.durableAt < latestCall) {
			faults.push(`mutation ${mutation.id} was durable before ${latest.id} was called, and stands behind it`)
		}
		if (mutation.calledAt > latestCall) [latestCall, latest] = [mutation.calledAt, mutation]
	}
	return faults
}

function digits(value: number): string {
	return String(value).padStart(16, '0')
}
