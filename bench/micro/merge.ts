/**
 * Micro-benchmark of the merge job: `npm exec -- node bench/micro/merge.ts [records] [part of the name of shapes]`.
 *
 * 16-byte keys, 100-byte JSON-like values, a fixed seed; on this thread, as a worker runs it: blocks in, tables out, CRCs,
 * checks, filters and indexes included, in WebAssembly and in TypeScript in turns. Compare within a run, not between runs.
 */
import { seededRandom } from '../../src/host/random.ts'
import { KIND_VALUE } from '../../src/sst/entry.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { openTable } from '../../src/sst/sst-table.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import type { MergeSource } from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'

const KEY_BYTES = 16
const VALUE_BYTES = 100
const ROUNDS = 7
const recordCount = Number(process.argv[2] ?? 250_000)
/** Part of the names of the shapes that are measured. */
const ONLY = process.argv[3] ?? ''

interface Shape {
	readonly name: string
	readonly sources: number
	readonly codec: CodecName
	/** The first source of key `i` of `count`, in key order; other versions go to those behind it. */
	readonly sourceOf: (i: number, count: number) => number
	/** How often each key was written. */
	readonly versions: number
}

const random = seededRandom(20)
const below = (limit: number): number => Math.floor(random.next() * limit)
const encoder = new TextEncoder()

function makeSources(shape: Shape): MergeSource[] {
	const { sources, codec, versions } = shape
	const count = Math.floor(recordCount / versions)
	const drawn = Array.from({ length: count }, () => `k${String(below(1e15)).padStart(KEY_BYTES - 1, '0')}`)
	const keys = [...new Set(drawn)].sort()
	const builders = Array.from({ length: sources }, () => new TableBuilder({ codec, minWriteMs: 0, maxWriteMs: 0 }))
	const record = new Uint8Array(KEY_BYTES + VALUE_BYTES)
	keys.forEach((key, i) => {
		encoder.encodeInto(key, record)
		const first = shape.sourceOf(i, count)
		for (let version = 0; version < versions; version++) {
			const user = `"name":"user ${below(10_000)}","email":"u${below(100_000)}@example.com"`
			const value = `{"id":${below(1e6)},${user},"active":${below(2) === 1},"score":${below(1000)}}`
			encoder.encodeInto(value.padEnd(VALUE_BYTES).slice(0, VALUE_BYTES), record.subarray(KEY_BYTES))
			const source = (first + version) % sources
			const seq = source * 10_000_000 + ((i * 7919) % 9_999_991)
			builders[source]?.add(record, 0, KEY_BYTES, seq, KIND_VALUE, 0, record, KEY_BYTES, VALUE_BYTES)
		}
	})
	return builders.map((builder, i) => {
		const { bytes, meta } = builder.finish()
		const table = openTable(meta, bytes.subarray(meta.metaOffset), 'bench')
		return { meta, where: `t${i}`, run: table.blockRun(0, table.blockCount), blocks: bytes.slice(0, meta.metaOffset) }
	})
}

const interleaved = (sources: number, codec: CodecName): Shape => ({
	name: `${sources} sources at random, ${codec}`,
	sources,
	codec,
	versions: 1,
	sourceOf: () => below(sources),
})

const shapes: readonly Shape[] = [
	...[2, 4, 8].map(sources => interleaved(sources, 'none')),
	interleaved(8, 'lz4'),
	{ ...interleaved(8, 'none'), name: '8 sources, each key in two of them, none', versions: 2 },
	...(['none', 'lz4'] as const).map(codec => ({
		...interleaved(8, codec),
		name: `8 sources, runs of 1,000 keys, ${codec}`,
		sourceOf: (i: number) => Math.floor(i / 1000) % 8,
	})),
	...(['none', 'lz4'] as const).map(codec => ({
		...interleaved(8, codec),
		name: `8 disjoint sources, ${codec}`,
		sourceOf: (i: number, count: number) => Math.floor((i * 8) / count),
	})),
]

/** In the kernel, and in TypeScript. */
const WAYS = [false, true]

interface Measured {
	readonly shape: Shape
	readonly sources: readonly MergeSource[]
	/** Of each way, processor time of each round. */
	readonly ms: readonly number[][]
	passed: number
	buffers: ArrayBuffer[]
}

const prepared = shapes
	.filter(({ name }) => name.includes(ONLY))
	.map((shape): Measured => ({ shape, sources: makeSources(shape), ms: WAYS.map(() => []), passed: 0, buffers: [] }))
for (let round = 0; round < ROUNDS; round++) {
	for (const item of prepared) {
		WAYS.forEach((withoutKernel, way) => {
			// What was uploaded gives its memory to the next: the steady state.
			const input = {
				sources: item.sources,
				lower: null,
				upper: null,
				output: { codec: item.shape.codec, targetBytes: 1 << 30 },
				dropTombstones: false,
				expireBeforeMs: 0,
				buffers: item.buffers,
			}
			const before = process.threadCpuUsage()
			const { output } = mergeTablesJob(input, withoutKernel)
			const { user, system } = process.threadCpuUsage(before)
			item.ms[way]?.push((user + system) / 1000)
			item.passed = output.blocksPassed
			item.buffers = output.tables.map(({ bytes }) => bytes.buffer)
		})
	}
}
console.log('of processor time of this thread, medians: M records/s in the kernel, in TypeScript, ratio')
for (const { shape, sources, ms, passed } of prepared) {
	const records = sources.reduce((sum, { meta }) => sum + meta.entryCount, 0)
	const blocks = sources.reduce((sum, { run }) => sum + run.ends.length, 0)
	const [kernelMs = 0, scriptMs = 0] = ms.map(list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0)
	const speeds = [kernelMs, scriptMs].map(each => (records / each / 1000).toFixed(2).padStart(6)).join(' ')
	const nanoseconds = `${((kernelMs * 1e6) / records).toFixed(0)} ns`
	const ratio = (scriptMs / kernelMs).toFixed(2)
	console.log(
		`${shape.name.padEnd(44)} ${speeds} ${ratio.padStart(6)}  ${nanoseconds.padStart(7)}  passed ${passed} of ${blocks} blocks`,
	)
}
