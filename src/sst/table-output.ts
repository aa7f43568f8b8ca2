/**
 * The bytes of a table while its blocks are written: a buffer that grows.
 *
 * The buffer of a finished table waits for the next one of this thread: warm pages are three times faster than fresh ones.
 * That is no state of a job, only memory: it is never read before it is written.
 */
import { invariant } from '../errors.ts'

export const TABLE_MAX_BYTES = 0xffffffff
/** A buffer of up to this size is kept. */
const SPARE_MAX_BYTES = 33_554_432
const FIRST_BYTES = 65_536

let spare: Uint8Array | undefined

export class TableOutput {
	bytes: Uint8Array
	/** How many are written. */
	length = 0

	constructor() {
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

	/** Copies what was written to the start of `target` and gives the buffer back. */
	moveTo(target: Uint8Array): void {
		target.set(this.bytes.subarray(0, this.length))
		const isLarger = this.bytes.length > (spare?.length ?? 0)
		if (isLarger && this.bytes.length <= SPARE_MAX_BYTES) spare = this.bytes
		this.bytes = new Uint8Array(0)
	}
}
