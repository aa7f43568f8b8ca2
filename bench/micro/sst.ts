/**
 * Micro-benchmark of tables: `npm exec -- node bench/micro/sst.ts [records]`.
 *
 * 16-byte keys in random order, 100-byte JSON-like values, a fixed seed. Every figure is the best of several rounds, and
 * candidates for the same work run round about in one process: compare within a run, not between runs.
 */
import { crc32, tableCrc32 } from '../../src/bytes/crc32.ts'
import { hashKey } from '../../src/bytes/hash.ts'
import { seededRandom } from '../../src/host/random.ts'
import type { Block } from '../../src/sst/block.ts'
import { CODEC_NAMES, type Codec } from '../../src/sst/codec.ts'
import { deflateCodec, fflateDeflateCodec } from '../../src/sst/codec-deflate.ts'
import { lz4KernelCodec, lz4NativeCodec } from '../../src/sst/codec-lz4.ts'
import { zstdCodec } from '../../src/sst/codec-zstd.ts'
import { KIND_VALUE } from '../../src/sst/entry.ts'
import { addHashes } from '../../src/sst/filter.ts'
import type { CodecName } from '../../src/sst/sst-meta.ts'
import { openTable, type SstTable } from '../../src/sst/sst-table.ts'
import { type BuiltTable, TableBuilder } from '../../src/sst/table-builder.ts'

const KEY_BYTES = 16
const ROUNDS = 5
const recordCount = Number(process.argv[2] ?? 100_000)

/** Records as the memtable holds them: key and value beside each other. `order` is their sorted order. */
interface Records {
	readonly arena: Uint8Array
	readonly offsets: Uint32Array
	readonly valueBytes: Uint32Array
	readonly rawBytes: number
}

function makeRecords(count: number): Records {
	const random = seededRandom(20)
	const below = (limit: number): number => Math.floor(random.next() * limit)
	const keys = Array.from({ length: count }, () => `k${String(below(1e15)).padStart(KEY_BYTES - 1, '0')}`)
	const sorted = [...new Set(keys)].sort()
	const arena = new Uint8Array(sorted.length * 128)
	const offsets = new Uint32Array(sorted.length)
	const valueBytes = new Uint32Array(sorted.length)
	const encoder = new TextEncoder()
	let at = 0
	let rawBytes = 0
	sorted.forEach((key, i) => {
		const user = `"name":"user ${below(10_000)}","email":"u${below(100_000)}@example.com"`
		const value = `{"id":${below(1e6)},${user},"active":${below(2) === 1},"score":${below(1000)}}`
		offsets[i] = at
		encoder.encodeInto(key, arena.subarray(at))
		valueBytes[i] = encoder.encodeInto(value.padEnd(100).slice(0, 100), arena.subarray(at + KEY_BYTES)).written
		rawBytes += KEY_BYTES + 100
		at += (KEY_BYTES + 100 + 7) & ~7
	})
	return { arena, offsets, valueBytes, rawBytes }
}

/** Best time of the rounds, in milliseconds. */
function best(run: () => void, rounds = ROUNDS): number {
	let bestMs = Number.POSITIVE_INFINITY
	for (let round = 0; round < rounds; round++) {
		const startMs = performance.now()
		run()
		bestMs = Math.min(bestMs, performance.now() - startMs)
	}
	return bestMs
}

const line = (name: string, figure: string): void => console.log(`${name.padEnd(46)} ${figure}`)
const megabytes = (bytes: number, ms: number): string => `${(bytes / ms / 1000).toFixed(0).padStart(6)} MB/s`
const each = (count: number, ms: number): string =>
	`${((ms * 1e6) / count).toFixed(0).padStart(6)} ns  ${(count / ms / 1000).toFixed(2).padStart(7)} M/s`

function encode(records: Records, codec: CodecName, blockBytes?: number): BuiltTable {
	const { arena, offsets, valueBytes } = records
	const builder = new TableBuilder({ codec, blockBytes, minWriteMs: 0, maxWriteMs: 0 })
	for (let i = 0; i < offsets.length; i++) {
		const at = offsets[i] as number
		builder.add(arena, at, KEY_BYTES, i, KIND_VALUE, 0, arena, at + KEY_BYTES, valueBytes[i] as number)
	}
	return builder.finish()
}

const open = (built: BuiltTable): SstTable =>
	openTable(built.meta, built.bytes.subarray(built.meta.metaOffset), 'bench')

function decodeAll(built: BuiltTable, table: SstTable): Block[] {
	const blocks: Block[] = []
	for (let i = 0; i < table.blockCount; i++) {
		const { offset, bytes } = table.blockRange(i)
		blocks.push(table.decodeBlock(i, built.bytes.subarray(offset, offset + bytes), 'bench'))
	}
	return blocks
}

function benchTables(records: Records): void {
	console.log('\ntables (raw bytes of keys and values)')
	for (const codec of CODEC_NAMES) {
		const built = encode(records, codec)
		const table = open(built)
		const encodeMs = best(() => encode(records, codec))
		const decodeMs = best(() => decodeAll(built, table))
		const ratio = (records.rawBytes / built.bytes.length).toFixed(2)
		line(`encode ${codec}`, `${megabytes(records.rawBytes, encodeMs)}  ratio ${ratio}`)
		line(`decode ${codec}, CRC and checks included`, megabytes(records.rawBytes, decodeMs))
	}
}

