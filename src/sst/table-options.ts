/**
 * How a table is made: what its maker may choose, the defaults, and the limits.
 *
 * What depends on a choice (the size of blocks, by codec) is decided here alone, for those who build and those who merge.
 */
import { BLOCK_BYTES_MAX } from './block-format.ts'
import type { CodecName } from './sst-meta.ts'

const BLOCK_BYTES_MIN = 64
export const FILTER_BITS_PER_KEY = 10

export interface TableOptions {
	readonly codec: CodecName
	/** Raw size at which a block is closed, 64 bytes to 1 MiB. Default 8 KiB for codec `none`, else 16 KiB. */
	readonly blockBytes?: number | undefined
	/** 1 to 32; default 10, at which about 1.3 % of absent keys pass the filter. */
	readonly filterBitsPerKey?: number | undefined
	/** When the oldest and the newest of the entries were (or will be) committed, milliseconds since the Unix epoch. */
	readonly minWriteMs: number
	readonly maxWriteMs: number
}

/** Raw size at which a block of a table with these options is closed. */
export function blockBytesOf({ codec, blockBytes }: Pick<TableOptions, 'codec' | 'blockBytes'>): number {
	return blockBytes ?? (codec === 'none' ? 8192 : 16_384)
}

/** @throws RangeError for options out of their range. */
export function checkTableOptions(options: TableOptions): void {
	const { filterBitsPerKey = FILTER_BITS_PER_KEY, minWriteMs, maxWriteMs } = options
	expectInteger('blockBytes', blockBytesOf(options), BLOCK_BYTES_MIN, BLOCK_BYTES_MAX)
	expectInteger('filterBitsPerKey', filterBitsPerKey, 1, 32)
	expectInteger('minWriteMs', minWriteMs, 0, Number.MAX_SAFE_INTEGER)
	expectInteger('maxWriteMs', maxWriteMs, minWriteMs, Number.MAX_SAFE_INTEGER)
}

function expectInteger(name: string, value: number, min: number, max: number): void {
	if (!Number.isSafeInteger(value) || value < min || value > max) {
		throw new RangeError(`Expected \`${name}\` to be an integer from ${min} to ${max}, got ${value}`)
	}
}
