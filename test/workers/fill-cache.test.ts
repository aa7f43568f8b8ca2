import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
	type CacheFileName,
	cacheFileOverheadBytes,
	cacheFilePath,
	decodeCacheFile,
	encodeCacheFile,
	isSoundPart,
} from '../../workers/cache-file.ts'
import { type CacheFileCalls, diskBytesOf, type FillFile, fillCacheJob } from '../../workers/fill-cache.ts'
import { type SweepCacheInput, sweepCacheJob } from '../../workers/sweep-cache.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const freshPath = scratchDirectories()

function nameOf(table: string, section = 0): CacheFileName {
	return { digest: new Uint8Array(createHash('sha256').update(table).digest()).slice(0, 16), section, label: table }
}

function freshRoot(): string {
	const root = freshPath()
	fs.mkdirSync(join(root, 'tmp'), { recursive: true })
	return root
}

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

interface Fill {
	readonly name: CacheFileName
	readonly parts: Readonly<Record<number, string>>
}

let jobs = 0

function fill(root: string, fills: readonly Fill[], nowMs: number, calls?: CacheFileCalls) {
	const buffers: ArrayBuffer[] = []
	const files: FillFile[] = fills.map(({ name, parts }) => ({
		...name,
		path: cacheFilePath(name),
		parts: Object.entries(parts).map(([index, text]) => {
			const bytes = bytesOf(text)
			buffers.push(bytes.slice().buffer)
			return {
				index: Number(index),
				offset: Number(index) * 10,
				buffer: buffers.length - 1,
				start: 0,
				bytes: bytes.length,
			}
		}),
	}))
	const tempPath = `tmp/t-any-1-${String(jobs++).padStart(24, '0')}-`
	return fillCacheJob({ root, tempPath, used: [], nowMs, files, buffers }, calls).output
}

function sweep(root: string, options: Partial<SweepCacheInput> = {}) {
	return sweepCacheJob({
		root,
		used: [],
		nowMs: 1_000_000,
		maxBytes: 1_048_576,
		needBytes: 0,
		machine: '00000001',
		...options,
	}).output
}

function read(root: string, name: CacheFileName): Record<number, string> | undefined {
	const parts = decodeCacheFile(fs.readFileSync(join(root, cacheFilePath(name))), name)
	return parts && Object.fromEntries(parts.map(({ index, bytes }) => [index, Buffer.from(bytes).toString()]))
}

describe('a cache file', () => {
	const parts = fc
		.uniqueArray(fc.record({ index: fc.nat(100_000), bytes: fc.uint8Array({ maxLength: 50 }) }), {
			selector: part => part.index,
			minLength: 1,
			maxLength: 20,
		})
		.map(list => list.sort((a, b) => a.index - b.index).map(part => ({ ...part, offset: part.index * 3 })))

	test('gives back what was put in, and is no larger than foretold', () => {
		fc.assert(
			fc.property(parts, fc.string({ maxLength: 2000 }), fc.nat(0xffff_ffff), (list, label, section) => {
				const name = { ...nameOf('a', section), label }
				const file = Buffer.concat(encodeCacheFile(name, list))
				const decoded = decodeCacheFile(file, name)
				expect(decoded?.every(isSoundPart)).toBe(true)
				expect(decoded?.map(({ index, offset, bytes }) => ({ index, offset, bytes: new Uint8Array(bytes) }))).toEqual(
					list.map(({ index, offset, bytes }) => ({ index, offset, bytes: new Uint8Array(bytes) })),
				)
				const partBytes = list.reduce((sum, { bytes }) => sum + bytes.length, 0)
				expect(file.length).toBeLessThanOrEqual(cacheFileOverheadBytes(list.length) + partBytes)
			}),
		)
	})

	test('that is cut short, lengthened, changed in any bit or of another name is not believed', () => {
		fc.assert(
			fc.property(parts, fc.nat(), fc.nat(7), fc.constantFrom('flip', 'cut', 'add'), (list, at, bit, how) => {
				const name = nameOf('a')
				const file = Buffer.concat(encodeCacheFile(name, list))
				const place = at % file.length
				if (how === 'flip') file[place] = (file[place] as number) ^ (1 << bit)
				const damaged = how === 'cut' ? file.subarray(0, place) : how === 'add' ? Buffer.concat([file, file]) : file
				const decoded = decodeCacheFile(damaged, name)
				expect(decoded?.every(isSoundPart) ?? false).toBe(false)
				const whole = Buffer.concat(encodeCacheFile(name, list))
				expect(decodeCacheFile(whole, nameOf('b'))).toBeUndefined()
				expect(decodeCacheFile(whole, nameOf('a', 1))).toBeUndefined()
			}),
		)
	})
})

