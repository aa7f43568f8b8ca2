/**
 * Taking a log over: the claim is the fence.
 *
 * Steps: open the newest checkpoint; read forward to the first free slot; create a seal there; look at the checkpoints.
 * If none stands beyond what was read, the claimer owns the next epoch and has read the whole of its history: whatever
 * the old owner acknowledged lies before the seal, and its next append can only meet the seal. Otherwise start over.
 * A free slot that later records vouch for is a lost record: refused before the seal, so that it can be put back.
 * Where somebody else takes the slot first, reading goes on from there; the one look behind the seal covers it all.
 *
 * An owner that fills slots faster than the claimer's round trip would win each of these races. So a claimer that lost
 * some puts a seal of nobody's ahead of the owner: a barrier. Either the log reaches it, then its epoch is over, the next
 * one has an owner that never appends, and the claim goes on there; or it does not, then it stands behind the true seal,
 * where nobody reads. What makes an owner is the same in both cases: the seal in the first free slot, and the look.
 */
import { corrupt, IsleError } from '../errors.ts'
import { Retry, type RetryBudget } from '../host/backoff.ts'
import type { Host } from '../host/host.ts'
import type { RequestOptions } from '../object-store/object-store.ts'
import type { FencedLog, ReadForwardResult } from './fenced-log.ts'
import { LogOwner } from './log-owner.ts'
import { comparePositions, LOG_START, type LogPosition } from './log-position.ts'
import {
	encodeRecord,
	isSameAppend,
	type LogRecord,
	NOBODY,
	NONCE_BYTES,
	OWNER_BYTES,
	type RecordContent,
} from './record.ts'

/** Opening probes this many slots at once at first: few round trips behind a checkpoint. */
const OPEN_WINDOW_SLOTS = 8
/** Races that a claimer loses before it puts a barrier ahead: against an owner that pauses now and then it needs none. */
const RACES_BEFORE_BARRIER = 3
/** How far ahead the first barrier stands; each further one that comes too late stands twice as far from the end. */
const BARRIER_MIN_SLOTS = 8
const BARRIER_MAX_SLOTS = 4096
/** A claim loses a race at each attempt; more than this is a store in trouble, not a race. */
const CLAIM_MAX_ATTEMPTS = 100

/** What a claimer or a reader folds while it reads. */
export interface LogReplay {
	/** Drops what was folded, loads the newest checkpoint, answers where to read on. */
	restart(options: RequestOptions): Promise<LogPosition>
	/** A commit, in order. */
	apply(record: LogRecord): void
	/**
	 * Called when the log has been read and before the look that confirms it, perhaps several times: reads what else that
	 * look shall cover. Answers how far the log must have been read at least, if that shows it.
	 */
	beforeLook?(options: RequestOptions): Promise<LogPosition | undefined>
	/** Called after a look that confirmed the log: whether it confirms the rest, too. False: start over. */
	isConfirmed?(options: RequestOptions): Promise<boolean>
}

export interface ClaimOptions extends RequestOptions {
	readonly log: FencedLog
	readonly host: Host
	readonly replay: LogReplay
	readonly retryBudget?: RetryBudget | undefined
	/** Called once before the first seal of a log that has no record at all; may refuse by throwing. */
	beforeFirstUse?(): Promise<void>
}

/** Reads `log` to its confirmed end. Resolves with the position of the first free slot. */
export async function replayLog(log: FencedLog, replay: LogReplay, options: RequestOptions = {}): Promise<LogPosition> {
	for (let attempt = 0; attempt < CLAIM_MAX_ATTEMPTS; attempt++) {
		const from = await replay.restart(options)
		let end = await readToEnd({ log, replay, ...options }, { position: from, firstSeal: undefined })
		let [isMissing, needed] = await Promise.all([isMissingAt(log, end, options), replay.beforeLook?.(options)])
		if (isBefore(end.position, needed)) {
			// Others saw more of the log than was there when it was read.
			end = await readToEnd({ log, replay, ...options }, end)
			isMissing = await isMissingAt(log, end, options)
		}
		if (!(await log.confirm(end, options))) continue
		if (isMissing || isBefore(end.position, needed)) throw missing(log, end.position)
		if ((await replay.isConfirmed?.(options)) ?? true) return end.position
	}
	throw new IsleError('ISLE_UNAVAILABLE', `the log moved on during each of ${CLAIM_MAX_ATTEMPTS} attempts to read it`)
}

/**
 * Resolves with the owner of a new epoch; `replay` then holds the whole history before it. Whoever owned the log before
 * is fenced. An abort between the seal and the verdict leaves a seal: the next claimer follows it.
 */
