/**
 * Carries out what a policy chose: a merge, a move or a drop by an edit alone, packs that are rewritten, a merge that is given
 * up. Several at once; which of them touch the same tables is for the caller to know.
 *
 * Invariants: merges share one memory budget; a failed choice leaves the state as it was and no upload behind; an input that
 * cannot be read is named, as an IsleError with the id of the table or pack in its details, and only if it is still live.
 */
import type { MergeOutputOptions } from '../../workers/merge-job.ts'
import { IsleError, isIsleError, unreachable } from '../errors.ts'
import type { Edit } from '../manifest/edit.ts'
import type { Manifest, TableRef } from '../manifest/manifest.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { rewritePacks } from './blob-rewrite.ts'
import { type Choice, type MergeChoice, tablesOfChoice } from './choice.ts'
import { DamagedInput, type MaintainedInput } from './merge-inputs.ts'
import { MergeMemory } from './merge-memory.ts'
import type { Chain } from './merge-ranges.ts'
import { MergeRun } from './merge-run.ts'
import { areLive } from './merge-scope.ts'
import { type MergeComponents, type MergeProgress, type MergeSummary, NOTHING_MERGED } from './merge-task.ts'
import type { OwnedState } from './owned-state.ts'
import { bufferBytesFor } from './range-size.ts'
import type { Uploads } from './uploads.ts'

export interface ExecutorOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	readonly pool: JobPool
	readonly state: OwnedState
	readonly uploads: Uploads
	readonly mergeMemoryBytes: number
	readonly output: MergeOutputOptions
	/** A table that is in memory anyway, whole and as stored. */
	offered?(ref: TableRef): Uint8Array | undefined
	/** A table that was just made, before its edit. Not to be kept: its memory is used again. */
	onTable?(ref: TableRef, bytes: Uint8Array): void
}

export interface ExecuteOptions {
	readonly signal: AbortSignal
	/** Entries that expired at or before this, by the wall clock, are dropped; 0: none, as when clocks are in doubt. */
	readonly expireBeforeMs: number
	/** Answers true once nothing further is to be begun: a merge is recorded as far as it has come. */
	isOver?(): boolean
	onProgress?(progress: MergeProgress): void
}

export type Execution = Omit<MergeSummary, 'kind'> & {
	/** `done`; `paused`, to be resumed; `void`: the tables were not there any more. */
	readonly kind: 'done' | 'paused' | 'void'
	/** Tables that went without being read. */
	readonly tablesDropped: number
}

const NOTHING: Execution = { ...NOTHING_MERGED, kind: 'done', tablesDropped: 0 }

export class Executor {
	readonly #components: MergeComponents
	readonly #output: MergeOutputOptions

	constructor(options: ExecutorOptions) {
		const { output, mergeMemoryBytes, ...components } = options
		this.#output = output
		const memory = new MergeMemory(mergeMemoryBytes, bufferBytesFor(output.targetBytes))
		this.#components = { ...components, memory }
	}

	/** Memory of all merges that run. */
	get memory(): MergeMemory {
		return this.#components.memory
	}

