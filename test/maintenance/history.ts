/**
 * One random history of a database and its maintainers, judged against a plain list of mutations at every step.
 *
 * A writer, a reader and two maintainers are processes of their own on one store in memory and one clock that is driven by
 * hand. Each step is drawn from the seed: writes of every form, reads of every form, time, maintenance, takeovers, and deaths
 * at any request. At the end everything comes to rest, and the store must hold exactly what its state needs.
 */
import { createHash } from 'node:crypto'
import type { Host } from '../../src/host/host.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'
import {
	createInlinePool,
	type Database,
	type DatabaseReader,
	type JobPool,
	openReader,
	type RangeOptions,
} from '../../src/index.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { auditStore } from '../support/store-audit.ts'
import { VirtualProcess } from '../support/virtual-process.ts'
import type { PlantedBug } from './history-bugs.ts'
import { Maintainers } from './history-maintainers.ts'
import { HistoryModel } from './history-model.ts'
import { collect, Readings, type ReadPlace } from './history-readings.ts'
import { type HistorySettings, historySettings } from './history-settings.ts'
import { Writers } from './history-writers.ts'

export interface HistoryOptions {
	readonly seed: number
	readonly bug?: PlantedBug | undefined
	/** Default: inline pools. */
	readonly newPool?: ((host: Host) => JobPool) | undefined
	/** Nobody stands still, nobody dies: what happens does not depend on how long jobs take. */
	readonly isOrderly?: boolean | undefined
	/** Told each step: for whoever looks at one seed. */
	readonly trace?: ((line: string) => void) | undefined
}

interface LivingReader {
	readonly process: VirtualProcess
	readonly db: DatabaseReader
	/** When it was brought up to date. */
	seenMs: number
}

export interface HistoryReport {
	readonly faults: readonly string[]
	/** Of everything that was read. */
	readonly digest: string
	readonly works: number
	readonly deleted: number
	readonly fenced: number
	readonly killed: number
	readonly expiries: number
	readonly mutations: number
}

/** Clocks that are this far off are trusted. */
const TRUSTED_SKEW_MS = 300_000
const MINUTES_TO_REST_MAX = 720
const TURNS_A_MINUTE = 20
/** Calls that wait for longer wait for something that never comes. */
const TURNS_MAX = 20_000

export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
	const history = new History(options)
	await history.run()
	return history.report()
}

class History {
	readonly #random: Random
	readonly #settings: HistorySettings
	readonly #options: HistoryOptions
	readonly #clock = new ManualClock()
	readonly #store = new MemoryStore({ host: { clock: this.#clock, random: seededRandom(1) } })
	readonly #model: HistoryModel
	readonly #maintainers: Maintainers
	readonly #readings: Readings
	readonly #faults: string[] = []
	readonly #hash = createHash('sha256')
	#digest = ''
	#step = ''
	#started = 1000
	#reader: LivingReader | undefined
	readonly #writers: Writers

