/**
 * The input of merges: opens tables by the end of their object and reads exactly the blocks that a job needs.
 *
 * A small table is read whole by one GET and kept until the merge has passed it; so is what somebody has in memory anyway
 * (a table that came in a log record). Of others the index is kept, and their blocks are read by ranges, several at once.
 *
 * Invariants: a table that is gone (`ISLE_NOT_FOUND`) or damaged (`ISLE_CORRUPT`) fails as `DamagedInput`, which names it; a
 * short answer is never taken for the whole; the bytes handed out are one buffer that the caller owns, and that no read that was given
 * up can still write into.
 */
import type { MergeSource } from '../../workers/merge-job.ts'
import { freeBuffer } from '../bytes/free.ts'
import { corrupt, IsleError, isIsleError } from '../errors.ts'
import { forEachBounded } from '../host/parallel.ts'
import type { BlobPackRef, TableRef } from '../manifest/manifest.ts'
import { plainTable } from '../manifest/packed-table.ts'
import type { ObjectStore, RangeRequestOptions } from '../object-store/object-store.ts'
import type { RepeatedRequestOptions } from '../object-store/retrying-store.ts'
import { metaRange, openTable, type SstTable } from '../sst/sst-table.ts'
import type { MergeMemory } from './merge-memory.ts'
import type { RangePart } from './merge-ranges.ts'

/** Up to this size (as large as a table in a log record by default) one GET for all of it is cheaper than two for parts. */
const WHOLE_MAX_BYTES = 1_048_576
/** A GET brings at most this much: several connections are faster than one, and a copy of 4 MiB takes 1–2 ms. */
const PIECE_BYTES = 4_194_304
/** GETs of one merge at a time. */
const PARALLEL_GETS = 8

/** What a merge or a rewrite reads. */
export type MaintainedInput = { readonly table: TableRef } | { readonly pack: BlobPackRef }

/** An input that cannot be read, now or ever. */
export class DamagedInput extends Error {
	override readonly name = 'DamagedInput'
	readonly input: MaintainedInput

	constructor(input: MaintainedInput, cause: unknown) {
		const [what, { id, objectKey }] =
			'table' in input ? (['table', input.table] as const) : (['blob pack', input.pack] as const)
		super(`${what} ${id} in \`${objectKey}\` cannot be read`, { cause })
		this.input = input
	}
}

export interface MergeInputsOptions {
	/** The store of the database, with retries for what is idempotent. */
	readonly store: ObjectStore
	/** The whole of a table, where it is in memory anyway. Not changed. */
	offered?(ref: TableRef): Uint8Array | undefined
	/** Small tables are kept whole where it has room for them. */
	readonly memory: MergeMemory
}

/** What was read: of each part its blocks, which stand in `buffer` and nowhere else. */
export interface ReadBlocks {
	readonly buffer: ArrayBuffer
	readonly sources: readonly MergeSource[]
}

interface OpenInput {
	readonly ref: TableRef
	readonly table: SstTable
	readonly whole: Uint8Array | undefined
	/** Somebody else keeps `whole`, and counts it. */
	readonly isOffered: boolean
}

export class MergeInputs {
	readonly #options: MergeInputsOptions
	readonly #inputs = new Map<string, OpenInput>()

	constructor(options: MergeInputsOptions) {
		this.#options = options
	}

	opened(ref: TableRef): SstTable | undefined {
		return this.#inputs.get(ref.id)?.table
	}

	/** Lets go of all. */
	close(): void {
		this.release(() => true)
	}