describe('the job that fills', () => {
	test('joins what is there with what is new, and leaves a file alone to which nothing is new', () => {
		const root = freshRoot()
		const name = nameOf('t')
		expect(fill(root, [{ name, parts: { 3: 'three' } }], 1000).filesWritten).toBe(1)
		expect(fill(root, [{ name, parts: { 1: 'one', 3: 'three' } }], 2000).filesWritten).toBe(1)
		expect(read(root, name)).toEqual({ 1: 'one', 3: 'three' })
		const again = fill(root, [{ name, parts: { 1: 'one' } }], 3000)
		expect(again).toEqual({ grownBytes: 0, filesWritten: 0, filesDamaged: 0, failure: undefined })
		expect(fs.statSync(join(root, cacheFilePath(name))).mtimeMs).toBe(2000)
		expect(fs.readdirSync(join(root, 'tmp'))).toEqual([])
	})

	test('replaces a damaged file by what it knows', () => {
		const root = freshRoot()
		const name = nameOf('t')
		fill(root, [{ name, parts: { 1: 'one', 2: 'two' } }], 1000)
		const path = join(root, cacheFilePath(name))
		const file = fs.readFileSync(path)
		file[file.length - 1] = 0
		fs.writeFileSync(path, file)
		expect(fill(root, [{ name, parts: { 3: 'three' } }], 2000).filesDamaged).toBe(1)
		expect(read(root, name)).toEqual({ 1: 'one', 3: 'three' })
		fs.writeFileSync(path, 'garbage')
		expect(fill(root, [{ name, parts: { 4: 'four' } }], 2000).filesDamaged).toBe(1)
		expect(read(root, name)).toEqual({ 4: 'four' })
	})

	test.each([
		['openSync', 'EACCES'],
		['writevSync', 'ENOSPC'],
		['futimesSync', 'EIO'],
		['renameSync', 'EROFS'],
		['readFileSync', 'EIO'],
	] as const)('that fails in %s with %s says so and leaves no temporary file', (call, errno) => {
		const root = freshRoot()
		let left = 1
		const failing = (...args: never[]): unknown => {
			if (left-- > 0) return Reflect.apply(fs[call], fs, args)
			throw Object.assign(new Error(`${errno}: injected`), { code: errno })
		}
		const calls: CacheFileCalls = { ...fs, [call]: failing }
		const files = ['a', 'b', 'c'].map(table => ({ name: nameOf(table), parts: { 0: table } }))
		fill(
			root,
			files.map(({ name }) => ({ name, parts: { 9: 'there already' } })),
			500,
		)
		const { failure, filesWritten } = fill(root, files, 1000, calls)
		expect(failure?.errno).toBe(errno)
		expect(filesWritten).toBeLessThanOrEqual(1)
		expect(fs.readdirSync(join(root, 'tmp'))).toEqual([])
	})

	test('goes on after a short write, and ends when the disk is full in the middle of one', () => {
		const root = freshRoot()
		const parts = { 0: 'a'.repeat(100), 1: 'b'.repeat(100), 2: 'c'.repeat(100) }
		const oneByOne: CacheFileCalls = {
			...fs,
			writevSync: (fd, pieces) => fs.writeSync(fd, pieces[0] as Uint8Array, 0, Math.min(7, pieces[0]?.byteLength ?? 0)),
		}
		expect(fill(root, [{ name: nameOf('a'), parts }], 1000, oneByOne).failure).toBeUndefined()
		expect(read(root, nameOf('a'))).toEqual(parts)
		if (fs.existsSync('/dev/full')) {
			// Linux fails every write to it with ENOSPC: a full disk that is really one.
			const disk = fs.openSync('/dev/full', 'w')
			const full: CacheFileCalls = { ...fs, writevSync: (_fd, pieces) => fs.writevSync(disk, pieces) }
			expect(fill(root, [{ name: nameOf('b'), parts }], 1000, full).failure?.errno).toBe('ENOSPC')
			fs.closeSync(disk)
		}
		expect(fs.readdirSync(join(root, 'tmp'))).toEqual([])
	})

	test('does not make the directory of a cache that has been deleted', () => {
		const root = freshPath()
		expect(fill(root, [{ name: nameOf('a'), parts: { 0: 'a' } }], 1000).failure?.errno).toBe('ENOENT')
		expect(fs.existsSync(root)).toBe(false)
	})
})

