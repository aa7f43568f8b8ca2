/**
 * Appending to a fenced log: what the owner of an epoch may do.
 *
 * Steps of one append: take the next slot; create-if-absent; on any doubt read the slot before a verdict:
 *   ours (owner and nonce)  → committed        seal   → fenced, terminally: the record is not in the log
 *   nothing                 → the same bytes again, within the retry budget
 *   anything else           → corruption
 * One seal proves nothing: where an earlier attempt may have won and a checkpoint covers the slot by now, the record may
 * have been folded in and deleted before the (void) seal came. Then the verdict is `ISLE_INDETERMINATE`.
 * Several appends may be in flight; each is acknowledged only after every earlier one, because a reader stops at the
 * first free slot. So the first failure fails all that follow, for ever: an owner that failed once never appends again.
 */
import { corrupt, IsleError, isIsleError } from '../errors.ts'
import { DEFAULT_RETRY_BUDGET, Retry, type RetryBudget } from '../host/backoff.ts'
import type { Host } from '../host/host.ts'
import type { FencedLog } from './fenced-log.ts'
import type { LogPosition } from './log-position.ts'
import { type EncodedRecord, encodeRecord, isSameAppend, NONCE_BYTES, type RecordContent } from './record.ts'

export interface LogOwnerOptions {
	readonly log: FencedLog
	readonly host: Host
	readonly epoch: number
	readonly owner: Uint8Array
	readonly retryBudget?: RetryBudget | undefined
}

/** An append whose record is on its way. */
export interface Append {
	/** The slot that it takes if it succeeds. */
	readonly position: LogPosition
	/** Where each section begins in the object at `position`. */
	readonly sectionOffsets: readonly number[]
	/** Settles in slot order. Rejects with `ISLE_FENCED`, `ISLE_INDETERMINATE`, `ISLE_DENIED`, `ISLE_FULL`, `ISLE_CORRUPT`. */
	readonly committed: Promise<void>
}

export class LogOwner {
	readonly #options: LogOwnerOptions
	#nextSlot = 0
	#acknowledgedSlots = 0
	#tail: Promise<void> = Promise.resolve()
	/** Ends with every append that was begun. */
	#writing: Promise<unknown> = Promise.resolve()
	#failure: Error | undefined

	constructor(options: LogOwnerOptions) {
		this.#options = options
	}

	get epoch(): number {
		return this.#options.epoch
	}

	/** Where the next append will stand. Its key is what inline tables are known by. */
	get nextPosition(): LogPosition {
		return { epoch: this.#options.epoch, slot: this.#nextSlot }
	}

	get nextKey(): string {
		return this.#options.log.key(this.nextPosition)
	}

	/** The error that ended this owner, if one did. */
	get failure(): Error | undefined {
		return this.#failure
	}

	/** Begins an append. `sections` are read until it settles: do not change or transfer them before. */
	append(body: Uint8Array, sections: readonly Uint8Array[]): Append {
		const position = this.nextPosition
		const content: RecordContent = {
			kind: 'commit',
			position,
			owner: this.#options.owner,
			nonce: this.#options.host.random.bytes(NONCE_BYTES),
			settledSlots: this.#acknowledgedSlots,
			body,
			sections,
		}
		const encoded = encodeRecord(content)
		this.#nextSlot++
		const earlier = this.#tail
		const written = this.#failure ? Promise.reject(this.#failure) : this.#write(content, encoded)
		// The verdict of a later append may arrive first: it waits for the earlier ones.
		this.#writing = Promise.allSettled([this.#writing, written]).then(() => undefined)
		const committed = earlier.then(() => written)
		this.#tail = committed
		committed.then(
			() => {
				this.#acknowledgedSlots = position.slot + 1
			},
			(error: Error) => {
				this.#failure ??= error
			},
		)
		return { position, sectionOffsets: encoded.sectionOffsets, committed }
	}

	/** Resolves when no append sends anything any more: `committed` of one rejects as soon as an earlier one has failed. */
	async settled(): Promise<void> {
		await this.#writing
	}

	async #write(content: RecordContent, encoded: EncodedRecord): Promise<void> {
		const { log, host, retryBudget } = this.#options
		const key = log.key(content.position)
		const retry = new Retry(host, retryBudget ?? DEFAULT_RETRY_BUDGET)
		let doubt: unknown
		for (;;) {
			const outcome = await log.createSlot(content.position, encoded.pieces)
			if (outcome.kind === 'created') return
			if (outcome.kind === 'unknown') doubt = outcome.cause
			const verdict = await this.#settle(content, key)
			if (verdict === 'ours') return
			if (verdict === 'fenced') throw await this.#fenced(content.position, key, doubt)
			// `exists` and then nothing there, or a reply that was lost before it took effect: the same bytes again.
			if (!(await retry.pause())) {
				throw new IsleError(
					'ISLE_INDETERMINATE',
					`no verdict on an append in ${retry.attempts} attempts: key=\`${key}\``,
					{ cause: doubt, details: { epoch: this.epoch, key } },
				)
			}
		}
	}

	/** What a seal in the slot means; `doubt` is why an earlier attempt has no outcome, if one has none. */
	async #fenced(position: LogPosition, key: string, doubt: unknown): Promise<IsleError> {
		const details = { epoch: this.epoch, key }
		if (doubt !== undefined && (await this.#options.log.isBelowCheckpoint(position))) {
			return new IsleError(
				'ISLE_INDETERMINATE',
				`an append met a seal below a checkpoint, which may hold it: epoch=\`${this.epoch}\` key=\`${key}\``,
				{ cause: doubt, details },
			)
		}
		return new IsleError(
			'ISLE_FENCED',
			`another owner has taken the log over: epoch=\`${this.epoch}\` key=\`${key}\``,
			{ details },
		)
	}

	/** Reads the slot. `absent` also when it could not be read: the caller tries again. */
	async #settle(content: RecordContent, key: string): Promise<'ours' | 'fenced' | 'absent'> {
		let found: Awaited<ReturnType<FencedLog['readSlot']>>
		try {
			found = await this.#options.log.readSlot(content.position)
		} catch (error) {
			if (isIsleError(error, 'ISLE_UNAVAILABLE')) return 'absent'
			throw error
		}
		if (found === undefined) return 'absent'
		if (isSameAppend(found, content)) return 'ours'
		if (found.kind === 'seal') return 'fenced'
		throw corrupt(key, 'a record of another owner where only this one may write,')
	}
}
