/**
 * The kernels beside other ways to do the same: `npm exec -- node bench/micro/kernels.ts [records]`. `docs/decisions.md` says
 * why each is as it is.
 *
 * A fixed seed; all ways of one kernel in turns in one process, medians of processor time of this thread; every way's
 * answer is compared with that of the one that is used. `flush.ts`, `merge.ts` and `sst.ts` have more of each.
 */
import { crc32, tableCrc32 } from '../../src/bytes/crc32.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { seededRandom } from '../../src/host/random.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import type { Codec } from '../../src/sst/codec.ts'
import { deflateCodec, fflateDeflateCodec } from '../../src/sst/codec-deflate.ts'
import { lz4KernelCodec, lz4NativeCodec } from '../../src/sst/codec-lz4.ts'
import { zstdCodec } from '../../src/sst/codec-zstd.ts'
import { KIND_VALUE, toSeq } from '../../src/sst/entry.ts'
import { viewSegments } from '../../src/sst/entry-arena.ts'
import { sortEntries } from '../../src/sst/entry-sort.ts'
import { addHashes, encodeFilter, Filter } from '../../src/sst/filter.ts'
import { openTable } from '../../src/sst/sst-table.ts'
import { TableBuilder } from '../../src/sst/table-builder.ts'
import { encodeTableJob } from '../../workers/encode-table.ts'
import type { MergeSource } from '../../workers/merge-job.ts'
import { mergeTablesJob } from '../../workers/merge-tables.ts'
import { median } from '../statistics.ts'
import {
	ClassicFilter,
	seekByHalves,
	seekByKeys,
	seekInOrder,
	slicedCrc32,
	sortByComparing,
	sortByText,
} from './candidates.ts'

const ROUNDS = 7
/** What takes less is repeated: the clock of a thread's processor time may turn in steps of some milliseconds. */
const LEAST_MS = 60
const KEY_BYTES = 16
const VALUE_BYTES = 100
const BLOCK_BYTES = 16_384
const SOURCES = 8
const recordCount = Number(process.argv[2] ?? 100_000)
const random = seededRandom(20)
const below = (limit: number): number => Math.floor(random.next() * limit)

/** One way: what it is called, what it does for how many items, and what must come out alike of all ways. */
interface Way {
	readonly name: string
	readonly run: () => unknown
}

/** In turns; `each` says what one item is. */
function compare(title: string, each: string, items: number, ways: readonly Way[], bytesPerItem = 0): void {
	console.log(`\n${title}`)
	const ms = ways.map((): number[] => [])
	const repeats = ways.map(({ run }) => {
		const started = performance.now()
		run()
		return Math.ceil(LEAST_MS / Math.max(0.1, performance.now() - started))
	})
	for (let round = 0; round < ROUNDS; round++) {
		ways.forEach(({ run }, i) => {
			const before = process.threadCpuUsage()
			for (let repeat = 0; repeat < (repeats[i] ?? 1); repeat++) run()
			const { user, system } = process.threadCpuUsage(before)
			ms[i]?.push((user + system) / 1000 / (repeats[i] ?? 1))
		})
	}
	const medians = ms.map(median)
	ways.forEach(({ name }, i) => {
		const own = medians[i] ?? Number.NaN
		const rate = bytesPerItem === 0 ? '' : `${((bytesPerItem * items) / own / 1e6).toFixed(2).padStart(8)} GB/s`
		const times = (own / (medians[0] ?? Number.NaN)).toFixed(2).padStart(6)
		console.log(`  ${name.padEnd(58)} ${((own * 1e6) / items).toFixed(1).padStart(9)} ns ${each}${rate}  × ${times}`)
	})
}

const SHAPES: Readonly<Record<string, () => Uint8Array>> = {
	'16 hexadecimal digits': () => Buffer.from(Buffer.from(random.bytes(8)).toString('hex'), 'latin1'),
	'paths of 40 bytes': () => Buffer.from(`tenant/${below(97)}/users/${below(1e9)}/profile`.padEnd(40, '/'), 'latin1'),
}
const values = Array.from({ length: 1_024 }, () => {
	const user = `"name":"user ${below(10_000)}","email":"u${below(100_000)}@example.com"`
	const text = `{"id":${below(1e6)},${user},"active":${below(2) === 1},"score":${below(1000)}}`
	return Buffer.from(text.padEnd(VALUE_BYTES).slice(0, VALUE_BYTES), 'latin1')
})

