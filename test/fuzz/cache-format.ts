/** Files of the disk cache. */
import { crc32 } from '../../src/bytes/crc32.ts'
import { type CacheFileName, decodeCacheFile, encodeCacheFile, isSoundPart } from '../../workers/cache-file.ts'
import { byteFormat, expectThat, type Format, putU32, u32At } from './format.ts'
import { joined } from './mutation.ts'

const NAME: CacheFileName = {
	digest: Uint8Array.from({ length: 16 }, (_, i) => i * 7),
	section: 3,
	label: 'file:/data sst/w1-3 w1-3',
}

const part = (index: number, offset: number, bytes: number) => ({
	index,
	offset,
	bytes: Uint8Array.from({ length: bytes }, (_, i) => (i + index) & 0xff),
})

const SAMPLES: readonly Uint8Array[] = [
	joined(...encodeCacheFile(NAME, [part(0, 0, 100)])),
	joined(...encodeCacheFile({ ...NAME, label: '' }, [part(1, 65_536, 1), part(2, 65_537, 0), part(9, 70_000, 900)])),
]

/** The header's checksum, and those of the parts as far as they are there. */
function sealCacheFile(bytes: Uint8Array): void {
	if (bytes.length < 44) return
	const headerBytes = Math.min(u32At(bytes, 16), bytes.length)
	let start = headerBytes
	for (let at = 44, left = u32At(bytes, 20); left > 0 && at + 16 <= headerBytes; left--, at += 16) {
		const end = start + u32At(bytes, at + 8)
		if (end > bytes.length) break
		putU32(bytes, at + 12, crc32(bytes.subarray(start, end)))
		start = end
	}
	putU32(bytes, 8, crc32(bytes.subarray(12, Math.max(12, headerBytes))))
}

export const cacheFormats: readonly Format[] = [
	byteFormat({
		name: 'cache-file',
		samples: SAMPLES,
		seal: sealCacheFile,
		judge({ bytes, sample, kind }) {
			const parts = decodeCacheFile(bytes, NAME)
			const isSound = parts?.every(isSoundPart) === true
			expectThat(isSound || kind !== 'sample', 'a sample is refused')
			if (parts === undefined || !isSound) return 'refused'
			expectThat(kind !== 'damaged' || Buffer.compare(bytes, sample) === 0, 'damage behind a checksum is accepted')
			const tail = joined(...parts.map(({ bytes: piece }) => piece))
			expectThat(Buffer.compare(tail, bytes.subarray(bytes.length - tail.length)) === 0, 'parts that are not the file')
			return 'accepted'
		},
	}),
]
