/**
 * Random edits of a state whose runs are wide: what maintainers make of hundreds of tables, and what none should: some records name
 * what is not there, twice, or in the wrong place. Whether one is right is for a fold to say.
 */
import { type Random, seededRandom } from '../../src/host/random.ts'
import type { AddedTable, Edit, EditRecord } from '../../src/manifest/edit.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { BlobPackRef, Manifest, PendingMerge, SortedRun, TableRef } from '../../src/manifest/manifest.ts'
import { tableOf } from './manifest-arbitraries.ts'

const RUNS = 4
const SEQS_PER_RUN = 10_000
const KEYS_PER_TABLE = 100
const PACKS = 12

export class WideHistory {
	readonly #random: Random
	readonly #perRun: number
	#minted = 0

	constructor(seed: number, perRun: number) {
		this.#random = seededRandom(seed)
		this.#perRun = perRun
	}

	/** Runs of that many tables, with room between them, and some of L0. */
	start(): Manifest {
		const runs = Array.from({ length: RUNS }, (_, run): SortedRun => {
			const from = (RUNS - run) * SEQS_PER_RUN
			const tables = Array.from({ length: this.#perRun }, (__, i) => {
				const at = i * KEYS_PER_TABLE
				return this.#table([from, from + SEQS_PER_RUN - 1], at, at + this.#pick(KEYS_PER_TABLE / 2))
			})
			return { id: `r${run}`, tables }
		})
		const l0 = Array.from({ length: 9 }, (_, i) => {
			const seq = (RUNS + 1) * SEQS_PER_RUN + i * 10
			const at = this.#key()
			return this.#table([seq, seq + 9], at, at + this.#pick(KEYS_PER_TABLE))
		})
		const used = new Set(
			[...l0, ...runs.flatMap(run => run.tables)].flatMap(({ meta }) => meta.blobUses.map(use => use.packId)),
		)
		const position = { epoch: 1, slot: 0 }
		const lastSeq = (RUNS + 2) * SEQS_PER_RUN
		return {
			...EMPTY_MANIFEST,
			writerPosition: position,
			maintenancePosition: position,
			lastSeq,
			l0,
			runs,
			blobPacks: Array.from(used, packOf),
		}
	}

