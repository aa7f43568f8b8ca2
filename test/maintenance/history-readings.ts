/**
 * What a history keeps open or remembers, to be read later: snapshots, scans that have begun, cursors of tails, pins.
 *
 * A reader that has seen the state within the grace period must be given all of it. Past that (always, at grace 0) the typed
 * `ISLE_EXPIRED` is as good; a wrong or an incomplete answer never is. So is it for the writer's own process, which nobody
 * tells of edits that another process makes.
 */
import {
	type Database,
	type DatabaseReader,
	type IsleError,
	isIsleError,
	type RangeOptions,
	type Snapshot,
} from '../../src/index.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import { createPin, releasePin, type StoredPin } from '../../src/manifest/pin.ts'
import { decodeCursor } from '../../src/tail/cursor.ts'
import type { ModelRow } from '../database/database-model.ts'
import type { HistoryModel } from './history-model.ts'
import { rowsOf } from './rig.ts'

/** Where a history reads from. */
export interface ReadPlace {
	readonly source: Database | DatabaseReader
	/** Of what it has seen, sequence numbers up to this are shown. */
	readonly cut: number
	/** When its view was brought up to date; `undefined`: nobody knows. */
	readonly seenMs: number | undefined
}

interface Kept {
	readonly source: Database | DatabaseReader
	readonly cut: number
	readonly takenMs: number
	readonly seenMs: number | undefined
}

interface KeptSnapshot extends Kept {
	readonly snapshot: Snapshot<string, string>
}

interface KeptScan extends Kept {
	readonly range: RangeOptions<string>
	readonly rows: AsyncIterator<[string, string], undefined>
	readonly given: readonly ModelRow[]
	readonly newerCut: number
}

interface KeptPin {
	readonly pin: StoredPin
	readonly cut: number
}

interface KeptCursor {
	readonly cursor: string
	readonly seq: number
}

export interface ReadingsContext {
	readonly model: HistoryModel
	readonly gracePeriodMs: number
	readonly changeRetentionMs: number
	readonly nowMs: () => number
	/** A cut of the model: what was committed and is not there any more was never seen by anybody. */
	readonly fault: (what: string) => void
	/** Everything that was read, for whoever compares two runs of one history. */
	readonly note: (what: string) => void
	/** Waits; a call that never answers is a fault. */
	readonly settle: <Value>(work: Promise<Value>) => Promise<Value>
}

export class Readings {
	readonly #context: ReadingsContext
	#snapshots: KeptSnapshot[] = []
	#scans: KeptScan[] = []
	#cursor: KeptCursor | undefined
	readonly #pins: KeptPin[] = []
	/** How often what is past the grace period was in fact gone. */
	expiries = 0

	constructor(context: ReadingsContext) {
		this.#context = context
	}

	takeSnapshot({ source, cut, seenMs }: ReadPlace): void {
		const { nowMs } = this.#context
		this.#snapshots.push({ source, snapshot: source.snapshot(), cut, seenMs, takenMs: nowMs() })
	}