function compareSorts(): void {
	for (const [shape, key] of Object.entries(SHAPES)) {
		const keys = Array.from({ length: recordCount }, key)
		const memtable = new Memtable({ baseSeq: toSeq(1), pool: new ArenaPool() })
		keys.forEach((one, i) => {
			memtable.put(one, values[i % values.length] as Uint8Array, 1, 0)
		})
		memtable.freeze()
		const table = { codec: 'none' as const, minWriteMs: 1, maxWriteMs: 1 }
		const { input } = memtable.makeEncodeJob(table)
		const views = viewSegments(input.segments)
		compare(`sort, ${shape}`, 'a record', recordCount, [
			{
				name: 'radix, most telling bytes in one word (used)',
				run: () => sortEntries(input.segments, views, recordCount),
			},
			{ name: 'comparing arrays of bytes', run: () => sortByComparing(keys) },
			{ name: 'texts, compared by V8', run: () => sortByText(keys) },
		])
		const encode = (withoutKernel: boolean) => () => encodeTableJob({ ...input, table }, withoutKernel)
		const encodings = [
			{ name: 'WebAssembly (used)', run: encode(false) },
			{ name: 'TypeScript (the fallback)', run: encode(true) },
		]
		compare(`sort and encode, ${shape}`, 'a record', recordCount, encodings, (keys[0]?.length ?? 0) + VALUE_BYTES)
	}
}

/** Sorted records in blocks of a table. */
function tableOf(keys: readonly Uint8Array[], codec: 'none' | 'lz4', firstSeq: number): TableBuilder {
	const builder = new TableBuilder({ codec, blockBytes: BLOCK_BYTES, minWriteMs: 0, maxWriteMs: 0 })
	keys.forEach((key, i) => {
		const value = values[i % values.length] as Uint8Array
		builder.add(key, 0, key.length, firstSeq + i, KIND_VALUE, 0, value, 0, value.length)
	})
	return builder
}

const sortedKeys = Array.from({ length: recordCount }, () => Buffer.from(Buffer.from(random.bytes(8)).toString('hex')))
sortedKeys.sort((a, b) => a.compare(b))

function compareMerges(): void {
	for (const codec of ['none', 'lz4'] as const) {
		const dealt = Array.from({ length: SOURCES }, (): Uint8Array[] => [])
		for (const key of sortedKeys) dealt[below(SOURCES)]?.push(key)
		const sources = dealt.map((keys, i): MergeSource => {
			const { bytes, meta } = tableOf(keys, codec, 1 + i * recordCount).finish()
			const table = openTable(meta, bytes.subarray(meta.metaOffset), 'bench')
			return { meta, where: `t${i}`, run: table.blockRun(0, table.blockCount), blocks: bytes.slice(0, meta.metaOffset) }
		})
		const merge = (withoutKernel: boolean) => () =>
			mergeTablesJob(
				{
					sources,
					lower: null,
					upper: null,
					output: { codec, targetBytes: 1 << 30 },
					dropTombstones: false,
					expireBeforeMs: 0,
					buffers: [],
				},
				withoutKernel,
			)
		const ways = [
			{ name: 'WebAssembly (used)', run: merge(false) },
			{ name: 'TypeScript (the fallback)', run: merge(true) },
		]
		compare(`merge of ${SOURCES} tables at random, ${codec}`, 'a record', recordCount, ways, KEY_BYTES + VALUE_BYTES)
	}
}

function compareFilters(): void {
	const hashes = Uint32Array.from(sortedKeys, key => hashKey(key, 0, key.length))
	const absent = hashes.map(hash => Math.imul(hash ^ 0x5bd1e995, 0x5bd1e995) >>> 0)
	const section = new Uint8Array(9 + 32 * Math.ceil((recordCount * 10) / 256))
	encodeFilter(hashes, hashes.length, 10, section, 0)
	const blocked = new Filter(section)
	const classic = new ClassicFilter(recordCount, 10)
	for (const hash of hashes) classic.add(hash)
	compare('filter of 10 bits a key, add', 'a key', recordCount, [
		{
			name: 'split blocks (used)',
			run: () => addHashes(new Uint32Array(section.length >> 2), hashes, hashes.length - 1),
		},
		{
			name: 'classic, 7 probes',
			run: () => {
				const filter = new ClassicFilter(recordCount, 10)
				for (const hash of hashes) filter.add(hash)
			},
		},
	])
	for (const [what, asked] of [
		['present', hashes],
		['absent', absent],
	] as const) {
		const passed = (filter: { mayContain(hash: number): boolean }): number =>
			asked.reduce((sum, hash) => sum + (filter.mayContain(hash) ? 1 : 0), 0)
		const share = (filter: { mayContain(hash: number): boolean }): string =>
			`${((100 * passed(filter)) / recordCount).toFixed(2)} % pass`
		if (what === 'present' && (passed(blocked) !== recordCount || passed(classic) !== recordCount)) {
			throw new Error('a filter denies a key that it has')
		}
		compare(`filter, probe of keys that are ${what}`, 'a key', recordCount, [
			{ name: `split blocks (used), ${share(blocked)}`, run: () => passed(blocked) },
			{ name: `classic, 7 probes, ${share(classic)}`, run: () => passed(classic) },
		])
	}
}

