/**
 * The commits of the writer log one after another, for all tails of a process.
 *
 * Steps of `next`: at or behind the known end of the log, wait until it moves on (the writer of this process pushes its
 * commits; elsewhere the shared poller looks); below it, take the commit from the latest ones in memory, or read its
 * record, and a few that follow it, by one GET each. A seal leads to slot 0 of the next epoch.
 *
 * Invariants: nothing is delivered that is not known to be committed: only positions below the end, which the source
 * has confirmed. A record below the end that is not there was collected: `ISLE_EXPIRED`, never a skip. Whether a seal
 * was a void one (in a slot that had been used and deleted) shows in the sequence numbers, which a reader checks, or
 * in the end of the log, which lies behind it in the same epoch.
 * A transient error never ends anything here. An abort frees the wait, its share of the poller and its reads at once.
 */
import { SingleFlight } from '../cache/single-flight.ts'
import { IsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import { decodeCommit, type LoadedCommit } from '../manifest/commit.ts'
import type { CommitMark, Manifest } from '../manifest/manifest.ts'
import { earliestMark } from '../manifest/past-manifest.ts'
import { encodeCursor } from './cursor.ts'
import { retryEndlessly } from './endless-retry.ts'
import { firstCommitBehind } from './log-search.ts'
import { Poller } from './poller.ts'
import type { RecentCommits } from './recent-commits.ts'

/** Records behind the one that is wanted that are read at once: five GETs in flight hide most of a store's latency. */
const READ_AHEAD_SLOTS = 4

/** Where it is known how far the log goes. A `ManifestFollower` is one; a writer is one without `poll` and `refresh`. */
export interface FeedSource {
	/** Everything before its `writerPosition` is committed. */
	readonly manifest: Manifest
	/** Calls `listener` after each change; answers a function that ends that. Absent: the owner calls `push`. */
	onChange?(listener: (manifest: Manifest) => void): () => void
	/** Looks for what is new. Absent: commits are pushed. */
	poll?(options: { readonly signal?: AbortSignal | undefined }): Promise<void>
	/** Looks at least as far as the log stood when it is called. Absent: `manifest` always is that far. */
	refresh?(options: { readonly signal?: AbortSignal | undefined }): Promise<void>
}

export interface CommitFeedOptions {
	readonly log: FencedLog
	readonly source: FeedSource
	readonly recent: RecentCommits
	readonly host: Host
}

export interface NextOptions {
	readonly signal: AbortSignal
	/** Longest time between two looks at the log while this call waits, in milliseconds. */
	readonly pollIntervalMs: number
}

interface Waiter {
	readonly position: LogPosition
	/** Undefined: look again. */
	resolve(loaded: LoadedCommit | undefined): void
	reject(error: unknown): void
}

export class CommitFeed {
	readonly #options: CommitFeedOptions
	readonly #poller: Poller | undefined
	readonly #reads = new SingleFlight<string, LoadedCommit | 'seal'>()
	readonly #waiters = new Set<Waiter>()
	readonly #unlisten: (() => void) | undefined
	/** Behind the last commit that was pushed. */
	#pushedEnd: LogPosition
	#failure: Error | undefined

	constructor(options: CommitFeedOptions) {
		this.#options = options
		const { source, host } = options
		this.#pushedEnd = source.manifest.writerPosition
		this.#unlisten = source.onChange?.(() => this.#wakeAll())
		if (source.poll !== undefined) {
			this.#poller = new Poller({
				host,
				poll: async signal => await source.poll?.({ signal }),
				onFailure: error => this.#rejectAll(error),
			})
		}
	}

	/** Everything before it is committed. */
	get end(): LogPosition {
		const { writerPosition } = this.#options.source.manifest
		return comparePositions(writerPosition, this.#pushedEnd) > 0 ? writerPosition : this.#pushedEnd
	}

	get host(): Host {
		return this.#options.host
	}

	get log(): FencedLog {
		return this.#options.log
	}

	/** Tails that wait for the log to move on. */
	get waiting(): number {
		return this.#waiters.size
	}

	/** The writer of this process has committed: wakes the tails that wait for it. In the order of positions. */
	push(loaded: LoadedCommit): void {
		const { position } = loaded.commit
		this.#options.recent.add(loaded)
		this.#pushedEnd = { epoch: position.epoch, slot: position.slot + 1 }
		for (const waiter of this.#waiters) {
			// Handed over as it is: it may be too large to be kept for long.
			waiter.resolve(comparePositions(waiter.position, position) === 0 ? loaded : undefined)
		}
	}

	/**
	 * The state of the log, at least as new as it was when this was called. Transient errors are waited out.
	 * In a process that only reads one GET and one LIST, otherwise nothing.
	 */
	async refreshed(signal: AbortSignal): Promise<Manifest> {
		const { source, host } = this.#options
		this.#throwIfOver(signal)
		await retryEndlessly(host, signal, async () => await source.refresh?.({ signal }))
		this.#throwIfOver(signal)
		this.#poller?.noteLook()
		return source.manifest
	}

	/** The commit at `position`, if it is in memory. */
	peek(position: LogPosition): LoadedCommit | undefined {
		return comparePositions(position, this.end) < 0 ? this.#options.recent.get(position) : undefined
	}

	/** The same. What follows it is requested then, for `signal`. */
	take(position: LogPosition, signal: AbortSignal): LoadedCommit | undefined {
		const taken = this.peek(position)
		if (taken !== undefined) this.#readAhead(position, signal)
		return taken
	}

	/**
	 * The first commit at or behind `position`, as soon as there is one.
	 * @throws ISLE_EXPIRED (with `details.earliest`, a cursor, where that is known), ISLE_CORRUPT, ISLE_UNSUPPORTED,
	 * ISLE_DENIED, ISLE_CLOSED, or the signal's reason.
	 */
	async next(position: LogPosition, options: NextOptions): Promise<LoadedCommit> {
		let at = position
		for (;;) {
			this.#throwIfOver(options.signal)
			const taken = this.take(at, options.signal)
			if (taken !== undefined) return taken
			if (comparePositions(at, this.end) < 0) {
				const read = await this.#read(at, options.signal)
				if (read !== 'seal') return read
				// The log goes on behind it: what stood in this slot was collected, and a claimer came too late.
				if (at.epoch === this.end.epoch) throw await this.#expired(at, options.signal)
				at = { epoch: at.epoch + 1, slot: 0 }
			} else {
				const handed = await this.#wait(at, options)
				if (handed !== undefined) return handed
			}
		}
	}

	/** Ends every wait, now and later, with `error`. Idempotent: the first error stays. */
	close(error: Error): void {
		if (this.#failure !== undefined) return
		this.#failure = error
		this.#unlisten?.()
		this.#rejectAll(error)
	}

	#throwIfOver(signal: AbortSignal): void {
		signal.throwIfAborted()
		if (this.#failure !== undefined) throw this.#failure
	}

	/** Resolves with the commit at `position`, or with undefined when the end may have moved. */
	#wait(position: LogPosition, { signal, pollIntervalMs }: NextOptions): Promise<LoadedCommit | undefined> {
		return new Promise((resolve, reject) => {
			const leavePoller = this.#poller?.join(pollIntervalMs)
			const leave = (): void => {
				this.#waiters.delete(waiter)
				signal.removeEventListener('abort', onAbort)
				leavePoller?.()
			}
			const waiter: Waiter = {
				position,
				resolve(loaded) {
					leave()
					resolve(loaded)
				},
				reject(error) {
					leave()
					reject(error)
				},
			}
			const onAbort = (): void => waiter.reject(signal.reason)
			signal.addEventListener('abort', onAbort, { once: true })
			this.#waiters.add(waiter)
		})
	}

	#wakeAll(): void {
		const { end } = this
		for (const waiter of this.#waiters) {
			if (comparePositions(waiter.position, end) < 0) waiter.resolve(undefined)
		}
	}

	#rejectAll(error: unknown): void {
		for (const waiter of this.#waiters) waiter.reject(error)
	}

	#read(position: LogPosition, signal: AbortSignal): Promise<LoadedCommit | 'seal'> {
		const wanted = this.#readOne(position, signal)
		this.#readAhead(position, signal)
		return wanted
	}

	#readAhead(position: LogPosition, signal: AbortSignal): void {
		const { end } = this
		// How long an earlier epoch is shows only at its seal: there, nothing is read on a guess.
		if (position.epoch !== end.epoch) return
		for (let slot = position.slot + 1; slot <= position.slot + READ_AHEAD_SLOTS && slot < end.slot; slot++) {
			const later = { epoch: position.epoch, slot }
			// Its error is told to whoever comes to want that record.
			if (this.#options.recent.get(later) === undefined) this.#readOne(later, signal).catch(() => undefined)
		}
	}

	#readOne(position: LogPosition, signal: AbortSignal): Promise<LoadedCommit | 'seal'> {
		const { log, host, recent } = this.#options
		return this.#reads.run(log.key(position), signal, async shared => {
			const record = await retryEndlessly(host, shared, () => log.readSlot(position, { signal: shared }))
			if (record === undefined) throw await this.#expired(position, shared)
			if (record.kind === 'seal') return 'seal'
			const loaded = decodeCommit(record, log.key(position))
			recent.add(loaded)
			return loaded
		})
	}

	/**
	 * The cursor from which a tail may go on that has lost what stands at `position`: that of the floor, or of the first
	 * commit behind. A courtesy to the caller, which waits for a store that does not answer, as the tail does: `undefined`
	 * when it cannot be found out.
	 */
	async earliestBehind(position: LogPosition, signal: AbortSignal | undefined): Promise<string | undefined> {
		const { source, log, host } = this.#options
		const find = async (): Promise<string | undefined> => {
			await source.refresh?.({ signal })
			const floor = earliestMark(source.manifest)
			if (floor !== undefined && comparePositions(position, floor.position) < 0) return floorCursor(floor)
			return await firstCommitBehind(log, position, this.end, signal)
		}
		return await retryEndlessly(host, signal, find).catch(() => undefined)
	}

	async #expired(position: LogPosition, signal: AbortSignal | undefined): Promise<IsleError> {
		const key = this.#options.log.key(position)
		const earliest = await this.earliestBehind(position, signal)
		return new IsleError('ISLE_EXPIRED', `the log is no longer retained from here on: key=\`${key}\``, {
			details: earliest === undefined ? { key } : { key, earliest },
		})
	}
}

/** Everything that is retained follows it. */
export function floorCursor({ lastSeq, position }: CommitMark): string {
	return encodeCursor({ kind: 'change', seq: lastSeq, position })
}
