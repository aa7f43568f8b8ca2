/**
 * Deletes the records of a log below a position, except seals and those that somebody still needs.
 *
 * Records are found by LIST, from where the last sweep ended. In the epoch of the position all below it are commits, because
 * reading has come past them. In earlier epochs the last one that was read is a seal, and others may stand behind it: what is
 * small enough to be a seal is looked at, unless it is all that is left of its epoch, which then is the seal.
 *
 * Invariant: a seal is never deleted.
 */
import type { FencedLog } from '../log/fenced-log.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../object-store/object-store.ts'

/** Preamble 16, owner 16, nonce 8, three varints of 8 bytes, an empty body and no sections: 1 each. */
const SEAL_MAX_BYTES = 16 + 16 + 8 + 3 * 8 + 2
/** Pages of 1,000 in one go; the rest comes with the next. */
const PAGES_MAX = 20
const KEY = /\/(\d{16})\/(\d{16})$/

interface Listed extends ObjectInfo {
	readonly position: LogPosition
}

export interface SweepResult {
	readonly deleted: number
	readonly bytes: number
	/** True when records are left for the next go. */
	readonly hasMore: boolean
}

export class LogSweep {
	readonly #store: ObjectStore
	readonly #log: FencedLog
	/** All up to this key have been dealt with. */
	#cursor: string | undefined
	#swept: LogPosition | undefined
	/** The epoch of which the beginning has been dealt with, and the end not. */
	#partEpoch: number | undefined

	constructor(store: ObjectStore, log: FencedLog) {
		this.#store = store
		this.#log = log
	}

	/** Whether `sweep` to `end` would ask the store for anything. */
	isDue(end: LogPosition): boolean {
		return this.#swept === undefined ? end.epoch > 0 : comparePositions(end, this.#swept) > 0
	}

	/** Deletes what lies below `end`. `isNeeded` says which objects stay; they are not looked at again. */
	async sweep(
		end: LogPosition,
		isNeeded: (objectKey: string) => boolean,
		options: RequestOptions,
	): Promise<SweepResult> {
		let deleted = 0
		let bytes = 0
		if (!this.isDue(end)) return { deleted, bytes, hasMore: false }
		const folder = this.#log.key(end).slice(0, -'/0000000000000000/0000000000000000'.length + 1)
		let group: Listed[] = []
		/** All but the last `rest`. */
		const flush = async (rest = 0): Promise<void> => {
			const [now, later] = [group.slice(0, group.length - rest), group.slice(group.length - rest)]
			const epoch = now[0]?.position.epoch
			const isAllThatIsLeft = now.length === 1 && rest === 0 && epoch !== end.epoch && epoch !== this.#partEpoch
			const doomed = isAllThatIsLeft ? [] : await this.#doomed(now, end, isNeeded, options)
			if (doomed.length > 0)
				await this.#store.deleteMany(
					doomed.map(object => object.key),
					options,
				)
			deleted += doomed.length
			bytes += doomed.reduce((sum, object) => sum + object.bytes, 0)
			this.#cursor = now.at(-1)?.key ?? this.#cursor
			group = later
			if (rest > 0) this.#partEpoch = epoch
		}
		for (let pages = 0, from = this.#cursor; pages < PAGES_MAX; pages++) {
			const page = await this.#store.list({ ...options, prefix: folder, startAfter: from })
			for (const object of page.objects) {
				const position = positionOf(object.key)
				if (position === undefined) continue
				if (comparePositions(position, end) >= 0) {
					await flush()
					this.#swept = end
					return { deleted, bytes, hasMore: false }
				}
				if (group.length > 0 && group[0]?.position.epoch !== position.epoch) await flush()
				group.push({ ...object, position })
			}
			if (!page.isTruncated) {
				await flush()
				this.#swept = end
				return { deleted, bytes, hasMore: false }
			}
			// An epoch may have any number of records. The last one waits, so that whoever goes on begins with one of this epoch.
			if (group[0]?.position.epoch === end.epoch) await flush()
			else if (group.length > 1) await flush(1)
			from = page.objects.at(-1)?.key
		}
		return { deleted, bytes, hasMore: true }
	}

	/** Those of one epoch that may go. */
	async #doomed(
		group: readonly Listed[],
		end: LogPosition,
		isNeeded: (objectKey: string) => boolean,
		options: RequestOptions,
	): Promise<readonly Listed[]> {
		const candidates = group.filter(object => !isNeeded(object.key))
		if (group[0] === undefined || group[0].position.epoch === end.epoch) return candidates
		const doomed: Listed[] = []
		for (const object of candidates) {
			const isSmall = object.bytes <= SEAL_MAX_BYTES
			const record = isSmall ? await this.#log.readSlot(object.position, options) : undefined
			if (record?.kind !== 'seal') doomed.push(object)
		}
		return doomed
	}
}

function positionOf(key: string): LogPosition | undefined {
	const match = KEY.exec(key)
	return match === null ? undefined : { epoch: Number(match[1]), slot: Number(match[2]) }
}
