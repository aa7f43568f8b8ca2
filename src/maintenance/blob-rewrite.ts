/**
 * Rewrites sparse blob packs: their live values go into a new pack, and the tables that refer to them are written anew in
 * their places.
 *
 * Steps: ask the tables which values they use; copy the frames of those, as they are and checked, from the old packs into the
 * new one, by streams; rewrite the references table by table; one edit puts all in place. The old packs, which no table uses
 * any more, fall out when it is folded.
 *
 * A pack that is damaged or gone fails as `DamagedInput`, which names it.
 *
 * Invariants: of a pack, no more than the pieces on their way is in memory; the edit is made only if all tables are still live;
 * an object that was uploaded and is not named in the edit is deleted.
 */
import type { MergeOutputOptions, PackRefs } from '../../workers/merge-job.ts'
import type { BlobRef } from '../blob/blob-ref.ts'
import { framedBytes, PACK_HEADER_BYTES } from '../blob/pack-format.ts'
import { corrupt, IsleError, invariant, isIsleError } from '../errors.ts'
import type { AddedTable } from '../manifest/edit.ts'
import type { BlobPackRef, Manifest, TableRef } from '../manifest/manifest.ts'
import type { RewritePacksChoice } from './choice.ts'
import { MergeInputs } from './merge-inputs.ts'
import { runSourceJob, type SourceMemory } from './merge-job-runs.ts'
import { type MergeRange, nextRange } from './merge-ranges.ts'
import { areLive, isRefused } from './merge-scope.ts'
import type { MergeComponents } from './merge-task.ts'
import { CopiedPack, type PackCopy } from './pack-body.ts'
import { uploadTables } from './table-uploads.ts'

/** Tables of a run may become this many times as large as others: splitting off a small rest would help nobody. */
const TABLE_GROWTH = 2
const TABLE_MAX_BYTES = 1_073_741_824

export interface RewriteSummary {
	readonly kind: 'done' | 'void'
	readonly bytesRead: number
	readonly bytesWritten: number
	readonly tablesWritten: number
}

export async function rewritePacks(
	components: MergeComponents,
	output: MergeOutputOptions,
	choice: RewritePacksChoice,
	signal: AbortSignal,
): Promise<RewriteSummary> {
	const rewrite = new PackRewrite(components, output, choice, signal)
	try {
		return await rewrite.run()
	} finally {
		await rewrite.discardUnnamed()
	}
}

class PackRewrite {
	readonly #components: MergeComponents
	readonly #output: MergeOutputOptions
	readonly #choice: RewritePacksChoice
	readonly #signal: AbortSignal
	readonly #unnamed = new Set<string>()
	#bytesRead = 0
	#bytesWritten = 0

	constructor(
		components: MergeComponents,
		output: MergeOutputOptions,
		choice: RewritePacksChoice,
		signal: AbortSignal,
	) {
		this.#components = components
		this.#output = output
		this.#choice = choice
		this.#signal = signal
	}

