/**
 * The last 32 bytes of a table. Their layout is the same in every version of the format.
 *
 *     offset  size  field
 *     0       4     metaOffset, u32: where the filter section begins, which is where the blocks end
 *     4       4     bytes of the filter section, u32
 *     8       4     bytes of the index section, u32
 *     12      4     bytes of the properties section, u32
 *     16      2     format version, u16
 *     18      2     0
 *     20      4     CRC-32 of bytes 0 to 19
 *     24      8     "ISLE-SST"
 *
 * The sections follow each other without gaps: filter, index, properties, footer.
 */
import { crc32 } from '../bytes/crc32.ts'
import { corrupt } from '../errors.ts'
import { readUint, writeUint } from './block-format.ts'
import { checkSstVersion, SST_FORMAT_VERSION } from './sst-properties.ts'

export const FOOTER_BYTES = 32
const MAGIC: Uint8Array = new TextEncoder().encode('ISLE-SST')

export interface Footer {
	readonly metaOffset: number
	readonly filterBytes: number
	readonly indexBytes: number
	readonly propertiesBytes: number
}

export function encodeFooter(footer: Footer, target: Uint8Array, at: number): void {
	writeUint(target, at, 4, footer.metaOffset)
	writeUint(target, at + 4, 4, footer.filterBytes)
	writeUint(target, at + 8, 4, footer.indexBytes)
	writeUint(target, at + 12, 4, footer.propertiesBytes)
	writeUint(target, at + 16, 2, SST_FORMAT_VERSION)
	writeUint(target, at + 18, 2, 0)
	writeUint(target, at + 20, 4, crc32(target.subarray(at, at + 20)))
	target.set(MAGIC, at + 24)
}

/**
 * Reads the footer from the end of `bytes`, the tail of a table of `storedBytes` bytes.
 * @throws ISLE_CORRUPT, or ISLE_UNSUPPORTED for a newer version.
 */
export function decodeFooter(bytes: Uint8Array, storedBytes: number, where: string): Footer {
	if (bytes.length < FOOTER_BYTES) throw corrupt(where, 'a table that is shorter than its footer')
	const footer = bytes.subarray(bytes.length - FOOTER_BYTES)
	for (let i = 0; i < MAGIC.length; i++) {
		if (footer[24 + i] !== MAGIC[i]) throw corrupt(where, 'bytes that do not end as a table does')
	}
	if (crc32(footer.subarray(0, 20)) !== readUint(footer, 20, 4)) {
		throw corrupt(where, 'a table footer whose CRC does not match')
	}
	const version = readUint(footer, 16, 2)
	checkSstVersion(version, where)
	if (version === 0 || readUint(footer, 18, 2) !== 0) throw corrupt(where, 'a table footer that makes no sense')
	const metaOffset = readUint(footer, 0, 4)
	const filterBytes = readUint(footer, 4, 4)
	const indexBytes = readUint(footer, 8, 4)
	const propertiesBytes = readUint(footer, 12, 4)
	if (metaOffset + filterBytes + indexBytes + propertiesBytes + FOOTER_BYTES !== storedBytes) {
		throw corrupt(where, `a table footer that does not describe ${storedBytes} bytes`)
	}
	return { metaOffset, filterBytes, indexBytes, propertiesBytes }
}
