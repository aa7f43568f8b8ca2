/**
 * The store's clock, as a judge of our own: before anything is dropped because of the time, both are compared.
 *
 * The store says when it wrote a record of ours, and we know when that was by our clocks. From then on the store's time is
 * counted by the monotonic clock, so that one LIST serves for long; it is made again with a newer record when the two
 * disagree (a host that slept), and every ten minutes. Invariants: no LIST where no time-based decision is to be made; once they
 * disagree the clock is in doubt for ten minutes, decides nothing, and whoever asks costs no request.
 */
import type { Host } from '../host/host.ts'
import type { FencedLog } from '../log/fenced-log.ts'
import { openMaintenanceLog } from '../manifest/database-logs.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import type { OwnedState } from './owned-state.ts'

/** Clocks that differ by more than this decide nothing. 5 minutes. */
export const CLOCK_SKEW_MAX_MS = 300_000
export const CLOCK_CHECK_AGAIN_MS = 600_000

interface Note {
	readonly key: string
	readonly monotonicMs: number
}

export class StoreClock {
	readonly #store: ObjectStore
	readonly #host: Host
	readonly #state: OwnedState
	readonly #log: FencedLog
	/** The newest record of ours, and when it was acknowledged at the latest. */
	#note: Note | undefined
	/** Until then, by the monotonic clock, ours is in doubt: they were found to disagree. */
	#doubtedUntilMs = Number.NEGATIVE_INFINITY
	#checked: { readonly note: Note; readonly storeMs: number; readonly atMs: number } | undefined

	/** To be made right after the claim, whose record was just written. */
	constructor(store: ObjectStore, host: Host, state: OwnedState) {
		this.#store = store
		this.#host = host
		this.#state = state
		this.#log = openMaintenanceLog(store)
		this.noteWrite()
	}

	/** The newest record of the owner was just written. */
	noteWrite(): void {
		const { epoch, slot } = this.#state.manifest.maintenancePosition
		if (slot === 0) return
		this.#note = { key: this.#log.key({ epoch, slot: slot - 1 }), monotonicMs: this.#host.clock.monotonicMs() }
	}

	/** The store's time, to within the time a request takes; `undefined` when nothing of ours shows it. One LIST at the most. */
	async nowMs(options: RequestOptions = {}): Promise<number | undefined> {
		const monotonicMs = this.#host.clock.monotonicMs()
		const isOld = this.#checked === undefined || monotonicMs - this.#checked.atMs >= CLOCK_CHECK_AGAIN_MS
		const isDoubtful = Math.abs(this.#skewMs() ?? 0) > CLOCK_SKEW_MAX_MS
		const note = this.#note
		if ((isOld || isDoubtful) && note !== undefined && note !== this.#checked?.note) {
			const page = await this.#store.list({ ...options, prefix: note.key, limit: 1 })
			const found = page.objects.find(object => object.key === note.key)
			if (found !== undefined) this.#checked = { note, storeMs: found.lastModifiedMs, atMs: monotonicMs }
		}
		return this.#estimate()
	}

	/** How long the wall clock decides nothing yet, because the two were found to disagree; 0: nothing speaks against it. */
	get doubtMs(): number {
		return Math.max(0, this.#doubtedUntilMs - this.#host.clock.monotonicMs())
	}

	/**
	 * True when the wall clock may decide what is dropped. One LIST at the most, as a rule. Where the record that would show the
	 * time is deleted by now, or shows that the clocks disagree, an empty one is written: a host that slept, or whose clock was
	 * set, finds out that way. False: the clock is in doubt from then on for ten minutes, in which nothing is asked.
	 */
	async isTrusted(options: RequestOptions = {}): Promise<boolean> {
		if (this.doubtMs > 0) return false
		const storeMs = await this.nowMs(options)
		if (!this.#isClose()) {
			await this.#state.append([])
			this.noteWrite()
			// What has disagreed is in doubt, whatever the new record shows.
			if (storeMs !== undefined) this.#doubt()
			await this.nowMs(options)
			if (!this.#isClose()) this.#doubt()
		}
		return this.doubtMs === 0
	}

	#doubt(): void {
		this.#doubtedUntilMs = this.#host.clock.monotonicMs() + CLOCK_CHECK_AGAIN_MS
	}

	#isClose(): boolean {
		const skewMs = this.#skewMs()
		return skewMs !== undefined && Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS
	}

	#estimate(): number | undefined {
		if (this.#checked === undefined) return undefined
		return this.#checked.storeMs + this.#host.clock.monotonicMs() - this.#checked.note.monotonicMs
	}

	/** How far our wall clock is ahead of the store's. */
	#skewMs(): number | undefined {
		const storeMs = this.#estimate()
		return storeMs === undefined ? undefined : this.#host.clock.nowMs() - storeMs
	}
}
