/**
 * The bytes of a table while it is built: a buffer that grows.
 *
 * Warm pages are three times faster than fresh ones, so buffers are used again. Without memory of its own a table is
 * built in a buffer that waits for the next table of this thread, and is copied out of it in the end. (That is no state of a job, only
 * memory: it is never read before it is written.) With memory of its own, which the caller has sized, it stays there.
 */

import { copyShared } from '../bytes/copy.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { invariant } from '../errors.ts'

export const TABLE_MAX_BYTES = 0xffffffff
/** A buffer of up to this size is kept. */
const SPARE_MAX_BYTES = 33_554_432
const FIRST_BYTES = 65_536

let spare: Uint8Array<ArrayBuffer> | undefined

export class TableOutput {
	bytes: Uint8Array<ArrayBuffer>
	/** How many are written. */
	length = 0
	#isOwn: boolean

	/** `buffer` becomes the table's, unless that outgrows it. */
	constructor(buffer?: ArrayBuffer) {
		this.#isOwn = buffer !== undefined
		if (buffer !== undefined) {
			this.bytes = new Uint8Array(buffer)
			return
		}
		this.bytes = spare ?? new Uint8Array(FIRST_BYTES)
		spare = undefined
	}

	/** Makes room so that the output can be `capacityBytes` long. */
	reserve(capacityBytes: number): void {
		if (capacityBytes <= this.bytes.length) return
		invariant(capacityBytes <= TABLE_MAX_BYTES, `a table of ${capacityBytes} bytes`)
		const grown = new Uint8Array(Math.max(capacityBytes, this.bytes.length * 2))
		grown.set(this.bytes.subarray(0, this.length))
		this.bytes = grown
	}

	/** The same at the start of `target`; undefined when it does not fit. */
	finishInto(target: SharedArrayBuffer, totalBytes: number): Uint8Array | undefined {
		if (totalBytes > target.byteLength) return undefined
		const finished = Buffer.from(target, 0, totalBytes)
		copyShared(this.bytes.subarray(0, this.length), finished, 0)
		this.#keepSpare()
		return new Uint8Array(target, 0, totalBytes)
	}

	/** The output, `totalBytes` long, for the caller to keep; what was not written yet is undefined. */
	finish(totalBytes: number): Uint8Array<ArrayBuffer> {
		if (this.#isOwn) {
			this.reserve(totalBytes)
			return new Uint8Array(this.bytes.buffer, 0, totalBytes)
		}
		const finished = new Uint8Array(totalBytes)
		finished.set(this.bytes.subarray(0, this.length))
		this.#keepSpare()
		return finished
	}

	#keepSpare(): void {
		const isLarger = this.bytes.length > (spare?.length ?? 0)
		if (isLarger && this.bytes.length <= SPARE_MAX_BYTES) spare = this.bytes
		this.bytes = NO_BYTES
	}
}
