/**
 * Maintenance on paper: tables are lists of entries, and a choice is applied at once by the rules that bind whoever carries
 * it out. Beside them stands the whole history, which says what a read must answer.
 */
import { expect } from 'vitest'
import { compareBytes } from '../../src/bytes/compare.ts'
import type { Choice, MergeChoice } from '../../src/maintenance/choice.ts'
import { tablesOfChoice } from '../../src/maintenance/choice.ts'
import type { MaintenanceSettings } from '../../src/maintenance/options.ts'
import { choose } from '../../src/maintenance/policy.ts'
import type { PolicyContext } from '../../src/maintenance/policy-scene.ts'
import { overlap } from '../../src/maintenance/run-facts.ts'
import { EXPIRY_MARGIN_MS } from '../../src/manifest/expiry-margin.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, SortedRun, TableRef } from '../../src/manifest/manifest.ts'
import { halfExpiryOf } from '../support/half-expiry.ts'

export interface ModelEntry {
	readonly key: number
	readonly seq: number
	readonly isTombstone: boolean
	/** 0: never. */
	readonly expiresAtMs: number
	readonly writeMs: number
}

const ENTRY_BYTES = 64
const START_MS = 1_700_000_000_000

function keyBytes(key: number): Uint8Array {
	return Uint8Array.of(key >>> 8, key & 255)
}

export class PolicyModel {
	manifest: Manifest = EMPTY_MANIFEST
	nowMs: number = START_MS
	bytesWritten = 0
	readonly settings: MaintenanceSettings
	readonly #entries = new Map<string, readonly ModelEntry[]>()
	/** The newest entry of each key, ever. */
	readonly #newest = new Map<number, ModelEntry>()
	#seq = 0
	#minted = 0

	constructor(settings: MaintenanceSettings) {
		this.settings = settings
	}

