/**
 * CRC-32 as in zlib, PNG and gzip (IEEE 802.3, reflected polynomial 0xEDB88320).
 *
 * `zlib.crc32` of Node does the work; few bytes, and a platform without it, get the tables below (slicing by 4), equal in result.
 */
import { nodeZlib } from './node-zlib.ts'

/** Of so few bytes the tables are done before zlib is called: 13 ns of 12 bytes, 46 of 32, where that takes 46 and 96. */
const TABLE_MAX_BYTES = 64

const zlibCrc32: ((bytes: Uint8Array, seed?: number) => number) | undefined = nodeZlib?.crc32

/** CRC of `bytes`; `seed` is the CRC of what stands before them, so that pieces can be fed one by one. */
export function crc32(bytes: Uint8Array, seed = 0): number {
	return zlibCrc32 === undefined || bytes.length <= TABLE_MAX_BYTES ? tableCrc32(bytes, seed) : zlibCrc32(bytes, seed)
}

const POLYNOMIAL = 0xedb88320

/** Four tables of 256: table `t` advances a byte by `t` further zero bytes. */
let tables: Int32Array | undefined

function makeTables(): Int32Array {
	const made = new Int32Array(4 * 256)
	for (let byte = 0; byte < 256; byte++) {
		let value = byte
		for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL : 0)
		made[byte] = value
	}
	for (let i = 256; i < made.length; i++) {
		const before = made[i - 256] as number
		made[i] = (before >>> 8) ^ (made[before & 255] as number)
	}
	return made
}

/** The same in plain JavaScript. Exported for its test against zlib. */
export function tableCrc32(bytes: Uint8Array, seed = 0): number {
	tables ??= makeTables()
	const table = tables
	let crc = ~seed
	let at = 0
	for (const end = bytes.length - 3; at < end; at += 4) {
		crc ^=
			(bytes[at] as number) |
			((bytes[at + 1] as number) << 8) |
			((bytes[at + 2] as number) << 16) |
			((bytes[at + 3] as number) << 24)
		crc =
			(table[768 + (crc & 255)] as number) ^
			(table[512 + ((crc >>> 8) & 255)] as number) ^
			(table[256 + ((crc >>> 16) & 255)] as number) ^
			(table[crc >>> 24] as number)
	}
	for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number)
	return ~crc >>> 0
}