	async run(): Promise<RewriteSummary> {
		const { tables } = this.#choice
		const copies = await this.#plan()
		if (copies.every(copy => copy.refs.length === 0)) return this.#summary('void', 0)
		const newPack = await this.#copy(copies)
		const add: AddedTable[] = []
		for (const table of tables) add.push(...(await this.#rewriteTable(table, copies)))
		if (!areLive(this.#components.state.manifest, tables)) return this.#summary('void', 0)
		// Values of older versions only were copied for nothing: the merge of their table has left them out.
		const isUsed = add.some(({ table }) => table.meta.blobUses.some(use => use.packId === newPack.id))
		this.#signal.throwIfAborted()
		// From here on the outcome may stay unknown: what the edit names is not for this owner to delete.
		const named = [...add.map(({ table }) => table.objectKey), ...(isUsed ? [newPack.objectKey] : [])]
		for (const key of named) this.#unnamed.delete(key)
		try {
			const remove = tables.map(table => table.id)
			await this.#components.state.append([{ kind: 'replace', remove, add, addPacks: isUsed ? [newPack] : [] }])
		} catch (error) {
			if (isRefused(error)) for (const key of named) this.#unnamed.add(key)
			if (!isIsleError(error, 'ISLE_CONFLICT')) throw error
			return this.#summary('void', 0)
		}
		return this.#summary('done', add.length)
	}

	async discardUnnamed(): Promise<void> {
		await this.#components.uploads.discard([...this.#unnamed])
	}

	#summary(kind: RewriteSummary['kind'], tablesWritten: number): RewriteSummary {
		return { kind, tablesWritten, bytesRead: this.#bytesRead, bytesWritten: this.#bytesWritten }
	}

	/** Asks the tables which values they use, and gives each its place in the new pack. */
	async #plan(): Promise<PackCopy[]> {
		const { packs, tables } = this.#choice
		const packIds = packs.map(pack => pack.id)
		const found = new Map<string, Map<number, BlobRef>>(packIds.map(id => [id, new Map()]))
		for (const table of tables) {
			for await (const { range, ...from } of this.#rangesOf(table, this.#output.targetBytes)) {
				const answer = await runSourceJob(
					this.#components.pool,
					'collect-blob-refs',
					from,
					range.parts,
					sources => ({ sources, packIds }),
					this.#signal,
				)
				for (const refs of answer.packs) addRefs(found.get(refs.packId), refs)
			}
		}
		const newPackId = this.#components.state.nextTableId()
		let offset = PACK_HEADER_BYTES
		return packs.map(pack => {
			const refs = [...(found.get(pack.id)?.values() ?? [])].sort((a, b) => a.offset - b.offset)
			const newOffsets = refs.map(ref => {
				const at = offset
				offset += framedBytes(ref.bytes)
				return at
			})
			const oldOffsets = refs.map(ref => ref.offset)
			const moves = {
				packId: pack.id,
				newPackId,
				oldOffsets: Float64Array.from(oldOffsets),
				newOffsets: Float64Array.from(newOffsets),
			}
			return { pack, refs, moves }
		})
	}

	/** Writes the new pack. */
	async #copy(copies: readonly PackCopy[]): Promise<BlobPackRef> {
		const id = copies[0]?.moves.newPackId ?? this.#components.state.nextTableId()
		const objectKey = `blobs/${id}`
		this.#unnamed.add(objectKey)
		const { store } = this.#components
		const signal = this.#signal
		const copied = new CopiedPack(id, copies, range => store.getStream(range.key, range, { signal }))
		const outcome = await store.createFromStream(objectKey, copied.body, { signal }).catch((error: unknown) => {
			throw copied.damage ?? error
		})
		signal.throwIfAborted()
		if (copied.damage !== undefined) throw copied.damage
		const { bytes, isWhole } = copied
		if (outcome.kind === 'exists')
			throw corrupt(objectKey, 'a blob pack of another owner where only this one may write,')
		if (outcome.kind === 'unknown' && !(isWhole && (await this.#isStored(objectKey, bytes)))) {
			throw new IsleError('ISLE_UNAVAILABLE', `a blob pack could not be stored: key=\`${objectKey}\``, {
				cause: outcome.cause,
			})
		}
		this.#bytesRead += bytes
		this.#bytesWritten += bytes
		return { id, objectKey, bytes, valueCount: copies.reduce((sum, copy) => sum + copy.refs.length, 0) }
	}

	/** A store shows an object whole or not at all. */
	async #isStored(objectKey: string, bytes: number): Promise<boolean> {
		const page = await this.#components.store.list({ prefix: objectKey, limit: 1, signal: this.#signal })
		return page.objects.some(object => object.key === objectKey && object.bytes === bytes)
	}

	async #rewriteTable(table: TableRef, copies: readonly PackCopy[]): Promise<AddedTable[]> {
		const { manifest } = this.#components.state
		const runId = runOf(manifest, table)
		// L0 has one table for a span of sequence numbers: it stays whole.
		const mostBytes = runId === null ? TABLE_MAX_BYTES : this.#output.targetBytes * TABLE_GROWTH
		const output = { ...this.#output, targetBytes: Math.min(TABLE_MAX_BYTES, mostBytes) }
		const added: AddedTable[] = []
		for await (const { range, ...from } of this.#rangesOf(table, mostBytes)) {
			const made = await runSourceJob(
				this.#components.pool,
				'merge-tables',
				from,
				range.parts,
				(sources, buffers) => ({
					sources,
					lower: range.lower,
					upper: range.upper,
					output,
					dropTombstones: false,
					expireBeforeMs: 0,
					blobMoves: copies.map(copy => copy.moves),
					buffers,
				}),
				this.#signal,
			)
			for (const stored of await uploadTables(this.#components, made, from.loan, this.#signal)) {
				this.#unnamed.add(stored.objectKey)
				this.#bytesWritten += stored.meta.storedBytes
				added.push({ runId, table: stored })
			}
		}
		return added
	}

	/** The ranges of a table, each with its memory until the next is asked for. */
	async *#rangesOf(table: TableRef, budgetBytes: number): AsyncGenerator<SourceMemory & { range: MergeRange }> {
		const { store, memory } = this.#components
		const inputs = new MergeInputs({ store, memory, offered: ref => this.#components.offered?.(ref) })
		try {
			await inputs.open(table, this.#signal)
			let lower: Uint8Array | null = null
			do {
				const next = nextRange([[table]], { lower, upper: null }, budgetBytes, ref => inputs.opened(ref))
				invariant(next.kind === 'range', 'a table that is open is not asked for')
				const { range } = next
				this.#bytesRead += range.inputBytes
				const loan = await memory.lend(range.inputBytes, this.#signal)
				try {
					yield { inputs, loan, range }
				} finally {
					loan.end()
				}
				lower = range.upper
			} while (lower !== null)
		} finally {
			inputs.close()
		}
	}
}

function addRefs(found: Map<number, BlobRef> | undefined, { packId, offsets, bytes, crcs }: PackRefs): void {
	for (const [i, offset] of offsets.entries()) {
		const ref = { packId, offset, bytes: bytes[i] as number, crc: crcs[i] as number }
		// An empty value takes no room: the one behind it begins at the same offset.
		if (ref.bytes >= (found?.get(offset)?.bytes ?? 0)) found?.set(offset, ref)
	}
}

/** The run that holds `table`, or `null`: L0. */
function runOf(manifest: Manifest, { id }: TableRef): string | null {
	return manifest.runs.find(run => run.tables.some(table => table.id === id))?.id ?? null
}