export async function claimLog(options: ClaimOptions): Promise<LogOwner> {
	const { log, host, replay, retryBudget, signal } = options
	signal?.throwIfAborted()
	const barrier = new Barrier(options)
	let end: ReadForwardResult | undefined
	for (let attempt = 0; attempt < CLAIM_MAX_ATTEMPTS; attempt++) {
		end = await readToEnd(options, end ?? { position: await replay.restart({ signal }), firstSeal: undefined })
		if (comparePositions(end.position, LOG_START) === 0) await options.beforeFirstUse?.()
		const [isMissing, needed] = await Promise.all([isMissingAt(log, end, { signal }), replay.beforeLook?.({ signal })])
		const further: ReadForwardResult = isBefore(end.position, needed) ? await readToEnd(options, end) : end
		if (isMissing || end.isForeign || isBefore(further.position, needed)) {
			// Before the seal: a record that was taken away can still be put back.
			if (await log.confirm(further, { signal })) throw missing(log, further.position)
			end = undefined
			continue
		}
		if (further !== end) {
			// Others saw more of the log than was there when it was read: what follows that may have grown, too.
			end = further
			continue
		}
		const owner = host.random.bytes(OWNER_BYTES)
		if (!(await createSeal(options, end.position, owner))) {
			await barrier.raceLost(end.position)
			continue
		}
		const isConfirmed = (await log.confirm(end, { signal })) && ((await replay.isConfirmed?.({ signal })) ?? true)
		if (isConfirmed) return new LogOwner({ log, host, epoch: end.position.epoch + 1, owner, retryBudget })
		end = undefined
	}
	throw new IsleError('ISLE_UNAVAILABLE', `lost the race for the log in each of ${CLAIM_MAX_ATTEMPTS} attempts`)
}

function isMissingAt(log: FencedLog, end: ReadForwardResult, options: RequestOptions): Promise<boolean> {
	// Nothing can stand behind a log that was never used.
	return comparePositions(end.position, LOG_START) === 0 ? Promise.resolve(false) : log.isMissing(end, options)
}

function isBefore(position: LogPosition, needed: LogPosition | undefined): boolean {
	return needed !== undefined && comparePositions(position, needed) < 0
}

function missing(log: FencedLog, position: LogPosition): IsleError {
	return corrupt(log.key(position), 'a record that was acknowledged is missing:')
}

/** Reads on from where `before` ended. The first seal of all that was read is the one to look behind. */
async function readToEnd(
	{ log, replay, signal }: Pick<ClaimOptions, 'log' | 'replay' | 'signal'>,
	before: ReadForwardResult,
): Promise<ReadForwardResult> {
	const end = await log.readForward(before.position, {
		signal,
		windowSlots: OPEN_WINDOW_SLOTS,
		owner: before.owner,
		onCommit: record => replay.apply(record),
	})
	return { ...end, firstSeal: before.firstSeal ?? end.firstSeal }
}

/** Stops an owner that is faster than the claimer, by a seal in a slot that it has not reached. */
class Barrier {
	readonly #options: ClaimOptions
	#lost = 0
	#distanceSlots = BARRIER_MIN_SLOTS
	/** Until the log has passed it, one is enough. */
	#standing: LogPosition | undefined

	constructor(options: ClaimOptions) {
		this.#options = options
	}

	/** `position` was free when it was read, and taken when the claimer's seal came. */
	async raceLost(position: LogPosition): Promise<void> {
		if (++this.#lost < RACES_BEFORE_BARRIER || position.epoch === 0) return
		if (this.#standing !== undefined && comparePositions(position, this.#standing) <= 0) return
		const ahead = { epoch: position.epoch, slot: position.slot + this.#distanceSlots }
		this.#distanceSlots = Math.min(this.#distanceSlots * 2, BARRIER_MAX_SLOTS)
		if (await createSeal(this.#options, ahead, NOBODY)) this.#standing = ahead
	}
}

/** False when somebody else has taken the slot. */
async function createSeal(options: ClaimOptions, position: LogPosition, owner: Uint8Array): Promise<boolean> {
	const { log, host, retryBudget, signal } = options
	const nonce = host.random.bytes(NONCE_BYTES)
	// A claimer has read every slot below its seal; of those below a barrier nobody knows.
	const settledSlots = owner === NOBODY ? 0 : position.slot
	const body = new Uint8Array(0)
	const content: RecordContent = { kind: 'seal', position, owner, nonce, settledSlots, body, sections: [] }
	const pieces = encodeRecord(content).pieces
	const retry = new Retry(host, retryBudget)
	for (;;) {
		const outcome = await log.createSlot(position, pieces, { signal })
		if (outcome.kind === 'created') return true
		signal?.throwIfAborted()
		const found = await log.readSlot(position, { signal })
		if (found !== undefined) return isSameAppend(found, content)
		if (!(await retry.pause(signal))) {
			throw new IsleError(
				'ISLE_UNAVAILABLE',
				`no verdict on a seal in ${retry.attempts} attempts: key=\`${log.key(position)}\``,
				{
					cause: outcome.kind === 'unknown' ? outcome.cause : undefined,
				},
			)
		}
	}
}