	/** What comes next in the maintenance log of `manifest`, or would if it were right. */
	next(manifest: Manifest): EditRecord {
		const { maintenancePosition: position, writerPosition } = manifest
		const edit = this.#edit(manifest)
		const edits = [this.#chance(0.3) ? this.#spoilt(edit, manifest) : edit]
		return { position, writerPosition, committedAtMs: position.slot, edits }
	}

	#edit(manifest: Manifest): Edit {
		switch (this.#pick(9)) {
			case 0:
				return this.#insert(manifest)
			case 1:
				return replace(liveOf(manifest).filter(() => this.#chance(0.02)))
			case 2:
				return this.#fromL0(manifest, manifest.runs[0]?.id ?? this.#mint())
			case 3:
				return this.#fromL0(manifest, this.#mint())
			case 4:
				return this.#mergeDown(manifest)
			case 5:
				return this.#progress(manifest)
			case 6: {
				const pending = manifest.pendingMerges[this.#pick(manifest.pendingMerges.length)]
				return pending === undefined ? this.#rewrite(manifest) : { kind: 'abandon', runId: pending.runId }
			}
			default:
				return this.#rewrite(manifest)
		}
	}

	/** Neighbours become fewer, of a run or of several places in it. */
	#rewrite({ runs }: Manifest): Edit {
		const run = runs[this.#pick(runs.length)]
		if (run === undefined) return replace([])
		const inputs: TableRef[] = []
		const add: AddedTable[] = []
		for (let stretches = 1 + this.#pick(3); stretches > 0; stretches--) {
			const at = this.#pick(run.tables.length)
			const stretch = run.tables.slice(at, at + 1 + this.#pick(8)).filter(table => !inputs.includes(table))
			const [first, last] = [stretch[0], stretch.at(-1)]
			if (first === undefined || last === undefined) continue
			inputs.push(...stretch)
			const table = this.#table(rangeOf(run.tables), numberOf(first.meta.smallestKey), numberOf(last.meta.largestKey))
			if (this.#chance(0.9)) add.push({ runId: run.id, table })
		}
		return replace(inputs, add)
	}

	/** Between the tables of a run, where there is room. */
	#insert({ runs }: Manifest): Edit {
		const run = runs[this.#pick(runs.length)]
		if (run === undefined) return replace([])
		const add: AddedTable[] = []
		for (let count = 1 + this.#pick(this.#chance(0.2) ? 150 : 3), at = this.#key(); count > 0; count--) {
			const from = at + 60 + this.#pick(30)
			add.push({ runId: run.id, table: this.#table(rangeOf(run.tables), from, from + this.#pick(8)) })
			at += KEYS_PER_TABLE
		}
		return replace([], add)
	}

	/** The oldest of L0 move into a run as they are. */
	#fromL0({ l0 }: Manifest, runId: string): Edit {
		const tables = l0.slice(0, 1 + this.#pick(2))
		return replace(
			tables,
			tables.map(table => ({ runId, table })),
		)
	}

	/** A run becomes part of the next one, which loses what lies in its way. */
	#mergeDown({ runs }: Manifest): Edit {
		const at = this.#pick(runs.length - 1)
		const [newer, older] = [runs[at], runs[at + 1]]
		if (newer === undefined || older === undefined || this.#chance(0.7)) return replace([])
		const seqs = rangeOf([...newer.tables, ...older.tables])
		const add = older.tables.map(({ meta }) => ({
			runId: older.id,
			table: this.#table(seqs, numberOf(meta.smallestKey), numberOf(meta.largestKey)),
		}))
		return replace([...newer.tables, ...older.tables], add)
	}

	#progress(manifest: Manifest): Edit {
		const live = liveOf(manifest)
		const earlier = manifest.pendingMerges[this.#pick(manifest.pendingMerges.length + 2)]
		const at = this.#pick(live.length)
		const inputs = earlier?.inputs ?? idsOf(live.slice(at, at + 1 + this.#pick(5)))
		const outputs = (earlier?.outputs ?? []).filter(() => this.#chance(0.8))
		const from = numberOf(outputs.at(-1)?.meta.largestKey ?? Uint8Array.of(0, 0, 0, 0)) + 1
		outputs.push(this.#table([1, 9], from, from + 5))
		const merge: PendingMerge = { runId: earlier?.runId ?? this.#mint(), inputs, outputs, resumeKey: keyOf(from + 6) }
		return { kind: 'pending', merge }
	}

	/** `edit` with something about it changed that makes it wrong, mostly. */
	#spoilt(edit: Edit, manifest: Manifest): Edit {
		const live = liveOf(manifest)
		const other = live[this.#pick(live.length)] ?? this.#table([1, 2], 1, 2)
		if (edit.kind === 'pending') {
			const { merge } = edit
			const spoilt = [
				{ inputs: [...merge.inputs, 'nothing'] },
				{ inputs: [...merge.inputs, ...merge.inputs.slice(0, 1)] },
				{ outputs: [...merge.outputs, other] },
				{ outputs: merge.outputs.toReversed() },
				{ resumeKey: keyOf(0) },
			][this.#pick(5)]
			return { kind: 'pending', merge: { ...merge, ...spoilt } }
		}
		if (edit.kind !== 'replace') return { kind: 'abandon', runId: 'nothing' }
		const { remove, add } = edit
		const [first] = add
		const changed = (change: Partial<TableRef>): Partial<typeof edit> =>
			first === undefined ? {} : { add: [...add.slice(1), { ...first, table: { ...first.table, ...change } }] }
		const removed = manifest.removed[this.#pick(manifest.removed.length)]?.objectKey ?? 'sst/none'
		const meta = first?.table.meta ?? other.meta
		const spoilt: Partial<typeof edit>[] = [
			{ remove: [...remove, 'nothing'] },
			{ remove: [...remove, ...remove.slice(0, 1)] },
			{ remove: remove.slice(1) },
			{ remove: [...remove, other.id] },
			{ add: [...add, { runId: first?.runId ?? null, table: other }] },
			{ add: [...add, ...add.slice(0, 1)] },
			{ addPacks: [packOf(this.#packId())] },
			changed({ objectKey: 'sst/other' }),
			changed({ objectKey: removed }),
			changed({ meta: { ...meta, largestKey: keyOf(numberOf(meta.largestKey) + this.#pick(300)) } }),
			changed({ meta: { ...meta, maxSeq: meta.maxSeq + SEQS_PER_RUN } }),
			changed({ meta: { ...meta, minSeq: Math.max(1, meta.minSeq - SEQS_PER_RUN) } }),
		]
		return { ...edit, ...spoilt[this.#pick(spoilt.length)] }
	}

	#table([minSeq, maxSeq]: readonly [number, number], first: number, last: number): TableRef {
		const id = this.#mint()
		const seq = minSeq + this.#pick(maxSeq - minSeq + 1)
		const { meta, ...table } = tableOf(id, seq, seq + this.#pick(maxSeq - seq + 1))
		const blobUses = this.#chance(0.05) ? [{ packId: this.#packId(), count: 1, bytes: 1 }] : []
		const isInline = this.#chance(0.1)
		const elsewhere = isInline
			? { objectKey: `log/1/${this.#pick(20)}`, offset: this.#minted }
			: { objectKey: `sst/of-${id}` }
		const halfExpiresAtMs = this.#chance(0.5) ? 0 : 1 + this.#pick(1_000)
		const figures = {
			storedBytes: meta.storedBytes + this.#pick(1_000),
			tombstoneCount: meta.entryCount > 1 ? this.#pick(2) : 0,
			maxWriteMs: meta.minWriteMs + this.#pick(1_000),
			halfExpiresAtMs,
			maxExpiresAtMs: this.#chance(0.5) ? 0 : halfExpiresAtMs + this.#pick(1_000),
		}
		return {
			...table,
			...(isInline || this.#chance(0.1) ? elsewhere : {}),
			meta: {
				...meta,
				...figures,
				blobUses,
				blobRefCount: blobUses.length,
				smallestKey: keyOf(first),
				largestKey: keyOf(last),
			},
		}
	}

	#packId(): string {
		return `p${this.#pick(PACKS)}`
	}

	#key(): number {
		return this.#pick(this.#perRun) * KEYS_PER_TABLE
	}

	#mint(): string {
		return `m1-${this.#minted++}`
	}

	#pick(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	#chance(probability: number): boolean {
		return this.#random.next() < probability
	}
}

function replace(removed: readonly TableRef[], add: readonly AddedTable[] = []): Edit {
	return { kind: 'replace', remove: idsOf(removed), add, addPacks: [] }
}

function liveOf({ l0, runs }: Manifest): TableRef[] {
	return [...l0, ...runs.flatMap(run => run.tables)]
}

function idsOf(tables: readonly TableRef[]): string[] {
	return tables.map(table => table.id)
}

function packOf(id: string): BlobPackRef {
	return { id, objectKey: `blobs/${id}`, bytes: 100, valueCount: 1 }
}

function rangeOf(tables: readonly TableRef[]): readonly [number, number] {
	const metas = tables.map(table => table.meta)
	return [Math.min(...metas.map(meta => meta.minSeq)), Math.max(...metas.map(meta => meta.maxSeq))]
}

function keyOf(number: number): Uint8Array {
	const key = Buffer.alloc(4)
	key.writeUInt32BE(number)
	return key
}

function numberOf(key: Uint8Array): number {
	return Buffer.from(key).readUInt32BE()
}