function benchCodecs(records: Records): void {
	console.log('\ncodecs, blocks of 16 KiB')
	const built = encode(records, 'none', 16_384)
	const raws = decodeAll(built, open(built)).map(block => block.bytes)
	const total = raws.reduce((sum, raw) => sum + raw.length, 0)
	const candidates: [string, Codec | undefined][] = [
		['lz4, addon', lz4NativeCodec],
		['lz4, TypeScript', lz4KernelCodec],
		['deflate, zlib', deflateCodec],
		['deflate, fflate', fflateDeflateCodec],
		['zstd, zlib', zstdCodec],
	]
	for (const [name, codec] of candidates) {
		if (codec === undefined) {
			line(name, 'not installed')
			continue
		}
		const sized = raws.map(raw => {
			const payload = codec.compress(raw)
			const bytes = new Uint8Array(4 + payload.length)
			new DataView(bytes.buffer).setUint32(0, raw.length, true)
			bytes.set(payload, 4)
			return bytes
		})
		const packed = sized.reduce((sum, bytes) => sum + bytes.length - 4, 0)
		const inMs = best(() => {
			for (const raw of raws) codec.compress(raw)
		}, 3)
		const outMs = best(() => {
			for (let i = 0; i < sized.length; i++)
				codec.decompress(sized[i] as Uint8Array, new Uint8Array(raws[i]?.length ?? 0))
		}, 3)
		const figures = `in ${megabytes(total, inMs)}  out ${megabytes(total, outMs)}  ratio ${(total / packed).toFixed(2)}`
		line(name, figures)
	}
}

function benchChecks(records: Records): void {
	console.log('\nhash, filter, CRC')
	const { arena, offsets } = records
	const hashes = new Uint32Array(offsets.length)
	const hashMs = best(() => {
		for (let i = 0; i < offsets.length; i++) {
			hashes[i] = hashKey(arena, offsets[i] as number, (offsets[i] as number) + KEY_BYTES)
		}
	})
	line('hash of a 16-byte key', each(offsets.length, hashMs))
	const words = new Uint32Array(Math.ceil((hashes.length * 10) / 256) * 8)
	line(
		'filter add',
		each(
			hashes.length,
			best(() => addHashes(words, hashes, hashes.length)),
		),
	)
	const table = open(encode(records, 'none'))
	let passed = 0
	const probe = (salt: number): number => {
		passed = 0
		return best(() => {
			passed = 0
			for (const hash of hashes) if (table.mayContain(Math.imul(hash ^ salt, salt | 1) >>> 0)) passed++
		})
	}
	line('filter probe, key present', each(hashes.length, probe(0)))
	const absentMs = probe(0x5bd1e995)
	line(
		'filter probe, key absent',
		`${each(hashes.length, absentMs)}  passed ${((passed / hashes.length) * 100).toFixed(2)} %`,
	)
	const page = arena.subarray(0, 4096)
	const crcOf = (crc: (bytes: Uint8Array) => number): number =>
		best(() => {
			for (let i = 0; i < 5000; i++) crc(page)
		})
	line('CRC of 4 KiB, zlib', each(5000, crcOf(crc32)))
	line('CRC of 4 KiB, TypeScript', each(5000, crcOf(tableCrc32)))
}

function benchReads(records: Records): void {
	console.log('\nreads of decoded blocks (codec none)')
	const built = encode(records, 'none')
	const table = open(built)
	const blocks = decodeAll(built, table)
	const random = seededRandom(21)
	const count = Math.min(records.offsets.length, 100_000)
	const keys = Array.from({ length: count }, () => {
		const at = records.offsets[Math.floor(random.next() * records.offsets.length)] as number
		return records.arena.slice(at, at + KEY_BYTES)
	})
	let found = 0
	const seekMs = best(() => {
		for (const key of keys) {
			const block = blocks[table.findBlock(key)] as Block
			if (block.compareKeyAt(block.seek(key), key) === 0) found++
		}
	})
	line('find block, seek, compare; random keys', each(count, seekMs))
	const one = blocks[Math.floor(blocks.length / 2)] as Block
	const hotKeys = Array.from({ length: one.count }, (_, i) => one.keyAt(i))
	const hotMs = best(() => {
		for (let round = 0; round < 1000; round++) for (const key of hotKeys) found += one.seek(key)
	})
	line('seek within one hot block', each(1000 * hotKeys.length, hotMs))
	const scanMs = best(() => {
		for (const block of blocks) {
			for (let i = 0; i < block.count; i++) found += block.seqAt(i) + block.kindAt(i) + block.valueEndAt(i)
		}
	})
	line('scan, no memory per row', each(records.offsets.length, scanMs))
	const batch = new Uint8Array(1 << 20)
	const copyMs = best(() => {
		let at = 0
		for (const block of blocks) {
			for (let i = 0; i < block.count; i++) {
				if (at > batch.length - 1000) at = 0
				at = block.copyKeyAt(i, batch, at)
				const value = block.valueViewAt(i)
				batch.set(value, at)
				at += value.length
			}
		}
	})
	line('scan, keys and values copied to a batch', each(records.offsets.length, copyMs))
	const viewMs = best(() => {
		for (const block of blocks)
			for (let i = 0; i < block.count; i++) found += block.keyAt(i).length + block.valueViewAt(i).length
	})
	line('scan, a key of its own and a view per row', each(records.offsets.length, viewMs))
	if (found === 0) throw new Error('nothing was read')
}

const records = makeRecords(recordCount)
console.log(`${records.offsets.length} records, ${(records.rawBytes / 1e6).toFixed(1)} MB raw, Node ${process.version}`)
benchTables(records)
benchCodecs(records)
benchChecks(records)
benchReads(records)
