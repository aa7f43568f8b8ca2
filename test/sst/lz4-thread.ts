/** A worker thread of codec.test.ts: compresses and decompresses, and posts whether all came back. */
import { parentPort, workerData } from 'node:worker_threads'
import { lz4Codec, lz4NativeCodec } from '../../src/sst/codec-lz4.ts'

let isEqual = true
for (let round = 0; round < 50; round++) {
	const raw = Uint8Array.from({ length: 5000 + round * 300 }, (_, i) => (i * Number(workerData)) >>> (round % 9))
	const payload = lz4Codec.compress(raw).slice()
	const sized = new Uint8Array(4 + payload.length)
	new DataView(sized.buffer).setUint32(0, raw.length, true)
	sized.set(payload, 4)
	const back = new Uint8Array(raw.length)
	lz4Codec.decompress(sized, back)
	if (Buffer.compare(back, raw) !== 0) isEqual = false
}
parentPort?.postMessage({ isNative: lz4NativeCodec !== undefined, isEqual })
