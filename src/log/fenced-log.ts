/**
 * Reading a fenced log: one chain of epochs, each with one owner and slots 0, 1, 2 …, closed by a seal that names the
 * owner of the next epoch. `docs/fenced-log.md` has the protocol and its safety argument.
 *
 * What is read is provisional until it is confirmed: a slot below a checkpoint may have been deleted and its name used
 * again by a stalled claimer (a void seal), or be missing because it was deleted (and not because the log ends there).
 * Both are excluded by one look at the checkpoints *after* the reads: see `confirm`.
 */
import { corrupt, isIsleError } from '../errors.ts'
import type { Body, CreateOutcome, ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { comparePositions, LOG_START, type LogPosition } from './log-position.ts'
import { decodeRecord, isSameOwner, type LogRecord } from './record.ts'

/** Decimal digits of an epoch or a slot in a key: 2^53 has 16, so that byte order is numeric order. */
const ZEROS = '0'.repeat(16)
/**
 * Appends that an owner may have in flight. A record counts the slots that were settled when it was made: so one of as many
 * slots behind any other that was settled vouches for that.
 */
export const APPENDS_IN_FLIGHT_MAX = 16
/** Slots behind a free one that are asked whether it was used. */
const LOOK_BEHIND_SLOTS: number = APPENDS_IN_FLIGHT_MAX
/** Slots that are asked for at once when reading forward grow up to this many. */
const WINDOW_MAX_SLOTS = 256

export interface FencedLogOptions {
	/** The store of the database (its prefix taken off), with retries for what is idempotent. */
	readonly store: ObjectStore
	/** Folder of the log: `log` or `maintenance`. */
	readonly folder: string
	/** Where the newest checkpoint stands in this log, freshly listed; `undefined` when there is none. */
	newestCheckpoint(options: RequestOptions): Promise<LogPosition | undefined>
}

export interface ReadForwardOptions extends RequestOptions {
	/** Slots to ask for at first; it doubles while they are found. 1 for a poll, 8 for opening. */
	readonly windowSlots: number
	/** Who owns the epoch where reading begins, when an earlier read has told. */
	readonly owner?: Uint8Array | undefined
	/** Reading ends here, although the log may go on. Default: at the first free slot. */
	readonly until?: LogPosition | undefined
	/** Called for each commit, in order. What it is given is provisional until `confirm`. */
	onCommit(record: LogRecord): void
	/** Called where reading goes on and no seal was followed: the commits so far stand in the epoch where it began, without a gap. */
	onWindow?(): void
}

export interface ReadForwardResult {
	/** The first free slot, or where reading was to end. */
	readonly position: LogPosition
	/** The first seal that was followed, if any: what `confirm` must look behind. */
	readonly firstSeal: LogPosition | undefined
	/** Who owns the epoch of `position`, as far as reading has shown. */
	readonly owner?: Uint8Array | undefined
	/** At `position` stands a commit of somebody else: a void seal was followed, or the log is damaged. */
	readonly isForeign?: boolean
	/** Of the slots right behind the free one at `position`, those that were asked for along with it. */
	readonly behind?: readonly SlotReading[]
}

/** What asking for a slot behind the end of the log gave: nothing is there, or it could not be read. */
export type SlotReading = LogRecord | undefined

export class FencedLog {
	readonly #options: FencedLogOptions

	constructor(options: FencedLogOptions) {
		this.#options = options
	}

	get store(): ObjectStore {
		return this.#options.store
	}

	key(position: LogPosition): string {
		return `${this.#options.folder}/${padded(position.epoch)}/${padded(position.slot)}`
	}

	/** The record at `position`, or `undefined` when the slot is free (or deleted: see `confirm`). */
	async readSlot(position: LogPosition, options: RequestOptions = {}): Promise<LogRecord | undefined> {
		const key = this.key(position)
		const bytes = await this.#options.store.get(key, options)
		if (bytes === undefined) return undefined
		const record = decodeRecord(bytes, position, key)
		if (record.kind === 'commit' && position.epoch === 0) throw corrupt(key, 'a commit in epoch 0, which has no owner,')
		return record
	}

	/** One attempt to create the record at `position`. A store that rejects as unavailable has given no verdict either. */
	async createSlot(position: LogPosition, body: Body, options: RequestOptions = {}): Promise<CreateOutcome> {
		try {
			return await this.#options.store.createIfAbsent(this.key(position), body, options)
		} catch (cause) {
			options.signal?.throwIfAborted()
			if (isIsleError(cause, 'ISLE_UNAVAILABLE')) return { kind: 'unknown', cause }
			throw cause
		}
	}

	/** Reads from `from` to the first free slot, following seals. */
	async readForward(from: LogPosition, options: ReadForwardOptions): Promise<ReadForwardResult> {
		const { until } = options
		let position = from
		let firstSeal: LogPosition | undefined
		let { owner } = options
		let windowSlots = options.windowSlots
		for (;;) {
			const { window, behind } = await this.#readWindow(position, windowSlots, options)
			let consumed = 0
			let sealed = false
			for (const record of window) {
				if (until !== undefined && comparePositions(position, until) >= 0) return { position, firstSeal, owner }
				if (record === undefined) return { position, firstSeal, owner, behind }
				consumed++
				if (record.kind === 'seal') {
					firstSeal ??= position
					position = { epoch: position.epoch + 1, slot: 0 }
					owner = record.owner
					sealed = true
					break
				}
				if (owner !== undefined && !isSameOwner(record.owner, owner)) {
					return { position, firstSeal, owner, isForeign: true }
				}
				owner = record.owner
				options.onCommit(record)
				position = { epoch: position.epoch, slot: position.slot + 1 }
			}
			if (firstSeal === undefined) options.onWindow?.()
			// After a seal the new epoch may be short: begin small again.
			windowSlots = sealed || consumed < windowSlots ? options.windowSlots : Math.min(windowSlots * 2, WINDOW_MAX_SLOTS)
		}
	}

	/**
	 * True when what was read up to `position` is the log and no older state: no checkpoint stands beyond `position`
	 * (the free slot there was not a deleted one), nor beyond `firstSeal` (that seal is not a void one). One LIST.
	 * False: start again from the newest checkpoint. Throws `ISLE_CORRUPT` for a commit of somebody else.
	 */
	async confirm(result: ReadForwardResult, options: RequestOptions = {}): Promise<boolean> {
		if (comparePositions(result.position, LOG_START) === 0) return true
		return this.isConfirmedBy(result, await this.#options.newestCheckpoint(options))
	}

	/** The same by a look that was made after the reads: `newest` is where the newest checkpoint stands in this log. */
	isConfirmedBy(result: ReadForwardResult, newest: LogPosition | undefined): boolean {
		const { position, firstSeal, isForeign } = result
		// The first record of a log is a seal, and seals are never deleted: (0, 0) is free only before the first use.
		if (comparePositions(position, LOG_START) === 0) return true
		if (newest !== undefined && comparePositions(newest, firstSeal ?? position) > 0) return false
		if (isForeign) throw corrupt(this.key(position), 'a commit of another owner than the one of its epoch')
		return true
	}

	/**
	 * True when the slot at `position` is free although what stands behind it vouches for it: a later record of its epoch
	 * that counts it as settled, or a commit of the next epoch. Below no checkpoint, its record is lost. 17 GETs at once, less
	 * those that reading forward has made.
	 */
	async isMissing({ position, behind = [] }: ReadForwardResult, options: RequestOptions = {}): Promise<boolean> {
		const { epoch, slot } = position
		const unread = Math.max(0, LOOK_BEHIND_SLOTS - behind.length)
		const further = Array.from({ length: unread }, (_, index) => ({ epoch, slot: slot + 1 + behind.length + index }))
		const next = { epoch: epoch + 1, slot: 0 }
		const reads = await Promise.allSettled([...further, next].map(at => this.readSlot(at, options)))
		options.signal?.throwIfAborted()
		const isVouchedFor = [...behind, ...reads.map(readingOf)].some(record => {
			if (record === undefined) return false
			return record.position.epoch > epoch ? record.kind === 'commit' : record.settledSlots > slot
		})
		// Between the first read of the slot and those behind it, it may have been filled.
		return isVouchedFor && (await this.readSlot(position, options)) === undefined
	}

	/** True when a checkpoint covers the slot at `position`: what was there may have been deleted. One LIST. */
	async isBelowCheckpoint(position: LogPosition, options: RequestOptions = {}): Promise<boolean> {
		const checkpoint = await this.#options.newestCheckpoint(options)
		return checkpoint !== undefined && comparePositions(checkpoint, position) > 0
	}

	/**
	 * Records from `from` on, in order, up to the first free slot (a seal, too, ends what belongs to its epoch), and what lies
	 * behind that.
	 */
	async #readWindow(
		from: LogPosition,
		slots: number,
		options: RequestOptions,
	): Promise<{ readonly window: readonly SlotReading[]; readonly behind: readonly SlotReading[] }> {
		// Epoch 0 is one seal.
		if (slots === 1 || from.epoch === 0) return { window: [await this.readSlot(from, options)], behind: [] }
		const reads: Promise<LogRecord | undefined>[] = []
		for (let index = 0; index < slots; index++) {
			reads.push(this.readSlot({ epoch: from.epoch, slot: from.slot + index }, options))
		}
		const settled = await Promise.allSettled(reads)
		const window: SlotReading[] = []
		for (const result of settled) {
			if (result.status === 'rejected') throw result.reason
			window.push(result.value)
			if (result.value === undefined || result.value.kind === 'seal') break
		}
		return { window, behind: settled.slice(window.length).map(readingOf) }
	}
}

/** What lies behind the end is not part of the log: its damage does not matter. */
function readingOf(read: PromiseSettledResult<LogRecord | undefined>): SlotReading {
	return read.status === 'fulfilled' ? read.value : undefined
}

function padded(value: number): string {
	const digits = String(value)
	return ZEROS.slice(digits.length) + digits
}
