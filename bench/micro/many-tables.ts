/** States of very many tables, as merges make them with default settings: 32 MiB each, keys of 15 bytes, in five runs. */
import type { Random } from '../../src/host/random.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, SortedRun, TableRef } from '../../src/manifest/manifest.ts'

export const RUNS = 5
/** Of all tables: the oldest run; the others share the rest. */
const OLDEST_SHARE = 0.8
const SEQS_PER_RUN = 1_000_000_000

export class ManyTables {
	readonly #random: Random
	#minted = 0

	constructor(random: Random) {
		this.#random = random
	}

	state(count: number): Manifest {
		const older = Math.floor(count * OLDEST_SHARE)
		const runs = Array.from({ length: RUNS }, (_, run): SortedRun => {
			const tables = run === RUNS - 1 ? older : Math.floor((count - older) / (RUNS - 1))
			return { id: `m6-${run}`, tables: Array.from({ length: tables }, (__, i) => this.table(run, i * 10, i * 10 + 9)) }
		})
		const lastSeq = (RUNS + 1) * SEQS_PER_RUN
		return { ...EMPTY_MANIFEST, writerPosition: { epoch: 1, slot: 1 }, lastSeq, runs }
	}

	/** Of run `run`, with keys from number `from` to number `to`. */
	table(run: number, from: number, to: number): TableRef {
		const id = `m7-${this.#minted++}`
		const minSeq = (RUNS - run) * SEQS_PER_RUN + Math.floor(this.#random.next() * 1_000_000)
		return {
			id,
			objectKey: `sst/${id}`,
			offset: 0,
			meta: {
				formatVersion: 2,
				codec: 'lz4',
				entryCount: 300_000,
				keyCount: 300_000,
				tombstoneCount: 0,
				blobRefCount: 0,
				blobUses: [],
				smallestKey: keyOf(from),
				largestKey: keyOf(to),
				minSeq,
				maxSeq: minSeq + 900_000_000,
				minWriteMs: 1_790_000_000_000,
				maxWriteMs: 1_795_000_000_000,
				maxExpiresAtMs: 0,
				halfExpiresAtMs: 0,
				rawBytes: 60_000_000,
				storedBytes: 33_554_432,
				metaOffset: 33_000_000,
			},
		}
	}
}

function keyOf(i: number): Uint8Array {
	return Buffer.from(`k${String(i).padStart(14, '0')}`)
}
