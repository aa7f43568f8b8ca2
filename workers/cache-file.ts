/**
 * One file of the disk cache: parts of one table (or one large value) as they are stored, and what they are parts of.
 *
 *     offset  size  field
 *     0       8     `ISLE-CCH`
 *     8       4     CRC-32 of bytes 12 to H − 1
 *     12      2     format version, 1
 *     14      2     0
 *     16      4     H, bytes before the first part; at most 8 MiB
 *     20      4     n, count of parts, 1 to 65,536
 *     24      16    digest: what database and object this is of
 *     40      4     section: which part of the object
 *     44      16·n  of each part, by ascending index: index, offset in the table, bytes, CRC-32 of the bytes
 *     …       …     the object's URL in UTF-8, up to H: for people who look into a cache
 *     H       …     the parts, without gaps, to the end of the file
 *
 * All integers are unsigned and little-endian. Persisted, but a cache: another version is as good as no file, and is
 * replaced. Nothing that a file says is believed before its checksum is right and it names what was asked for.
 */
import { crc32 } from '../src/bytes/crc32.ts'
import { invariant } from '../src/errors.ts'

const MAGIC: Uint8Array = Buffer.from('ISLE-CCH')
const VERSION = 1
const FIXED_BYTES = 44
const PART_BYTES = 16
const HEADER_MAX_BYTES = 8_388_608
const PARTS_MAX_COUNT = 65_536
/** Of the URL: more is cut off. */
const LABEL_MAX_BYTES = 1_024

/** What a file is of. */
export interface CacheFileName {
	/** 16 bytes. */
	readonly digest: Uint8Array
	/** A u32. */
	readonly section: number
	/** For people; not compared. */
	readonly label: string
}

/** Part `index` of a section: `bytes` of the object from `offset`, counted from the start of its table. */
export interface CachePart {
	readonly index: number
	readonly offset: number
	readonly bytes: Uint8Array
}

/** A part of a file that was read, whose bytes nobody has checked yet. */
export interface CachedPart extends CachePart {
	readonly crc: number
}

/** Most that a file is larger than its parts. */
export function cacheFileOverheadBytes(partCount: number): number {
	return FIXED_BYTES + PART_BYTES * partCount + LABEL_MAX_BYTES
}

/** The pieces of a file, header first; `parts` in ascending order of their indexes, each index once. */
export function encodeCacheFile(name: CacheFileName, parts: readonly CachePart[]): Uint8Array[] {
	invariant(parts.length > 0 && parts.length <= PARTS_MAX_COUNT, 'a cache file has parts')
	const label = Buffer.from(name.label).subarray(0, LABEL_MAX_BYTES)
	const header = new Uint8Array(FIXED_BYTES + PART_BYTES * parts.length + label.length)
	const view = new DataView(header.buffer)
	header.set(MAGIC)
	view.setUint16(12, VERSION, true)
	view.setUint32(16, header.length, true)
	view.setUint32(20, parts.length, true)
	header.set(name.digest, 24)
	view.setUint32(40, name.section, true)
	let at = FIXED_BYTES
	for (const { index, offset, bytes } of parts) {
		view.setUint32(at, index, true)
		view.setUint32(at + 4, offset, true)
		view.setUint32(at + 8, bytes.length, true)
		view.setUint32(at + 12, crc32(bytes), true)
		at += PART_BYTES
	}
	header.set(label, at)
	view.setUint32(8, crc32(header.subarray(12)), true)
	return [header, ...parts.map(part => part.bytes)]
}

/**
 * The parts of `file`, as views into it, or undefined when it is anything but a whole file of this version and name.
 * Parts are sound once `isSoundPart` says so: a read that wants one part need not check the others.
 */
export function decodeCacheFile(
	file: Uint8Array,
	name: Pick<CacheFileName, 'digest' | 'section'>,
): CachedPart[] | undefined {
	if (file.length < FIXED_BYTES) return undefined
	const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
	for (const [i, byte] of MAGIC.entries()) if (file[i] !== byte) return undefined
	const headerBytes = view.getUint32(16, true)
	const count = view.getUint32(20, true)
	if (view.getUint16(12, true) !== VERSION || headerBytes > Math.min(HEADER_MAX_BYTES, file.length)) return undefined
	if (count === 0 || count > PARTS_MAX_COUNT || FIXED_BYTES + PART_BYTES * count > headerBytes) return undefined
	if (crc32(file.subarray(12, headerBytes)) !== view.getUint32(8, true)) return undefined
	for (const [i, byte] of name.digest.entries()) if (file[24 + i] !== byte) return undefined
	if (view.getUint32(40, true) !== name.section) return undefined
	const parts: CachedPart[] = []
	let start = headerBytes
	for (let at = FIXED_BYTES; parts.length < count; at += PART_BYTES) {
		const end = start + view.getUint32(at + 8, true)
		if (end > file.length) return undefined
		const offset = view.getUint32(at + 4, true)
		const crc = view.getUint32(at + 12, true)
		parts.push({ index: view.getUint32(at, true), offset, bytes: file.subarray(start, end), crc })
		start = end
	}
	return start === file.length ? parts : undefined
}

/** Whether the bytes of a part are those that were written. */
export function isSoundPart(part: CachedPart): boolean {
	return crc32(part.bytes) === part.crc
}

/** Where a file lies beneath the root of the cache: `ab/<digest>-<section>`. */
export function cacheFilePath({ digest, section }: CacheFileName): string {
	const name = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex')
	return `${name.slice(0, 2)}/${name}-${section}`
}
