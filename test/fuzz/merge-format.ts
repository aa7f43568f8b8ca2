/**
 * Merges of tables with hostile blocks and indexes behind sound checksums: the kernel and TypeScript make the same tables, or refuse
 * with the same words; and what they make can be read.
 */
import { crc32 } from '../../src/bytes/crc32.ts'
import { isIsleError } from '../../src/errors.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'
import { KIND_TOMBSTONE } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import type { MergeSource, MergeTablesInput } from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'
import { entry, type ModelEntry, readAll, sorted } from '../sst/table-model.ts'
import { type ModelTable, mergeInput, sourcesOf } from '../workers/merge-model.ts'
import { type Attempt, expectThat, type Format, putU32, type Verdict } from './format.ts'
import { below, mutate, oddNumber, oneOf } from './mutation.ts'

const WRITE_MS = { minWriteMs: 5, maxWriteMs: 9 }

/** Tables that share keys, in small blocks: versions, tombstones, expiries, prefixes. */
function someTables(random: Random, codec: CodecName): ModelTable[] {
	const count = 1 + below(random, 4)
	const prefix = oneOf(random, ['', 'tenant/a/', 'tenant/long/path/'])
	return Array.from({ length: count }, (_, t) => {
		const entries = Array.from({ length: 5 + below(random, 60) }, (): ModelEntry => {
			const seq = below(random, 300) * count + t
			const made = entry(`${prefix}${below(random, 80)}`, seq, 'v'.repeat(below(random, 60)))
			if (random.next() < 0.1) return { ...made, kind: KIND_TOMBSTONE, value: new Uint8Array(0) }
			return random.next() < 0.2 ? { ...made, expiresAtMs: 1 + below(random, 1000) } : made
		})
		return { entries: sorted(entries), options: { blockBytes: oneOf(random, [64, 128, 512]), codec, ...WRITE_MS } }
	})
}

const SETS: readonly (readonly MergeSource[])[] = Array.from({ length: 24 }, (_, i) =>
	sourcesOf(someTables(seededRandom(9000 + 77 * i), (['none', 'none', 'lz4', 'deflate'] as const)[i % 4] ?? 'none')),
)

function hostile(source: MergeSource, random: Random): MergeSource {
	const run = { ...source.run, ends: source.run.ends.slice(), separatorEnds: source.run.separatorEnds.slice() }
	const blocks = new Uint8Array(source.blocks)
	switch (below(random, 8)) {
		case 0:
			return { ...source, blocks, run: { ...run, rawMaxBytes: oddNumber(random) % 2_000_000 } }
		case 1:
			return {
				...source,
				blocks,
				run: { ...run, separators: mutate(run.separators, random, [run.separators]).slice(0, run.separators.length) },
			}
		case 2:
			run.ends[below(random, run.ends.length)] = oddNumber(random)
			return { ...source, blocks, run }
		default: {
			const i = below(random, run.ends.length)
			const block = blocks.subarray(i === 0 ? 0 : run.ends[i - 1], run.ends[i])
			block.set(mutate(block, random, [block]).subarray(0, block.length))
			putU32(block, 0, crc32(block.subarray(4)))
			return { ...source, blocks, run }
		}
	}
}

interface MergeOutcome {
	readonly text: string
	readonly isRefused: boolean
}

function outcomeOf(input: MergeTablesInput, withoutKernel: boolean): MergeOutcome {
	try {
		const { tables, buffers, ...counts } = mergeTablesJob(input, withoutKernel).output
		for (const { bytes, meta } of tables) {
			const read = readAll({ bytes, meta })
			expectThat(read.length === meta.entryCount, 'a merged table of another count than it says')
		}
		const shown = tables.map(({ bytes, meta }) => [Buffer.from(bytes).toString('latin1'), meta])
		return { text: JSON.stringify([shown, buffers.length, counts]), isRefused: false }
	} catch (error) {
		if (!isIsleError(error)) throw error
		return { text: `${error.code} ${error.message}`, isRefused: true }
	}
}

function judgeMerge(input: MergeTablesInput, isSample: boolean): Verdict {
	const kernel = outcomeOf(input, false)
	const typescript = outcomeOf(input, true)
	expectThat(
		kernel.text === typescript.text,
		`the kernel: ${kernel.text.slice(0, 300)}, TypeScript: ${typescript.text.slice(0, 300)}`,
	)
	expectThat(!isSample || !kernel.isRefused, 'a sample is refused')
	return kernel.isRefused ? 'refused' : 'accepted'
}

export const mergeFormats: readonly Format[] = [
	{
		name: 'merge',
		attempt(random): Attempt {
			const sources = oneOf(random, SETS)
			const isSample = random.next() < 0.1
			const target = below(random, sources.length)
			const chosen = isSample ? sources : sources.map((source, i) => (i === target ? hostile(source, random) : source))
			const input = mergeInput(chosen, {
				dropTombstones: random.next() < 0.5,
				expireBeforeMs: random.next() < 0.5 ? 0 : below(random, 1000),
				output: {
					codec: oneOf(random, ['none', 'none', 'lz4']),
					blockBytes: oneOf(random, [64, 128, 512]),
					targetBytes: oneOf(random, [1024, 1_000_000]),
				},
			})
			return {
				allocationMaxBytes: 60_000_000,
				judge: () => judgeMerge(input, isSample),
				show: () =>
					`source ${target} of ${sources.length} ${Buffer.from(chosen[target]?.blocks ?? []).toString('hex')}`,
			}
		},
	},
]