	async readSnapshots(range: RangeOptions<string>, keys: readonly string[]): Promise<void> {
		const { model, settle, nowMs } = this.#context
		for (const kept of this.#snapshots) {
			const { snapshot, cut, takenMs } = kept
			await this.#unlessExpired('a snapshot', kept, async () => {
				const rows = await settle(collect(snapshot.entries(range)))
				this.#judge('a snapshot', model.judgeRows(rows, range, takenMs, cut, nowMs()), rows)
				const values = await settle(snapshot.getMany(keys))
				for (const [i, key] of keys.entries()) {
					this.#judge('a snapshot', model.judgeValue(key, values[i], takenMs, cut, nowMs()), values[i])
				}
			})
		}
	}

	async dropSnapshot(): Promise<void> {
		await this.#snapshots.shift()?.snapshot.close()
	}

	async beginScan({ source, cut, seenMs }: ReadPlace, range: RangeOptions<string>): Promise<void> {
		const { nowMs, settle } = this.#context
		const rows = source.entries(range)[Symbol.asyncIterator]()
		const given: ModelRow[] = []
		const kept = { source, cut, seenMs, takenMs: nowMs(), range, rows, given }
		await this.#unlessExpired('a scan', kept, async () => {
			while (given.length < 2) {
				const next = await settle(rows.next())
				if (next.done === true) break
				given.push(next.value)
			}
			// One that found its objects gone before the first row has begun anew, with a newer view.
			this.#scans.push({ ...kept, newerCut: source.stats().lastSeq })
		})
	}

	async endScans(): Promise<void> {
		const { model, settle, nowMs } = this.#context
		for (const kept of this.#scans.splice(0)) {
			const { rows, given, range, takenMs, cut, newerCut } = kept
			await this.#unlessExpired('a scan', kept, async () => {
				const all = [...given]
				for (let next = await settle(rows.next()); next.done !== true; next = await settle(rows.next())) {
					all.push(next.value)
				}
				const wrong = model.judgeRows(all, range, takenMs, cut, nowMs())
				this.#judge('a scan', wrong && model.judgeRows(all, range, takenMs, newerCut, nowMs()), all)
			})
		}
	}

	/** Everything that a process had open is gone with it. */
	forget(source: Database | DatabaseReader | undefined): void {
		this.#snapshots = this.#snapshots.filter(kept => kept.source !== source)
		this.#scans = this.#scans.filter(kept => kept.source !== source)
	}

	/** Whether what was seen at `seenMs` may be gone; `undefined`: it may. @throws any other error. */
	judgeExpiry(what: string, error: unknown, seenMs: number | undefined): void {
		if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
		const isYoung = seenMs !== undefined && this.#ageMs(seenMs) < this.#context.gracePeriodMs
		if (isYoung) this.#context.fault(`${what} expired within the grace period: ${error.message}`)
		this.expiries++
	}

	/** All changes from the cursor that was saved last to what is committed now, and then the cursor of the last. */
	async tail(reader: DatabaseReader): Promise<void> {
		const { model } = this.#context
		const behind = this.#cursor
		if (behind === undefined) return await this.#tailFromStart(reader)
		if (behind.seq >= model.durable) return
		const error = await this.#follow(reader, behind.cursor, behind.seq)
		if (error === undefined) return
		const next = model.mutations[this.#cursor?.seq ?? behind.seq]
		const isKept = next !== undefined && this.#ageMs(next.writtenAtMs) < this.#context.changeRetentionMs
		if (isKept) this.#context.fault(`a tail expired within change retention: ${error.message}`)
		this.expiries++
		const earliest = error.details['earliest']
		this.#cursor = undefined
		if (typeof earliest !== 'string') return
		// What is left begins with a whole commit, and goes on without a gap.
		const again = await this.#follow(reader, earliest, decodeCursor(earliest).seq)
		if (again !== undefined) this.#context.fault(`the earliest cursor does not work: ${again.message}`)
	}

	async makePin(
		store: Parameters<typeof createPin>[0]['store'],
		host: Parameters<typeof createPin>[0]['host'],
	): Promise<void> {
		const load = (): ReturnType<typeof loadManifest> => loadManifest(new DatabaseLogs(store))
		const manifest = await this.#context.settle(load())
		const pinned = createPin({ store, host, name: 'history', expiresMs: 0, manifest, refresh: load })
		const pin = await this.#context.settle(pinned)
		this.#pins.push({ pin, cut: manifest.lastSeq })
	}

	async readPins(store: Parameters<typeof createPin>[0]['store']): Promise<void> {
		const { model, nowMs, settle } = this.#context
		for (const { pin, cut } of this.#pins) {
			try {
				const rows = [...(await settle(rowsOf(store, pin.manifest, nowMs())))]
				this.#judge('a pin', model.judgeRows(rows, {}, nowMs(), cut), rows)
			} catch (error) {
				this.#context.fault(`a pin: ${String(error)}`)
			}
		}
	}

	async releasePins(store: Parameters<typeof createPin>[0]['store'], count: number): Promise<void> {
		for (const { pin } of this.#pins.splice(0, count)) await this.#context.settle(releasePin(store, pin.key))
	}

	async close(): Promise<void> {
		for (const { rows } of this.#scans.splice(0)) await rows.return?.()
		for (const { snapshot } of this.#snapshots.splice(0)) await snapshot.close()
	}

	async #tailFromStart(reader: DatabaseReader): Promise<void> {
		const { model, nowMs, settle } = this.#context
		const cut = model.durable
		const changes = reader.changes({ from: 'start' })[Symbol.asyncIterator]()
		const wanted = await settle(collect(reader.keys()))
		const rows: ModelRow[] = []
		try {
			while (rows.length < wanted.length) {
				const next = await settle(changes.next())
				if (next.done === true) throw new Error('a tail has ended')
				for (const { key, value, seq, cursor } of next.value) {
					rows.push([key, value ?? ''])
					this.#cursor = { cursor, seq: Math.max(seq, cut) }
				}
			}
			this.#judge('a tail from the start', model.judgeRows(rows, {}, nowMs(), cut), rows)
		} finally {
			await changes.return?.()
		}
	}

	/** Answers the error that ended it. `seq` is that of the cursor. */
	async #follow(reader: DatabaseReader, from: string, seq: number): Promise<IsleError | undefined> {
		const { model, settle, note } = this.#context
		const changes = reader.changes({ from })[Symbol.asyncIterator]()
		let last = seq
		try {
			while (last < model.durable) {
				const next = await settle(changes.next())
				if (next.done === true) throw new Error('a tail has ended')
				for (const change of next.value) {
					const expected = model.mutations[change.seq - 1]
					const isNext = change.seq === last + 1
					const isRight = change.key === expected?.key && change.value === expected.value
					if (!isNext || !isRight) this.#context.fault(`a tail shows ${change.seq}:${change.key} behind ${last}`)
					last = change.seq
					note(`${change.seq} ${change.key}`)
					this.#cursor = { cursor: change.cursor, seq: change.seq }
				}
			}
			return undefined
		} catch (error) {
			if (isIsleError(error, 'ISLE_EXPIRED')) return error
			throw error
		} finally {
			await changes.return?.()
		}
	}

	#ageMs(sinceMs: number): number {
		return this.#context.nowMs() - sinceMs
	}

	#judge(what: string, wrong: string | undefined, read: unknown): void {
		this.#context.note(JSON.stringify(read ?? null))
		if (wrong !== undefined) this.#context.fault(`${what}: ${wrong}`)
	}

	async #unlessExpired(what: string, { seenMs }: Kept, read: () => Promise<void>): Promise<void> {
		try {
			await read()
		} catch (error) {
			this.judgeExpiry(what, error, seenMs)
		}
	}
}

export async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
	const collected: Row[] = []
	for await (const row of rows) collected.push(row)
	return collected
}