	/**
	 * @throws ISLE_CORRUPT or ISLE_NOT_FOUND with `details.table` or `details.pack`, and `details.key`, for a live one that
	 * cannot be read; the signal's reason; what store and pool throw; ISLE_FENCED and its like, which end the owner.
	 */
	async execute(choice: Choice, options: ExecuteOptions): Promise<Execution> {
		options.signal.throwIfAborted()
		try {
			return await this.#execute(choice, options)
		} catch (error) {
			if (!(error instanceof DamagedInput)) throw error
			// Whoever was taken over does not know it: the next owner may have merged the table and deleted it. A record tells.
			await this.#components.state.append([])
			if (!isLive(this.#components.state.manifest, error.input)) return { ...NOTHING, kind: 'void' }
			throw damage(error)
		}
	}

	async #execute(choice: Choice, options: ExecuteOptions): Promise<Execution> {
		const { state } = this.#components
		switch (choice.kind) {
			case 'merge':
				return await this.#merge(choice, options)
			case 'rewrite-packs': {
				const result = await rewritePacks(this.#components, this.#output, choice, options.signal)
				return { ...NOTHING, ...result }
			}
			case 'move': {
				const runId = choice.runId ?? state.nextTableId()
				const add = choice.tables.map(table => ({ runId, table }))
				return await this.#edit(choice, { kind: 'replace', remove: idsOf(choice.tables), add, addPacks: [] })
			}
			case 'drop': {
				const edit: Edit = { kind: 'replace', remove: idsOf(choice.tables), add: [], addPacks: [] }
				return { ...(await this.#edit(choice, edit, { kind: 'dropped' })), tablesDropped: choice.tables.length }
			}
			case 'abandon': {
				const { runId } = choice.merge
				if (!state.manifest.pendingMerges.some(pending => pending.runId === runId)) return { ...NOTHING, kind: 'void' }
				await state.append([{ kind: 'abandon', runId }])
				return NOTHING
			}
			default:
				return unreachable(choice)
		}
	}

	async #merge(choice: MergeChoice, options: ExecuteOptions): Promise<Execution> {
		const { state } = this.#components
		const inputs = idsOf(choice.inputs)
		if (!areLive(state.manifest, choice.inputs)) return { ...NOTHING, kind: 'void' }
		const resume = choice.resume ?? state.manifest.pendingMerges.find(pending => hasSameIds(pending.inputs, inputs))
		const runId = resume?.runId ?? state.nextTableId()
		const run = new MergeRun(this.#components, {
			chains: chainsOf(state.manifest, choice.inputs),
			runId,
			// The choice is of now: a run that it was to join may have changed since it began.
			targetRunId: choice.runId ?? runId,
			resume,
			output: this.#output,
			expireBeforeMs: options.expireBeforeMs,
		})
		const summary = await run.run(options)
		return { ...NOTHING, ...summary, kind: summary.kind === 'merged' ? 'done' : summary.kind }
	}

	async #edit(choice: Choice, ...edits: readonly Edit[]): Promise<Execution> {
		const { state } = this.#components
		if (!areLive(state.manifest, tablesOfChoice(choice))) return { ...NOTHING, kind: 'void' }
		try {
			await state.append(edits)
		} catch (error) {
			if (isIsleError(error, 'ISLE_CONFLICT')) return { ...NOTHING, kind: 'void' }
			throw error
		}
		return NOTHING
	}
}

/** Each table of L0 alone, and the tables of each run together. */
function chainsOf({ l0, runs }: Manifest, inputs: readonly TableRef[]): Chain[] {
	const wanted = new Set(idsOf(inputs))
	const chains = [...l0.map(table => [table]), ...runs.map(run => run.tables)]
	return chains.map(chain => chain.filter(table => wanted.has(table.id))).filter(chain => chain.length > 0)
}

function isLive(manifest: Manifest, input: MaintainedInput): boolean {
	if ('table' in input) return areLive(manifest, [input.table])
	return manifest.blobPacks.some(pack => pack.id === input.pack.id)
}

function damage({ input, cause, message }: DamagedInput): IsleError {
	const code = isIsleError(cause, 'ISLE_NOT_FOUND') ? 'ISLE_NOT_FOUND' : 'ISLE_CORRUPT'
	const details =
		'table' in input
			? { table: input.table.id, key: input.table.objectKey }
			: { pack: input.pack.id, key: input.pack.objectKey }
	return new IsleError(code, message, { cause, details })
}

function idsOf(tables: readonly TableRef[]): string[] {
	return tables.map(table => table.id)
}

function hasSameIds(a: readonly string[], b: readonly string[]): boolean {
	const ids = new Set(a)
	return a.length === b.length && b.every(id => ids.has(id))
}