	/** At most one GET. @throws DamagedInput, ISLE_UNAVAILABLE and the like, the signal's reason. */
	async open(ref: TableRef, signal: AbortSignal | undefined): Promise<void> {
		const { metaOffset, storedBytes } = ref.meta
		const offered = this.#options.offered?.(ref)
		const isOffered = offered !== undefined
		const whole = offered ?? (await this.#readWhole(ref, signal))
		const tail = metaRange(ref.meta)
		const metaBytes = whole?.subarray(metaOffset, storedBytes) ?? (await this.#read(ref, tail, { signal }))
		try {
			this.#inputs.set(ref.id, { ref, table: openTable(ref.meta, metaBytes, whereOf(ref)), whole, isOffered })
		} catch (error) {
			if (whole !== undefined && !isOffered) this.#options.memory.letGo(whole.length)
			throw named(error, ref)
		}
	}

	/** As `open`, several at a time. */
	async openAll(refs: readonly TableRef[], signal: AbortSignal | undefined): Promise<void> {
		await forEachBounded(refs, PARALLEL_GETS, async ref => await this.open(ref, signal))
	}

	/** Lets go of all tables for which `isPast`. */
	release(isPast: (ref: TableRef) => boolean): void {
		for (const [id, { ref, whole, isOffered }] of this.#inputs) {
			if (!isPast(ref)) continue
			this.#inputs.delete(id)
			if (whole !== undefined && !isOffered) this.#options.memory.letGo(whole.length)
		}
	}

	/**
	 * The blocks of `parts`, of tables that are open. `buffer` has room for them, and is given up: they stand there, or in one of the
	 * same size. @throws as `open`.
	 */
	async read(parts: readonly RangePart[], buffer: ArrayBuffer, signal: AbortSignal | undefined): Promise<ReadBlocks> {
		const target = new Uint8Array(buffer)
		const runs: Omit<MergeSource, 'blocks'>[] = []
		const pieces: { input: OpenInput; from: number; bytes: number; at: number }[] = []
		let at = 0
		for (const part of parts) {
			const input = this.#inputs.get(part.ref.id)
			if (input === undefined) throw new Error(`broken invariant: table ${part.ref.id} is read and not open`)
			const start = input.table.bytesBefore(part.firstBlock)
			for (let from = 0; from < part.bytes; from += PIECE_BYTES) {
				const bytes = Math.min(PIECE_BYTES, part.bytes - from)
				pieces.push({ input, from: start + from, bytes, at: at + from })
			}
			const run = input.table.blockRun(part.firstBlock, part.blockCount)
			runs.push({ meta: plainTable(part.ref).meta, where: whereOf(part.ref), run })
			at += part.bytes
		}
		let isOurs = true
		const onRepeat = (): void => {
			isOurs = false
		}
		await forEachBounded(pieces, PARALLEL_GETS, async ({ input, from, bytes, at: to }) => {
			const into = target.subarray(to, to + bytes)
			if (input.whole !== undefined) {
				into.set(input.whole.subarray(from, from + bytes))
				return
			}
			const stored = await this.#read(input.ref, { offset: from, bytes }, { signal, into, onRepeat })
			if (stored === into) return
			into.set(stored)
			freeBody(stored)
		})
		return inBuffer(isOurs ? buffer : buffer.slice(), runs, parts)
	}

	async #readWhole(ref: TableRef, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
		const { storedBytes } = ref.meta
		if (storedBytes > WHOLE_MAX_BYTES || !this.#options.memory.keep(storedBytes)) return undefined
		try {
			return await this.#read(ref, { offset: 0, bytes: storedBytes }, { signal })
		} catch (error) {
			this.#options.memory.letGo(storedBytes)
			throw error
		}
	}

	/** `range` counts from the start of the table. */
	async #read(
		ref: TableRef,
		range: { readonly offset: number; readonly bytes: number },
		options: RangeRequestOptions & RepeatedRequestOptions,
	): Promise<Uint8Array> {
		const { objectKey } = ref
		const place = { offset: ref.offset + range.offset, bytes: range.bytes }
		const stored = await this.#options.store.getRange(objectKey, place, options).catch((error: unknown) => {
			throw named(error, ref)
		})
		if (stored?.length === range.bytes) return stored
		if (stored !== undefined) throw named(corrupt(objectKey, `${stored.length} bytes instead of ${range.bytes}`), ref)
		const gone = `the object of a table is gone: key=\`${objectKey}\``
		throw named(new IsleError('ISLE_NOT_FOUND', gone, { details: { key: objectKey } }), ref)
	}
}

/** The sources whose blocks stand in `buffer`, one after another. */
function inBuffer(
	buffer: ArrayBuffer,
	runs: readonly Omit<MergeSource, 'blocks'>[],
	parts: readonly RangePart[],
): ReadBlocks {
	let at = 0
	const sources = runs.map((run, i) => {
		const blocks = new Uint8Array(buffer, at, parts[i]?.bytes ?? 0)
		at += blocks.length
		return { ...run, blocks }
	})
	return { buffer, sources }
}

/** What a store has handed out is the caller's. A view of something larger is left alone. */
function freeBody({ buffer, byteLength }: Uint8Array): void {
	if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) freeBuffer(buffer)
}

/** Names an input in the errors of a job. */
function whereOf(ref: TableRef): string {
	return `${ref.objectKey} (table ${ref.id})`
}

/** What `error` says of one of `tables`, if it does: a job names the source that it found damaged. */
export function asDamagedInput(error: unknown, tables: readonly TableRef[]): unknown {
	if (!isIsleError(error, 'ISLE_CORRUPT')) return error
	const { where } = error.details
	const table = tables.find(candidate => whereOf(candidate) === where)
	return table === undefined ? error : new DamagedInput({ table }, error)
}

/** What reading `table` threw, as the error that names it. */
function named(error: unknown, table: TableRef): unknown {
	const isDamage = isIsleError(error, 'ISLE_CORRUPT') || isIsleError(error, 'ISLE_NOT_FOUND')
	return isDamage ? new DamagedInput({ table }, error) : error
}