	/** One commit: an L0 table. */
	commit(writes: readonly { readonly key: number; readonly isTombstone?: boolean; readonly ttlMs?: number }[]): void {
		const entries = writes.map(({ key, isTombstone = false, ttlMs = 0 }) => {
			const expiresAtMs = ttlMs === 0 || isTombstone ? 0 : this.nowMs + ttlMs
			const entry = { key, seq: ++this.#seq, isTombstone, expiresAtMs, writeMs: this.nowMs }
			this.#newest.set(key, entry)
			return entry
		})
		if (entries.length === 0) return
		this.manifest = { ...this.manifest, l0: [...this.manifest.l0, this.#tableOf(entries)] }
	}

	choose(context?: PolicyContext): Choice | undefined {
		return choose(this.manifest, this.nowMs, this.settings, context)
	}

	/** Applies choices until there is none. Fails when that never ends. */
	rest(quarantined: ReadonlySet<string> = new Set()): number {
		const { l0, runs } = this.manifest
		const limit = 50 + 4 * (l0.length + runs.reduce((sum, run) => sum + run.tables.length, 0))
		for (let steps = 0; ; steps++) {
			const choice = this.choose({ busy: new Set(), quarantined })
			if (choice === undefined) return steps
			expect(steps, `it never rests: ${choice.why}`).toBeLessThan(limit)
			if (choice.kind === 'merge') expect(choice.inputs.filter(table => quarantined.has(table.id))).toEqual([])
			this.apply(choice)
		}
	}

	apply(choice: Choice): void {
		switch (choice.kind) {
			case 'merge':
				this.#replace(choice.inputs, this.#merged(choice), choice.runId)
				break
			case 'move':
				this.#replace(choice.tables, choice.tables, choice.runId)
				break
			case 'drop':
				this.#replace(choice.tables, [], undefined)
				break
			case 'abandon':
				break
			case 'rewrite-packs':
				throw new Error('the model has no packs')
		}
		const gone = new Set(tablesOfChoice(choice).map(table => table.id))
		const pendingMerges = this.manifest.pendingMerges.filter(
			merge => !(choice.kind === 'abandon' && merge === choice.merge) && !merge.inputs.some(id => gone.has(id)),
		)
		this.manifest = { ...this.manifest, pendingMerges }
		this.check()
	}

	/** The merge is left half way: only its note stays. */
	suspend({ inputs }: MergeChoice): void {
		const ids = inputs.map(table => table.id)
		const merge = { runId: `p${this.#minted++}`, inputs: ids, outputs: [], resumeKey: keyBytes(0) }
		this.manifest = { ...this.manifest, pendingMerges: [...this.manifest.pendingMerges, merge] }
	}

	/** What a read answers: the newest entry of the key in any table, or `undefined`. */
	read(key: number): ModelEntry | undefined {
		let newest: ModelEntry | undefined
		for (const table of this.tables) {
			for (const entry of this.entriesOf(table)) {
				if (entry.key === key && entry.seq > (newest?.seq ?? 0)) newest = entry
			}
		}
		return newest === undefined || this.#isGone(newest) ? undefined : newest
	}

	/** Every read is right: what was written last, or, if retention let it go, nothing. Never something older. */
	checkReads(): void {
		const { retention } = this.settings
		for (const [key, newest] of this.#newest) {
			const found = this.read(key)
			const expected = this.#isGone(newest) ? undefined : newest
			const isOld = retention !== undefined && newest.writeMs < this.nowMs - retention.retentionPeriodMs
			if (found === undefined && isOld) continue
			expect(found?.seq, `key ${key}`).toBe(expected?.seq)
		}
	}

	get tables(): readonly TableRef[] {
		return [...this.manifest.l0, ...this.manifest.runs.flatMap(run => run.tables)]
	}

	entriesOf(table: TableRef): readonly ModelEntry[] {
		return this.#entries.get(table.id) ?? []
	}

	/** The invariants of a manifest. */
	check(): void {
		const { l0, runs } = this.manifest
		const rangeOf = (tables: readonly TableRef[]): readonly [number, number] => [
			Math.min(...tables.map(table => table.meta.minSeq)),
			Math.max(...tables.map(table => table.meta.maxSeq)),
		]
		const ranges = [...runs.toReversed().map(run => rangeOf(run.tables)), ...l0.map(table => rangeOf([table]))]
		for (const [i, range] of ranges.entries()) {
			if (i > 0) expect(range[0], 'older below newer').toBeGreaterThan(ranges[i - 1]?.[1] ?? 0)
		}
		for (const { tables } of runs) {
			expect(tables.length).toBeGreaterThan(0)
			for (const [i, table] of tables.entries()) {
				const before = tables[i - 1]
				if (before === undefined) continue
				expect(compareBytes(before.meta.largestKey, table.meta.smallestKey), 'tables of a run').toBeLessThan(0)
			}
		}
	}

	#isGone({ isTombstone, expiresAtMs }: ModelEntry): boolean {
		return isTombstone || (expiresAtMs > 0 && expiresAtMs <= this.nowMs)
	}

	#merged({ inputs }: MergeChoice): TableRef[] {
		const newest = new Map<number, ModelEntry>()
		for (const table of inputs) {
			for (const entry of this.entriesOf(table)) {
				if (entry.seq > (newest.get(entry.key)?.seq ?? 0)) newest.set(entry.key, entry)
			}
		}
		const older = this.#olderThan(inputs)
		const kept: ModelEntry[] = []
		for (const entry of [...newest.values()].sort((a, b) => a.key - b.key)) {
			const isExpired = entry.expiresAtMs > 0 && entry.expiresAtMs + EXPIRY_MARGIN_MS <= this.nowMs
			if (!entry.isTombstone && !isExpired) kept.push(entry)
			else if (older.some(table => covers(table, entry.key))) kept.push({ ...entry, isTombstone: true, expiresAtMs: 0 })
		}
		const outputs: TableRef[] = []
		const perTable = Math.floor((this.settings.compaction?.targetTableBytes ?? 0) / ENTRY_BYTES)
		for (let i = 0; i < kept.length; i += perTable) outputs.push(this.#tableOf(kept.slice(i, i + perTable)))
		this.bytesWritten += kept.length * ENTRY_BYTES
		return outputs
	}

	/** Tables that hold older entries than `inputs` do. */
	#olderThan(inputs: readonly TableRef[]): readonly TableRef[] {
		const { l0, runs } = this.manifest
		const ids = new Set(inputs.map(table => table.id))
		const lastRun = runs.findLastIndex(run => run.tables.some(table => ids.has(table.id)))
		const older = runs.slice(lastRun + 1).flatMap(run => run.tables)
		const last = l0.findLastIndex(table => ids.has(table.id))
		return [...older, ...l0.slice(0, last + 1).filter(table => !ids.has(table.id))]
	}

	#replace(remove: readonly TableRef[], add: readonly TableRef[], runId: string | undefined): void {
		const gone = new Set(remove.map(table => table.id))
		for (const { id } of remove) {
			const holders = this.tables.filter(table => table.id === id)
			expect(holders, `table ${id} stands once`).toHaveLength(1)
		}
		const stays = (table: TableRef): boolean => !gone.has(table.id)
		let runs: SortedRun[] = this.manifest.runs.map(run =>
			run.tables.every(stays) ? run : { id: run.id, tables: run.tables.filter(stays) },
		)
		if (add.length > 0) {
			const id = runId ?? `r${this.#minted++}`
			const target = runs.find(run => run.id === id)
			const tables = [...(target?.tables ?? []), ...add].sort((a, b) =>
				compareBytes(a.meta.smallestKey, b.meta.smallestKey),
			)
			runs = [...runs.filter(run => run !== target), { id, tables }]
		}
		const maxSeq = ({ tables }: SortedRun): number => Math.max(...tables.map(table => table.meta.maxSeq))
		runs = runs.filter(run => run.tables.length > 0).sort((a, b) => maxSeq(b) - maxSeq(a))
		this.manifest = { ...this.manifest, l0: this.manifest.l0.filter(stays), runs }
	}

