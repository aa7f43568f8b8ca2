/** Turns stored blocks of a table into decoded ones: here when that is quick, in the pool when it would hold this thread up. */
import { fromWire } from '../errors.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import type { Block } from '../sst/block.ts'
import type { SstTable } from '../sst/sst-table.ts'

/** About 60 µs of decoding, which is what a round trip to a worker costs; more goes to the pool. */
export const POOL_MIN_RAW_BYTES = 65_536

/** Estimate from the ratio of the whole table: the index knows stored sizes only. */
export function estimatedRawBytes(table: SstTable, storedBytes: number): number {
	const { rawBytes, metaOffset } = table.meta
	return metaOffset === 0 ? storedBytes : storedBytes * Math.max(1, rawBytes / metaOffset)
}

/** Decodes blocks `first` to `first + count − 1`, which `stored` holds one after another. @throws ISLE_CORRUPT naming `where`. */
export function decodeInline(
	table: SstTable,
	first: number,
	count: number,
	stored: Uint8Array,
	where: string,
): readonly Block[] {
	const start = table.blockRange(first).offset
	const blocks: Block[] = []
	for (let i = first; i < first + count; i++) {
		const { offset, bytes } = table.blockRange(i)
		const from = offset - start
		// The whole of a buffer is decoded in place; a part is copied by the codec, so that it keeps no neighbour alive.
		const isWhole = from === 0 && bytes === stored.length
		blocks.push(table.decodeBlock(i, isWhole ? stored : stored.subarray(from, from + bytes), where))
	}
	return blocks
}

/** The same in the pool. The blocks are checked against their table here. @throws also what the pool throws. */
export async function decodeInPool(
	pool: JobPool,
	table: SstTable,
	first: number,
	count: number,
	stored: Uint8Array,
	where: string,
	signal: AbortSignal | undefined,
): Promise<readonly Block[]> {
	const start = table.blockRange(first).offset
	const { rawMaxBytes } = table
	const ranges = Array.from({ length: count }, (_, i) => {
		const { offset, bytes } = table.blockRange(first + i)
		return { buffer: 0, offset: offset - start, bytes, rawMaxBytes, where }
	})
	// A copy for each attempt: a worker that dies takes its buffer with it.
	const make = (): { input: { buffers: ArrayBuffer[]; blocks: typeof ranges }; transfer: ArrayBuffer[] } => {
		const { buffer } = new Uint8Array(stored)
		return { input: { buffers: [buffer], blocks: ranges }, transfer: [buffer] }
	}
	const { blocks } = await pool.run('decode-blocks', make, signal === undefined ? undefined : { signal })
	return blocks.map((result, i) => {
		if ('error' in result) throw fromWire(result.error)
		return table.adoptBlock(first + i, result.raw, where)
	})
}
