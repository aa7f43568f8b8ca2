/**
 * Job: stored blocks become raw ones, for reads that bring much at once.
 *
 * The raw bytes of each are what `new Block(raw, where)` takes on the main thread. A damaged block fails alone.
 */
import { toWire, type WireError } from '../src/errors.ts'
import { openStoredBlock } from '../src/sst/stored-block.ts'
import type { JobResult } from './jobs.ts'

export interface StoredBlockRange {
	/** Which of `buffers`. */
	readonly buffer: number
	readonly offset: number
	readonly bytes: number
	/** Largest raw size that its table admits. */
	readonly rawMaxBytes: number
	/** Object key, for errors. */
	readonly where: string
}

export interface DecodeBlocksInput {
	/** Owned by the job: each holds any number of the blocks. */
	readonly buffers: readonly ArrayBuffer[]
	readonly blocks: readonly StoredBlockRange[]
}

export interface DecodeBlocksOutput {
	/** One for each of the input, in its order. Each `raw` is alone in its buffer, and the caller's. */
	readonly blocks: readonly ({ readonly raw: Uint8Array } | { readonly error: WireError })[]
}

export function decodeBlocksJob(input: DecodeBlocksInput): JobResult<DecodeBlocksOutput> {
	const transfer: ArrayBuffer[] = []
	const blocks = input.blocks.map(block => {
		try {
			const raw = ownWhole(decode(input.buffers, block), input.buffers)
			transfer.push(raw.buffer)
			return { raw }
		} catch (error) {
			return { error: toWire(error) }
		}
	})
	return { output: { blocks }, transfer }
}

function decode(buffers: readonly ArrayBuffer[], block: StoredBlockRange): Uint8Array {
	const buffer = buffers[block.buffer]
	if (buffer === undefined)
		throw new RangeError(`Expected \`buffer\` to name one of ${buffers.length}, got ${block.buffer}`)
	const stored = new Uint8Array(buffer, block.offset, block.bytes)
	return openStoredBlock(stored, block.rawMaxBytes, block.where)
}

/** The same bytes in a buffer that holds nothing else and that nobody else has, so that it can be transferred. */
function ownWhole(raw: Uint8Array, inputs: readonly ArrayBuffer[]): Uint8Array<ArrayBuffer> {
	const buffer = raw.buffer
	const isAlone = raw.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer && !inputs.includes(buffer)
	return isAlone ? new Uint8Array(buffer) : new Uint8Array(raw)
}
