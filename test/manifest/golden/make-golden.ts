/**
 * Writes the golden commits, edits and checkpoints that do not exist yet: `npm exec -- node test/manifest/golden/make-golden.ts`.
 * Files that exist are left alone: their bytes are a promise to databases that were written with them.
 */
import { encodeCheckpoint } from '../../../src/manifest/checkpoint.ts'
import { encodeCommitBody } from '../../../src/manifest/commit.ts'
import { encodeEdits } from '../../../src/manifest/edit-codec.ts'
import { writeMissing } from '../../support/golden-files.ts'
import { GOLDEN_CHECKPOINTS, GOLDEN_COMMITS, GOLDEN_EDITS } from '../golden-manifests.ts'

for (const [name, body] of Object.entries(GOLDEN_COMMITS)) {
	writeMissing(new URL(`${name}.bin`, import.meta.url), encodeCommitBody(body))
}
for (const [name, manifest] of Object.entries(GOLDEN_CHECKPOINTS)) {
	writeMissing(new URL(`${name}.bin`, import.meta.url), encodeCheckpoint(manifest))
}
for (const [name, record] of Object.entries(GOLDEN_EDITS)) {
	writeMissing(new URL(`${name}.bin`, import.meta.url), encodeEdits(record))
}