	#tableOf(entries: readonly ModelEntry[]): TableRef {
		const id = `t${this.#minted++}`
		const sorted = entries.toSorted((a, b) => a.key - b.key || b.seq - a.seq)
		const seqs = entries.map(entry => entry.seq)
		const times = entries.map(entry => entry.writeMs)
		const expiries = entries.map(entry => entry.expiresAtMs)
		this.#entries.set(id, sorted)
		const storedBytes = ENTRY_BYTES * entries.length
		const meta = {
			formatVersion: 2,
			codec: 'none' as const,
			entryCount: entries.length,
			keyCount: new Set(entries.map(entry => entry.key)).size,
			tombstoneCount: entries.filter(entry => entry.isTombstone).length,
			blobRefCount: 0,
			blobUses: [],
			smallestKey: keyBytes(sorted[0]?.key ?? 0),
			largestKey: keyBytes(sorted.at(-1)?.key ?? 0),
			minSeq: Math.min(...seqs),
			maxSeq: Math.max(...seqs),
			minWriteMs: Math.min(...times),
			maxWriteMs: Math.max(...times),
			maxExpiresAtMs: expiries.includes(0) ? 0 : Math.max(...expiries),
			halfExpiresAtMs: halfExpiryOf(expiries),
			rawBytes: storedBytes,
			storedBytes,
			metaOffset: 0,
		}
		return { id, objectKey: `sst/${id}`, offset: 0, meta }
	}
}

function covers(table: TableRef, key: number): boolean {
	const at = { ...table, meta: { ...table.meta, smallestKey: keyBytes(key), largestKey: keyBytes(key) } }
	return overlap(table, at)
}