	constructor(options: HistoryOptions) {
		this.#options = options
		this.#random = seededRandom(options.seed)
		this.#settings = historySettings(this.#random)
		const { retention, gracePeriodMs, changeRetentionMs } = this.#settings.maintenance
		this.#model = new HistoryModel((retention?.retentionPeriodMs ?? Number.POSITIVE_INFINITY) - TRUSTED_SKEW_MS)
		const fault = (what: string): void => void this.#faults.push(`${this.#step}: ${what}`)
		const settle = <Value>(work: Promise<Value>): Promise<Value> => this.#settle(work)
		const { bug, newPool } = options
		this.#maintainers = new Maintainers({
			store: this.#store,
			clock: this.#clock,
			random: this.#random,
			settings: this.#settings,
			bug,
			newPool,
			fault,
			settle,
		})
		this.#writers = new Writers({
			store: this.#store,
			clock: this.#clock,
			random: this.#random,
			settings: this.#settings,
			model: this.#model,
			newPool,
			fault,
			settle,
			onGone: db => this.#readings.forget(db),
		})
		this.#readings = new Readings({
			model: this.#model,
			gracePeriodMs,
			// A maintainer whose clock is ahead thinks that commits are older.
			changeRetentionMs: changeRetentionMs - trustedSkewMs(this.#settings),
			nowMs: () => this.#clock.nowMs(),
			fault,
			note: what => void this.#hash.update(what),
			settle,
		})
	}

	async run(): Promise<void> {
		try {
			await this.#writers.open()
			await this.#openReader()
			for (let step = 0; step < this.#settings.commands && this.#faults.length === 0; step++) {
				const command = this.#draw()
				this.#step = `step ${step} ${command.name}`
				this.#options.trace?.(`${this.#step} seq=${this.#model.lastSeq} durable=${this.#model.durable}`)
				await command.run()
			}
			if (this.#faults.length === 0) await this.#comeToRest()
		} catch (error) {
			this.#faults.push(`${this.#step}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
		}
		this.#writers.end()
		this.#reader?.process.kill(this.#random)
	}

	report(): HistoryReport {
		const { works, deleted, fenced, killed } = this.#maintainers
		this.#digest ||= this.#hash.digest('hex')
		return {
			faults: this.#faults,
			digest: this.#digest,
			works,
			deleted,
			fenced,
			killed,
			expiries: this.#readings.expiries,
			mutations: this.#model.lastSeq,
		}
	}

	#draw(): { readonly name: string; run(): Promise<void> } {
		const isDisorderly = this.#options.isOrderly !== true
		const slot = this.#below(2)
		const commands: readonly (readonly [weight: number, name: string, run: () => Promise<void>])[] = [
			[20, 'write', () => this.#writers.write()],
			[3, 'batch', () => this.#writers.batch()],
			[2, 'stream', () => this.#writers.stream()],
			[18, 'flush', () => this.#writers.flush()],
			[8, 'pass time', () => this.#passTime()],
			[8, 'maintain', () => this.#maintainers.work(slot)],
			[isDisorderly ? 8 : 0, 'maintain a while', () => this.#maintainers.workAWhile(slot)],
			[isDisorderly ? 3 : 0, 'fence maintainer', () => this.#maintainers.fence(slot)],
			[isDisorderly ? 3 : 0, 'kill maintainer', async () => this.#maintainers.kill(slot)],
			[1, 'close maintainer', () => this.#maintainers.close(slot)],
			[8, 'read', () => this.#read()],
			[3, 'take snapshot', async () => this.#readings.takeSnapshot(this.#place())],
			[5, 'read snapshots', () => this.#readings.readSnapshots(this.#range(), this.#someKeys())],
			[2, 'drop snapshot', () => this.#readings.dropSnapshot()],
			[4, 'begin scan', () => this.#readings.beginScan(this.#place(), this.#range())],
			[3, 'end scans', () => this.#readings.endScans()],
			[5, 'tail', () => this.#tail()],
			[2, 'pin', () => this.#readings.makePin(this.#store, { clock: this.#clock, random: this.#random })],
			[3, 'read pins', () => this.#readings.readPins(this.#store)],
			[1, 'release pin', () => this.#readings.releasePins(this.#store, 1)],
			[2, 'reopen', () => this.#writers.reopen()],
			[2, 'take over', () => this.#writers.takeOver()],
			[isDisorderly ? 3 : 0, 'kill writer', () => this.#writers.kill()],
			[isDisorderly ? 2 : 0, 'stall writer', () => this.#writers.stall()],
			[1, 'another reader', () => this.#openReader()],
		]
		let left = this.#random.next() * commands.reduce((sum, [weight]) => sum + weight, 0)
		for (const [weight, name, run] of commands) {
			left -= weight
			if (left < 0) return { name, run }
		}
		return { name: 'nothing', run: async () => undefined }
	}

	/** Reads what is asked for in every way, from the writer's process and from the reader. */
	async #read(): Promise<void> {
		const range = this.#range()
		const keys = this.#someKeys()
		await this.#compare('the writer', this.#writers.db, range, keys)
		const reader = this.#theReader
		if (this.#below(3) > 0) {
			await this.#settle(reader.db.refresh())
			reader.seenMs = this.#clock.nowMs()
		}
		await this.#compare('the reader', reader.db, range, keys)
	}

	async #compare(
		name: string,
		source: Database | DatabaseReader,
		range: RangeOptions<string>,
		keys: readonly string[],
	): Promise<void> {
		const nowMs = this.#clock.nowMs()
		const before = source.stats().lastSeq
		const judge = (wrongAt: (cut: number) => string | undefined, read: unknown): void => {
			this.#hash.update(JSON.stringify(read ?? null))
			// A read that finds its objects gone takes a newer view.
			const wrong = wrongAt(before) && wrongAt(source.stats().lastSeq)
			if (wrong !== undefined) this.#faults.push(`${this.#step}: ${name}: ${wrong}`)
		}
		const values = await this.#settle(source.getMany(keys))
		for (const [i, key] of keys.entries()) {
			judge(cut => this.#model.judgeValue(key, values[i], nowMs, cut), values[i])
			const value = await this.#settle(source.get(key))
			judge(cut => this.#model.judgeValue(key, value, nowMs, cut), value)
		}
		try {
			const rows = await this.#settle(collect(source.entries(range)))
			judge(cut => this.#model.judgeRows(rows, range, nowMs, cut), rows)
		} catch (error) {
			this.#readings.judgeExpiry(name, error, source === this.#reader?.db ? this.#reader.seenMs : undefined)
		}
	}

	async #tail(): Promise<void> {
		await this.#writers.flush()
		await this.#settle(this.#theReader.db.refresh())
		this.#theReader.seenMs = this.#clock.nowMs()
		await this.#readings.tail(this.#theReader.db)
	}

	/** Seconds to hours; what is open outlives the grace period or does not. */
	async #passTime(): Promise<void> {
		await this.#clock.advance(Math.floor(10 ** (this.#random.next() * 7)))
	}

	#place(): ReadPlace {
		const { db, seenMs } = this.#theReader
		if (this.#below(2) === 0) return { source: db, cut: db.stats().lastSeq, seenMs }
		return { source: this.#writers.db, cut: this.#model.lastSeq, seenMs: undefined }
	}

	async #openReader(): Promise<void> {
		this.#reader?.process.kill(this.#random)
		this.#readings.forget(this.#reader?.db)
		const process = new VirtualProcess(this.#store, this.#clock, ++this.#started)
		const { cacheBytes, maintenance } = this.#settings
		const db = await this.#settle(
			openReader(process.store, {
				host: process.host,
				pool: this.#options.newPool?.(process.host) ?? createInlinePool(process.host),
				refreshIntervalMs: 0,
				blockCacheBytes: cacheBytes,
				tableCacheBytes: cacheBytes,
				gracePeriodMs: maintenance.gracePeriodMs,
			}),
		)
		this.#reader = { process, db, seenMs: this.#clock.nowMs() }
	}

	get #theReader(): LivingReader {
		if (this.#reader === undefined) throw new Error('there is no reader')
		return this.#reader
	}

	/** Whoever stands still dies; what is open is closed; then everything that is due is done, and nothing may be left over. */
	async #comeToRest(): Promise<void> {
		this.#step = 'at rest'
		await this.#readings.readSnapshots({}, [])
		await this.#readings.endScans()
		await this.#readings.readPins(this.#store)
		await this.#writers.flush()
		await this.#readings.releasePins(this.#store, Number.POSITIVE_INFINITY)
		await this.#readings.close()
		for (const slot of [0, 1]) this.#maintainers.kill(slot)
		let audit = await auditStore(this.#store)
		// Whoever leaves writes a last checkpoint: what that lets go is for the next one, after the grace period.
		await this.#maintainers.while(async () => {
			for (let minute = 1; minute <= MINUTES_TO_REST_MAX; minute++) {
				// A job that takes longer than two minutes of this clock is given up.
				for (let turn = 0; turn < TURNS_A_MINUTE; turn++) {
					await this.#clock.yieldToIo()
					await this.#maintainers.untilNoJobs()
				}
				await this.#clock.advance(60_000)
				if (minute % 60 > 0 || minute < 120) continue
				audit = await auditStore(this.#store)
				if (audit.orphans.length + audit.waiting.length === 0) break
			}
		})
		const { missing, orphans, waiting } = audit
		if (missing.length > 0) this.#faults.push(`missing: ${missing.join(' ')}`)
		if (orphans.length > 0) this.#faults.push(`nobody needs: ${orphans.join(' ')}`)
		if (waiting.length > 0) this.#faults.push(`never deleted: ${waiting.join(' ')}`)
		await this.#openReader()
		await this.#compare('the writer', this.#writers.db, {}, this.#someKeys())
		await this.#compare('the reader', this.#theReader.db, {}, this.#someKeys())
	}

	#range(): RangeOptions<string> {
		const range: { -readonly [Name in keyof RangeOptions<string>]: RangeOptions<string>[Name] } = {}
		const key = (): string => `key ${this.#below(this.#settings.keys)}`
		if (this.#below(3) === 0) range.gte = key()
		if (this.#below(3) === 0) range.lt = key()
		if (this.#below(3) === 0) range.limit = this.#below(8)
		range.reverse = this.#below(2) === 0
		return range
	}

	#someKeys(): string[] {
		return Array.from({ length: 1 + this.#below(4) }, () => `key ${this.#below(this.#settings.keys + 1)}`)
	}

	#below(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	async #settle<Value>(work: Promise<Value>): Promise<Value> {
		if (this.#options.newPool !== undefined) return await work
		let isOver = false
		const end = (): void => {
			isOver = true
		}
		work.then(end, end)
		for (let turn = 0; turn < TURNS_MAX && !isOver; turn++) await this.#clock.yieldToIo()
		if (!isOver) throw new Error('a call never answers')
		return await work
	}
}

/** The most that a wall clock of maintainers is ahead, of those that are trusted. */
function trustedSkewMs({ skewsMs }: HistorySettings): number {
	return Math.max(0, ...skewsMs.filter(skewMs => skewMs <= TRUSTED_SKEW_MS))
}
