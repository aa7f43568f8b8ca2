/**
 * Random histories of both logs as pure data: commits, and edits that a maintainer might make of the state it has folded.
 * Beside the state they keep a naive account of every object that was ever made, and what became of it.
 */
import { type Random, seededRandom } from '../../src/host/random.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import type { Commit } from '../../src/manifest/commit.ts'
import type { Edit, EditRecord } from '../../src/manifest/edit.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { applyEdits } from '../../src/manifest/fold-edits.ts'
import type { BlobPackRef, Manifest, PendingMerge, TableRef } from '../../src/manifest/manifest.ts'
import { tableOf } from './manifest-arbitraries.ts'

const KEYS = 200

export class StateHistory {
	readonly commits: Commit[] = []
	readonly records: EditRecord[] = []
	/** Objects that were ever part of the state, and those that were deleted. */
	readonly made: Set<string> = new Set()
	readonly deleted: Set<string> = new Set()
	manifest: Manifest = EMPTY_MANIFEST
	readonly #random: Random
	#minted = 0
	#nowMs = 1_000

	constructor(seed: number) {
		this.#random = seededRandom(seed)
	}

	/** `steps` records of either log. */
	run(steps: number): this {
		for (let step = 0; step < steps; step++) {
			this.#nowMs += this.pick(50)
			if (this.commits.length === 0 || this.chance(0.5)) this.commit()
			else this.edit()
		}
		return this
	}

	pick(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	chance(probability: number): boolean {
		return this.#random.next() < probability
	}

	commit(): void {
		const position = this.#follow(this.manifest.writerPosition)
		const tables: TableRef[] = []
		const blobPacks: BlobPackRef[] = []
		let { lastSeq } = this.manifest
		const isInline = this.chance(0.5)
		const count = this.pick(3)
		if (this.chance(0.3) && count > 0) blobPacks.push(this.#pack('w'))
		for (let i = 0; i < count; i++) {
			const id = this.#mint('w')
			const table = spanned(tableOf(id, lastSeq + 1, lastSeq + 1 + this.pick(9)), this.pick(KEYS), KEYS)
			lastSeq = table.meta.maxSeq
			const place = isInline ? { objectKey: `log/${position.epoch}/${position.slot}`, offset: 50 + i * 20 } : {}
			tables.push({ ...table, ...place, meta: { ...table.meta, ...usesOf(blobPacks) } })
		}
		for (const { objectKey } of [...tables, ...blobPacks]) this.made.add(objectKey)
		const firstSeq = this.manifest.lastSeq + 1
		this.#fold({ position, firstSeq, lastSeq, committedAtMs: this.#nowMs, tables, blobPacks })
	}

	edit(): void {
		const edits: Edit[] = []
		let { manifest } = this
		const position = this.#follow(manifest.maintenancePosition)
		const writerPosition = manifest.writerPosition
		for (let count = 1 + this.pick(2); count > 0; count--) {
			const edit = this.#choose(manifest)
			if (edit === undefined) continue
			edits.push(edit)
			const record = { position, writerPosition, committedAtMs: this.#nowMs, edits: [edit] }
			manifest = { ...applyEdits(manifest, [record]), maintenancePosition: position }
		}
		const record = { position, writerPosition, committedAtMs: this.#nowMs, edits }
		this.records.push(record)
		this.manifest = applyEdits(this.manifest, [record])
	}

	#choose(manifest: Manifest): Edit | undefined {
		switch (this.pick(10)) {
			case 0:
				return { kind: 'maintainer', note: { policies: ['merge'], writerEpoch: this.pick(3) } }
			case 1:
				return this.#announce(manifest)
			case 2: {
				const mark = manifest.marks[this.pick(manifest.marks.length)]
				return mark === undefined ? undefined : { kind: 'floor', position: mark.position }
			}
			case 3: {
				const objectKeys = manifest.removed.filter(() => this.chance(0.5)).map(object => object.objectKey)
				for (const key of objectKeys) this.deleted.add(key)
				return { kind: 'deleted', objectKeys }
			}
			case 4: {
				const pending = manifest.pendingMerges[this.pick(manifest.pendingMerges.length)]
				return pending === undefined ? undefined : { kind: 'abandon', runId: pending.runId }
			}
			case 5:
			case 6:
				return this.#progress(manifest)
			case 7:
				return this.#drop(manifest)
			default:
				return this.chance(0.3) ? this.#complete(manifest) : this.#merge(manifest)
		}
	}

	#announce(manifest: Manifest): Edit | undefined {
		const { maintenancePosition, writerPosition, lastSeq, lastCommitMs, announced } = manifest
		const isSame =
			announced?.maintenancePosition.epoch === maintenancePosition.epoch &&
			announced.maintenancePosition.slot === maintenancePosition.slot
		if (isSame) return undefined
		const mark = { position: writerPosition, lastSeq, committedAtMs: lastCommitMs }
		return { kind: 'announce', checkpoint: { maintenancePosition, writerPosition }, mark }
	}

	/** A prefix of L0, with or without the newest runs, becomes a run. */
	#inputs(manifest: Manifest): TableRef[] {
		const prefix = manifest.l0.slice(0, this.pick(manifest.l0.length + 1))
		const runs = manifest.runs.slice(0, prefix.length === 0 ? 1 + this.pick(2) : this.pick(2))
		return [...prefix, ...runs.flatMap(run => run.tables)]
	}

	#merge(manifest: Manifest): Edit | undefined {
		const inputs = this.#inputs(manifest)
		if (inputs.length === 0) return undefined
		const isMove = inputs.length === 1 && this.chance(0.5)
		const runId = this.#mint('m')
		const pack = this.chance(0.2) ? this.#pack('m') : undefined
		const outputs = isMove ? inputs : this.#outputs(inputs, pack)
		for (const { objectKey } of outputs) this.made.add(objectKey)
		const addPacks = pack === undefined || outputs.length === 0 || isMove ? [] : [pack]
		for (const { objectKey } of addPacks) this.made.add(objectKey)
		return { kind: 'replace', remove: idsOf(inputs), add: outputs.map(table => ({ runId, table })), addPacks }
	}