describe('the job that sweeps', () => {
	test('counts what is there to the page, and evicts what was used least recently, in whole files', () => {
		const root = freshRoot()
		const tables = Array.from({ length: 300 }, (_, i) => nameOf(`table ${i}`))
		let grown = 0
		for (const [i, name] of tables.entries())
			grown += fill(root, [{ name, parts: { 0: 'x'.repeat(3000) } }], 1000 + i).grownBytes
		const counted = sweep(root, { maxBytes: 1 << 30 })
		expect(counted).toMatchObject({ bytes: grown, files: 300, filesEvicted: 0 })
		const used = tables.slice(0, 10).map(cacheFilePath)
		const swept = sweep(root, { used, maxBytes: 1_048_576, needBytes: 10_000 })
		expect(swept.bytes + 10_000).toBeLessThanOrEqual(1_048_576 * 0.875)
		expect(swept.bytes + swept.bytesEvicted).toBe(grown)
		expect(swept.filesEvicted).toBe(300 - swept.files)
		const left = tables.filter(name => fs.existsSync(join(root, cacheFilePath(name))))
		expect(left.length).toBe(swept.files)
		expect(left.slice(0, 10)).toEqual(tables.slice(0, 10))
		expect(left.slice(10)).toEqual(tables.slice(300 - (swept.files - 10)))
	})

	test('begins to evict one page past its limit and not at it', () => {
		const root = freshRoot()
		for (let i = 0; i < 8; i++) fill(root, [{ name: nameOf(`${i}`), parts: { 0: 'x' } }], 1000 + i)
		const bytes = 8 * diskBytesOf(1)
		const atLimit = Math.ceil((bytes * 16) / 15)
		expect(sweep(root, { maxBytes: atLimit }).filesEvicted).toBe(0)
		expect(sweep(root, { maxBytes: atLimit, needBytes: 4096 }).filesEvicted).toBeGreaterThan(0)
	})

	test('touches no name that the cache does not make, follows no link, and survives what vanishes', () => {
		const root = freshRoot()
		const outside = freshPath()
		fs.mkdirSync(outside)
		const name = nameOf('mine')
		fill(root, [{ name, parts: { 0: 'x' } }], 1000)
		const shard = join(root, cacheFilePath(name).slice(0, 2))
		const foreign = [
			join(shard, 'notes.txt'),
			join(root, 'README'),
			join(outside, `${'a'.repeat(32)}-0`),
			join(root, 'tmp', 'mine'),
		]
		for (const path of foreign) fs.writeFileSync(path, 'precious')
		fs.symlinkSync(outside, join(root, 'aa'))
		fs.symlinkSync(join(root, 'README'), join(shard, `${'b'.repeat(32)}-0`))
		fs.mkdirSync(join(shard, `${'c'.repeat(32)}-0`))
		const swept = sweep(root, { maxBytes: 0 })
		expect(swept).toMatchObject({ bytes: 0, files: 0, filesEvicted: 1 })
		for (const path of foreign) expect(fs.readFileSync(path, 'utf8')).toBe('precious')
		expect(fs.lstatSync(join(shard, `${'b'.repeat(32)}-0`)).isSymbolicLink()).toBe(true)
		expect(sweep(freshPath())).toMatchObject({ bytes: 0, files: 0 })
	})

	test('removes temporary files of processes that are dead, and of others when they are a day old', () => {
		const root = freshRoot()
		const nowMs = fs.statSync(root).mtimeMs
		const random = 'f'.repeat(24)
		// No process has the largest pid of all.
		const dead = `t-00000001-2147483647-${random}-0`
		const alive = `t-00000001-1-${random}-0`
		const elsewhere = `t-00000002-2147483647-${random}-0`
		const own = `t-00000001-${process.pid}-${random}-0`
		const strange = 't-00000001-2147483647'
		for (const name of [dead, alive, elsewhere, own, strange]) fs.writeFileSync(join(root, 'tmp', name), 'x')
		expect(sweep(root, { nowMs }).tempsRemoved).toBe(1)
		expect(fs.readdirSync(join(root, 'tmp')).sort()).toEqual([alive, elsewhere, own, strange].sort())
		expect(sweep(root, { nowMs: nowMs + 86_400_000 + 60_000 }).tempsRemoved).toBe(2)
		expect(fs.readdirSync(join(root, 'tmp')).sort()).toEqual([own, strange].sort())
	})
})
