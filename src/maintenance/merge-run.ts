/**
 * One merge, from its inputs to the edit that puts its outputs in their place.
 *
 * Steps: plan what passes as it is and which key ranges must be merged; for each range read its blocks, have a worker merge
 * them, upload the tables; now and then record how far it came; at the end one edit removes the inputs and adds the outputs.
 * Ranges run side by side and are taken up in key order.
 *
 * Invariants: nothing is visible before the last edit; what was recorded is not made again by whoever resumes; an upload that
 * no record names is deleted when the merge ends without it; memory is bounded by the range budget and the shared budget,
 * whatever the inputs are; an entry is dropped for good only where nothing outside the inputs that is older has its key.
 */
import type { MergeTablesOutput } from '../../workers/merge-job.ts'
import { compareBytes } from '../bytes/compare.ts'
import { isIsleError } from '../errors.ts'
import type { Edit } from '../manifest/edit.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import { MergeInputs } from './merge-inputs.ts'
import { runSourceJob } from './merge-job-runs.ts'
import { MEMORY_PER_INPUT_BYTE } from './merge-memory.ts'
import { type MergeRange, nextRange } from './merge-ranges.ts'
import { areLive, holdsProgress, isRefused, MergeScope } from './merge-scope.ts'
import { doneBefore, planSegments } from './merge-segments.ts'
import {
	hasDropped,
	type MergeComponents,
	type MergeRunOptions,
	type MergeSummary,
	type MergeTask,
	NOTHING_MERGED,
} from './merge-task.ts'
import { rangeBytesFor } from './range-size.ts'
import { uploadTables } from './table-uploads.ts'

/** Ranges of one merge that are under way at once: one is read or uploaded while a worker has the other. */
const RANGES_IN_FLIGHT = 2
/** Progress is recorded every so many tables, and from then on when an eighth is new: the records stay a small part of the work. */
const RECORD_MIN_TABLES = 8
interface Flight {
	readonly tableIds: readonly string[]
	readonly upper: Uint8Array | null
	readonly inputBytes: number
	readonly written: Promise<readonly TableRef[]>
}

export class MergeRun {
	readonly #components: MergeComponents
	readonly #task: MergeTask
	readonly #tables: readonly TableRef[]
	readonly #tableIds: readonly string[]
	readonly #scope: MergeScope
	readonly #inputs: MergeInputs
	readonly #inputBytes: number
	readonly #flights: Flight[] = []
	readonly #stop = new AbortController()
	/** Whole tables that go along by reference. */
	readonly #passed: TableRef[] = []
	/** Tables that were made, in key order. */
	#made: TableRef[]
	/** How many of them a record names. */
	#recordedCount: number
	/** Everything below is done. `null` before the first range and after the last. */
	#doneKey: Uint8Array | null
	#doneBytes = 0
	#rangeBytes: number
	#isVoid = false
	#summary = NOTHING_MERGED

	constructor(components: MergeComponents, task: MergeTask) {
		this.#components = components
		this.#task = task
		this.#tables = task.chains.flat()
		this.#tableIds = this.#tables.map(table => table.id)
		this.#scope = new MergeScope(components.state.manifest, task.chains)
		const { store, memory } = components
		this.#inputs = new MergeInputs({ store, memory, offered: ref => components.offered?.(ref) })
		this.#inputBytes = bytesOf(this.#tables)
		this.#made = [...(task.resume?.outputs ?? [])]
		this.#recordedCount = this.#made.length
		this.#doneKey = task.resume?.resumeKey ?? null
		this.#rangeBytes = rangeBytesFor(task.output.targetBytes)
		if (task.resume !== undefined) {
			const { passed, doneBytes } = doneBefore(task.chains, task.resume)
			this.#passed.push(...passed)
			this.#doneBytes = doneBytes
		}
	}

