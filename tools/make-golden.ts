/** Writes the golden files: `npm exec -- node tools/make-golden.ts`. For a new format version only. */
import { writeFileSync } from 'node:fs'
import { CODEC_NAMES } from '../src/sst/codec.ts'
import { goldenTable } from '../test/sst/golden/golden-entries.ts'

const write = (name: string, bytes: Uint8Array): void => {
	writeFileSync(new URL(`../test/sst/golden/${name}.bin`, import.meta.url), bytes)
	console.log(`${name}.bin ${bytes.length} bytes`)
}

for (const codec of CODEC_NAMES) write(`table-v2-${codec}`, goldenTable(codec).bytes)