	#progress(manifest: Manifest): Edit | undefined {
		const earlier = manifest.pendingMerges[this.pick(manifest.pendingMerges.length + 1)]
		const inputs = earlier?.inputs ?? idsOf(this.#inputs(manifest))
		if (inputs.length === 0) return undefined
		const from = earlier?.outputs.at(-1)?.meta.largestKey[0] ?? 0
		const start = from + 1 + this.pick(5)
		if (start > KEYS) return undefined
		const next = spanned(tableOf(this.#mint('m'), 1, 2), start, start + this.pick(5))
		const outputs = [...(earlier?.outputs ?? []).filter(() => this.chance(0.9)), next]
		this.made.add(next.objectKey)
		const resumeKey = Uint8Array.of((next.meta.largestKey[0] as number) + 1)
		const merge: PendingMerge = { runId: earlier?.runId ?? this.#mint('m'), inputs, outputs, resumeKey }
		return { kind: 'pending', merge }
	}

	/** Outputs take the sequence numbers of their inputs. */
	#complete(manifest: Manifest): Edit | undefined {
		const pending = manifest.pendingMerges[this.pick(manifest.pendingMerges.length)]
		if (pending === undefined) return undefined
		const all = [...manifest.l0, ...manifest.runs.flatMap(run => run.tables)]
		const inputs = all.filter(table => pending.inputs.includes(table.id))
		// Only what is still a prefix may become a run that is newer than all others.
		const newest = all.filter(table => !pending.inputs.includes(table.id)).map(table => table.meta)
		const [min, max] = rangeOf(inputs)
		if (newest.some(meta => meta.minSeq <= max && meta.maxSeq >= min)) return undefined
		if (manifest.l0.some(table => !pending.inputs.includes(table.id) && table.meta.minSeq <= max)) return undefined
		const outputs = pending.outputs
			.filter(() => this.chance(0.8))
			.map(table => ({ ...table, meta: { ...table.meta, minSeq: min, maxSeq: max } }))
		const add = outputs.map(table => ({ runId: pending.runId, table }))
		return { kind: 'replace', remove: idsOf(inputs), add, addPacks: [] }
	}

	#drop(manifest: Manifest): Edit {
		const all = [...manifest.l0, ...manifest.runs.flatMap(run => run.tables)]
		return { kind: 'replace', remove: idsOf(all.filter(() => this.chance(0.1))), add: [], addPacks: [] }
	}

	#outputs(inputs: readonly TableRef[], pack: BlobPackRef | undefined): TableRef[] {
		const [min, max] = rangeOf(inputs)
		const uses = [...new Set(inputs.flatMap(table => table.meta.blobUses.map(use => use.packId)))]
		const kept = uses.filter(() => this.chance(0.5))
		const used = usesOf([...kept.map(id => ({ id })), ...(pack === undefined ? [] : [pack])])
		return Array.from({ length: this.pick(3) }, (_, i) => {
			const table = spanned(tableOf(this.#mint('m'), min, max), i * 60, i * 60 + 59)
			return { ...table, meta: { ...table.meta, ...used } }
		})
	}

	#pack(role: string): BlobPackRef {
		const id = this.#mint(role)
		const pack = { id, objectKey: `blobs/${id}`, bytes: 100, valueCount: 1 }
		if (role === 'w') this.made.add(pack.objectKey)
		return pack
	}

	#mint(role: string): string {
		return `${role}1-${this.#minted++}`
	}

	/** The next slot, now and then of the next epoch. */
	#follow({ epoch, slot }: LogPosition): LogPosition {
		return epoch === 0 || this.chance(0.1) ? { epoch: epoch + 1, slot: 0 } : { epoch, slot }
	}

	#fold(commit: Commit): void {
		this.commits.push(commit)
		this.manifest = applyCommits(this.manifest, [commit])
	}
}

function spanned(table: TableRef, first: number, last: number): TableRef {
	return { ...table, meta: { ...table.meta, smallestKey: Uint8Array.of(first), largestKey: Uint8Array.of(last) } }
}

function usesOf(packs: readonly Pick<BlobPackRef, 'id'>[]): Pick<TableRef['meta'], 'blobUses' | 'blobRefCount'> {
	return { blobUses: packs.map(({ id }) => ({ packId: id, count: 1, bytes: 1 })), blobRefCount: packs.length }
}

function idsOf(tables: readonly TableRef[]): string[] {
	return tables.map(table => table.id)
}

function rangeOf(tables: readonly TableRef[]): [number, number] {
	return [Math.min(...tables.map(table => table.meta.minSeq)), Math.max(...tables.map(table => table.meta.maxSeq))]
}