	/**
	 * @throws DamagedInput naming a table that cannot be read; the signal's reason, what is done having been recorded; what
	 * the store throws; ISLE_FENCED and its like.
	 */
	async run(options: MergeRunOptions): Promise<MergeSummary> {
		const { signal } = options
		signal.throwIfAborted()
		const onAbort = (): void => this.#stop.abort(signal.reason)
		signal.addEventListener('abort', onAbort, { once: true })
		try {
			const isWhole = await this.#produce(options)
			while (this.#flights.length > 0) await this.#takeUp(options)
			if (!isWhole) return { ...this.#summary, kind: (await this.#record()) ? 'paused' : 'void' }
			return { ...this.#summary, kind: (await this.#replace()) ? 'merged' : 'void' }
		} catch (error) {
			await this.#giveUp(signal.aborted)
			throw error
		} finally {
			signal.removeEventListener('abort', onAbort)
			this.#inputs.close()
		}
	}

	/** Begins ranges in key order, a few at once. False when it was told to end before the last. */
	async #produce(options: MergeRunOptions): Promise<boolean> {
		for (const segment of planSegments(this.#task.chains, this.#doneKey, table =>
			this.#scope.isSound(table, this.#task),
		)) {
			if (segment.kind === 'pass') {
				this.#passed.push(segment.table)
				this.#doneBytes += segment.table.meta.storedBytes
				this.#summary = { ...this.#summary, tablesPassed: this.#summary.tablesPassed + 1 }
				continue
			}
			let { lower } = segment.range
			do {
				if (this.#isVoid || options.isOver?.() === true) return false
				const range = await this.#nextRange(lower, segment.range.upper)
				if (range.parts.length > 0) await this.#begin(range, options)
				lower = range.upper
			} while (lower !== null && lower !== segment.range.upper)
		}
		return true
	}

	async #nextRange(lower: Uint8Array | null, upper: Uint8Array | null): Promise<MergeRange> {
		if (lower !== null) {
			// A range under way may yet wait for its memory, or be read again for a worker that died.
			const needed = new Set(this.#flights.flatMap(flight => flight.tableIds))
			this.#inputs.release(ref => compareBytes(ref.meta.largestKey, lower) < 0 && !needed.has(ref.id))
		}
		for (;;) {
			const next = nextRange(this.#task.chains, { lower, upper }, this.#rangeBytes, ref => this.#inputs.opened(ref))
			if (next.kind === 'range') return next.range
			await this.#inputs.openAll(next.refs, this.#stop.signal)
		}
	}

	async #begin(range: MergeRange, options: MergeRunOptions): Promise<void> {
		while (this.#flights.length >= RANGES_IN_FLIGHT) await this.#takeUp(options)
		const written = this.#mergeRange(range)
		// Taken up in order: until then a failure is nobody's.
		written.catch(() => undefined)
		const tableIds = range.parts.map(part => part.ref.id)
		this.#flights.push({ tableIds, upper: range.upper, inputBytes: range.inputBytes, written })
	}

	/** Waits for the oldest range and takes what it made over. */
	async #takeUp(options: MergeRunOptions): Promise<void> {
		const flight = this.#flights[0]
		if (flight === undefined) return
		const tables = await flight.written
		this.#flights.shift()
		this.#made.push(...tables)
		this.#doneKey = flight.upper
		this.#doneBytes = Math.min(this.#inputBytes, this.#doneBytes + flight.inputBytes)
		this.#adaptRange(flight.inputBytes, tables)
		options.onProgress?.({
			runId: this.#task.runId,
			inputBytes: this.#inputBytes,
			doneBytes: this.#doneBytes,
			outputs: this.#made.length + this.#passed.length,
		})
		const fresh = this.#made.length - this.#recordedCount
		if (flight.upper !== null && fresh >= Math.max(RECORD_MIN_TABLES, this.#made.length / 8)) await this.#record()
	}

	/** Little output of much input: the next range may be larger. */
	#adaptRange(inputBytes: number, tables: readonly TableRef[]): void {
		const shrinking = bytesOf(tables) / Math.max(1, inputBytes)
		const most = this.#components.memory.maxBytes / (RANGES_IN_FLIGHT * MEMORY_PER_INPUT_BYTE)
		this.#rangeBytes = rangeBytesFor(this.#task.output.targetBytes, shrinking, most)
	}

	async #mergeRange(range: MergeRange): Promise<readonly TableRef[]> {
		const { signal } = this.#stop
		const { memory, pool } = this.#components
		const loan = await memory.lend(range.inputBytes, signal)
		try {
			const from = { inputs: this.#inputs, loan }
			const output = await runSourceJob(
				pool,
				'merge-tables',
				from,
				range.parts,
				(sources, buffers) => ({
					sources,
					lower: range.lower,
					upper: range.upper,
					output: this.#task.output,
					dropTombstones: this.#scope.isBottomOf(range),
					expireBeforeMs: this.#task.expireBeforeMs,
					buffers,
				}),
				signal,
			)
			const stored = await uploadTables(this.#components, output, loan, signal)
			this.#count(range.inputBytes, output, stored)
			return stored
		} finally {
			loan.end()
		}
	}

	#count(bytesRead: number, output: MergeTablesOutput, stored: readonly TableRef[]): void {
		const before = this.#summary
		this.#summary = {
			...before,
			bytesRead: before.bytesRead + bytesRead,
			bytesWritten: before.bytesWritten + bytesOf(stored),
			tablesWritten: before.tablesWritten + stored.length,
			entriesRead: before.entriesRead + output.entriesRead,
			entriesWritten: before.entriesWritten + output.entriesWritten,
			tombstonesDropped: before.tombstonesDropped + output.tombstonesDropped,
			expiredDropped: before.expiredDropped + output.expiredDropped,
		}
	}

	/** Records how far it came. False, as of `#replace`: the merge has become void. */
	async #record(): Promise<boolean> {
		if (this.#made.length === this.#recordedCount || this.#doneKey === null) return this.#isLive()
		const [inputs, outputs, resumeKey] = [this.#tableIds, [...this.#made], this.#doneKey]
		return await this.#append({ kind: 'pending', merge: { runId: this.#task.runId, inputs, outputs, resumeKey } })
	}

	async #replace(): Promise<boolean> {
		const add = [...this.#made, ...this.#passed].map(table => ({ runId: this.#task.targetRunId, table }))
		add.sort((a, b) => compareBytes(a.table.meta.smallestKey, b.table.meta.smallestKey))
		// A tombstone that is gone shows nowhere any more; what those dropped who began the merge is not known.
		const note: Edit[] = this.#task.resume || hasDropped(this.#summary) ? [{ kind: 'dropped' }] : []
		return await this.#append({ kind: 'replace', remove: this.#tableIds, add, addPacks: [] }, ...note)
	}

	/** Commits an edit that names all that was made. False when the state does not take it: inputs are gone. */
	async #append(...edits: readonly Edit[]): Promise<boolean> {
		const before = this.#recordedCount
		if (this.#isLive()) {
			// Once it is on its way, what it names is not for this owner to delete, whatever becomes of it.
			this.#recordedCount = this.#made.length
			try {
				await this.#components.state.append(edits)
				return true
			} catch (error) {
				if (isRefused(error)) this.#recordedCount = before
				if (!isIsleError(error, 'ISLE_CONFLICT')) throw error
			}
		}
		// What was recorded before is removed by the edit that took an input away.
		this.#isVoid = true
		await this.#discardFresh()
		return false
	}

	#isLive(): boolean {
		const { manifest } = this.#components.state
		const isHeld = holdsProgress(manifest, this.#task.runId, this.#recordedCount)
		return isHeld && !this.#isVoid && areLive(manifest, this.#tables)
	}

	async #discardFresh(): Promise<void> {
		const fresh = this.#made.splice(this.#recordedCount)
		await this.#components.uploads.discard(fresh.map(table => table.objectKey))
	}

	/** Ends what is under way. An abort keeps what is done by a record; after any other failure it is deleted. */
	async #giveUp(isAborted: boolean): Promise<void> {
		this.#stop.abort()
		const results = await Promise.allSettled(this.#flights.splice(0).map(flight => flight.written))
		const lost = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
		await this.#components.uploads.discard(lost.map(table => table.objectKey))
		if (isAborted && this.#components.state.failure === undefined) {
			try {
				await this.#record()
			} catch {
				// The owner has kept the failure: every later call of it says so.
			}
		}
		await this.#discardFresh()
	}
}
