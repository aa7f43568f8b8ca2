/**
 * Which sources of a scan are prepared while one is fetched, so that what is needed comes in few round trips and little else
 * comes.
 *
 * - Those that must be asked before anything is given, because they begin where the fetched one does: all of them.
 * - Those that are likely to be needed: they begin within what is fetched, and are the nearest. A head is an entry, so that as
 *   many heads as rows are wanted give them all, unless entries are hidden by others or have expired.
 * - More and more others, each time that this was not enough.
 */
import { compareBytes } from '../bytes/compare.ts'
import type { ScanSource } from './scan-source.ts'

/** With windows of 64 KiB, 16 MiB. */
const MAX_LIKELY_SOURCES = 256

interface ScanWants {
	readonly reverse: boolean
	/** Rows that are still wanted. */
	readonly remaining: () => number
}

export class ScanPreparation {
	readonly #reverse: boolean
	readonly #remaining: () => number
	#furtherSources = 0
	/** Sources that are being fetched. */
	readonly #prepared = new Set<ScanSource>()

	constructor({ reverse, remaining }: ScanWants) {
		this.#reverse = reverse
		this.#remaining = remaining
	}

	/** Prepares some of `sources` while `top`, the first of them, is fetched. */
	prepareWith(top: ScanSource, sources: readonly ScanSource[]): void {
		for (const source of this.#prepared) if (source.page !== undefined || source.isDone) this.#prepared.delete(source)
		const horizon = top.horizon ?? top.head
		const waiting = sources.filter(source => source !== top && source.page === undefined)
		waiting.sort((a, b) => this.#compare(a.head, b.head))
		let wanted = this.#remaining()
		let likely = MAX_LIKELY_SOURCES
		let further = this.#furtherNow(top)
		let last = top.head
		for (const source of waiting) {
			const { head } = source
			if (this.#compare(head, last) > 0) {
				wanted--
				last = head
			}
			const isNeeded = this.#compare(head, top.head) <= 0
			const isLikely = wanted > 0 && this.#compare(head, horizon) <= 0 && likely-- > 0
			if (!isNeeded && !isLikely && further-- <= 0) return
			source.prepare()
			this.#prepared.add(source)
		}
	}

	/** None while what was foreseen comes to pass. */
	#furtherNow(top: ScanSource): number {
		if (this.#prepared.has(top)) return 0
		this.#prepared.add(top)
		const further = this.#furtherSources
		this.#furtherSources = Math.max(1, further * 2)
		return further
	}

	/** In the direction of the scan. A source whose head is not known may begin anywhere. */
	#compare(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
		if (a === undefined || b === undefined) return 0
		return this.#reverse ? compareBytes(b, a) : compareBytes(a, b)
	}
}
