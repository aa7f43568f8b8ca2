/** Job: which values of some blob packs the entries of tables still refer to, so that a sparse pack can be written anew. */
import { decodeBlobRef } from '../src/blob/blob-ref.ts'
import { BlockRunReader } from '../src/sst/block-run.ts'
import { KIND_BLOB } from '../src/sst/entry.ts'
import type { JobResult } from './jobs.ts'
import {
	buffersOf,
	type CollectBlobRefsInput,
	type CollectBlobRefsOutput,
	type MergeSource,
	type PackRefs,
} from './merge-job.ts'

interface Found {
	readonly bytes: number
	readonly crc: number
}

/** @throws ISLE_CORRUPT naming the source whose bytes are damaged. */
export function collectBlobRefsJob(input: CollectBlobRefsInput): JobResult<CollectBlobRefsOutput> {
	const byPack = new Map<string, Map<number, Found>>(input.packIds.map(packId => [packId, new Map()]))
	let entriesRead = 0
	for (const source of input.sources) entriesRead += collect(source, byPack)
	const packs = input.packIds.map(packId => refsOf(packId, byPack.get(packId) ?? new Map()))
	const transfer = packs.flatMap(({ offsets, bytes, crcs }) => [offsets.buffer, bytes.buffer, crcs.buffer])
	const buffers = buffersOf(input.sources)
	return { output: { packs, entriesRead, buffers }, transfer: [...transfer, ...buffers] }
}

/** Adds the references of one source; returns how many entries it has. */
function collect({ run, blocks, where }: MergeSource, byPack: Map<string, Map<number, Found>>): number {
	const reader = new BlockRunReader(run, blocks, where)
	let entriesRead = 0
	for (let b = 0; b < reader.count; b++) {
		const block = reader.decode(b)
		entriesRead += block.count
		if (block.commonKind !== undefined && block.commonKind !== KIND_BLOB) continue
		for (let i = 0; i < block.count; i++) {
			if (block.kindAt(i) !== KIND_BLOB) continue
			const ref = decodeBlobRef(block.valueViewAt(i), where)
			const found = byPack.get(ref.packId)
			// An empty value takes no room: the one behind it begins at the same offset.
			if (ref.bytes >= (found?.get(ref.offset)?.bytes ?? 0)) found?.set(ref.offset, { bytes: ref.bytes, crc: ref.crc })
		}
	}
	return entriesRead
}

function refsOf(packId: string, found: ReadonlyMap<number, Found>): PackRefs {
	const offsets = Float64Array.from(found.keys()).sort()
	const of = (offset: number): Found => found.get(offset) ?? { bytes: 0, crc: 0 }
	return {
		packId,
		offsets,
		bytes: Float64Array.from(offsets, offset => of(offset).bytes),
		crcs: Uint32Array.from(offsets, offset => of(offset).crc),
	}
}