function compareChecksums(): void {
	for (const bytes of [64, 4_096, 262_144]) {
		const page = random.bytes(bytes)
		const times = Math.ceil(20_000_000 / bytes)
		if (crc32(page) !== slicedCrc32(page) || crc32(page) !== tableCrc32(page)) throw new Error('checksums differ')
		const repeated = (crc: (page: Uint8Array) => number) => () => {
			for (let i = 0; i < times; i++) crc(page)
		}
		const ways = [
			{ name: 'zlib (used)', run: repeated(crc32) },
			{ name: 'TypeScript, a byte a turn (the fallback)', run: repeated(tableCrc32) },
			{ name: 'TypeScript, 8 bytes a turn', run: repeated(slicedCrc32) },
		]
		compare(`CRC of ${bytes} bytes`, 'a call', times, ways, bytes)
	}
}

function compareSearches(): void {
	const built = tableOf(sortedKeys, 'none', 1).finish()
	const table = openTable(built.meta, built.bytes.subarray(built.meta.metaOffset), 'bench')
	const blocks = Array.from({ length: table.blockCount }, (_, i) => {
		const { offset, bytes } = table.blockRange(i)
		return table.decodeBlock(i, built.bytes.subarray(offset, offset + bytes), 'bench')
	})
	const asked = Array.from({ length: 50_000 }, () => sortedKeys[below(sortedKeys.length)] as Uint8Array)
	const found = asked.map(key => blocks[table.findBlock(key)] ?? blocks[0])
	const search = (seek: (block: (typeof blocks)[number], key: Uint8Array) => number) => () => {
		let sum = 0
		asked.forEach((key, i) => {
			const block = found[i]
			if (block !== undefined) sum += seek(block, key)
		})
		return sum
	}
	const ways = [
		{
			name: 'points, with the hash (used by lookups)',
			run: search((block, key) => block.find(key, hashKey(key, 0, key.length))),
		},
		{ name: 'heads (used by scans)', run: search((block, key) => block.seek(key)) },
		{ name: 'halves, each key compared in place', run: search(seekByHalves) },
		{ name: 'halves, each key an array of its own', run: search(seekByKeys) },
		{ name: 'in order from the first', run: search(seekInOrder) },
	]
	if (new Set(ways.map(({ run }) => run())).size !== 1) throw new Error('searches differ')
	compare(`search in a block of ${blocks[0]?.count} entries, random keys`, 'a key', asked.length, ways)
}

function compareCodecs(): void {
	const built = tableOf(sortedKeys, 'none', 1).finish()
	const count = Math.min(300, Math.floor(built.bytes.length / BLOCK_BYTES))
	const raws = Array.from({ length: count }, (_, i) => built.bytes.slice(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES))
	const candidates: readonly (readonly [string, Codec | undefined])[] = [
		['lz4, addon (used)', lz4NativeCodec],
		['lz4, TypeScript (the fallback)', lz4KernelCodec],
		['deflate, zlib', deflateCodec],
		['deflate, fflate', fflateDeflateCodec],
		['zstd, zlib', zstdCodec],
	]
	const packed = candidates.flatMap(([name, codec]) => {
		if (codec === undefined) return []
		const payloads = raws.map(raw => {
			const payload = codec.compress(raw)
			const sized = new Uint8Array(4 + payload.length)
			new DataView(sized.buffer).setUint32(0, raw.length, true)
			sized.set(payload, 4)
			return sized
		})
		const ratio = (raws.length * BLOCK_BYTES) / payloads.reduce((sum, { length }) => sum + length - 4, 0)
		return [{ name: `${name}, ratio ${ratio.toFixed(2)}`, codec, payloads }]
	})
	const into = packed.map(({ name, codec }) => ({ name, run: () => raws.map(raw => codec.compress(raw)) }))
	compare('compress blocks of 16 KiB', 'a block', raws.length, into, BLOCK_BYTES)
	const back = packed.map(({ name, codec, payloads }) => ({
		name,
		run: () => payloads.map(payload => codec.decompress(payload, new Uint8Array(BLOCK_BYTES))),
	}))
	compare('decompress blocks of 16 KiB', 'a block', raws.length, back, BLOCK_BYTES)
}

console.log(
	`${recordCount} records of ${KEY_BYTES} and ${VALUE_BYTES} bytes, medians of ${ROUNDS} rounds of processor time`,
)
console.log(`Node ${process.versions.node}; × is the time beside the way that is used`)
compareSorts()
compareMerges()
compareFilters()
compareChecksums()
compareSearches()
compareCodecs()
