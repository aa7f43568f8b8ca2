/**
 * Writes the golden records that do not exist yet: `npm exec -- node test/log/golden/make-golden.ts`.
 * Files that exist are left alone: their bytes are a promise to databases that were written with them.
 */
import { encodeRecord } from '../../../src/log/record.ts'
import { writeMissing } from '../../support/golden-files.ts'
import { GOLDEN_RECORDS } from '../golden-records.ts'

for (const [name, content] of Object.entries(GOLDEN_RECORDS)) {
	writeMissing(new URL(`${name}.bin`, import.meta.url), Buffer.concat(encodeRecord(content).pieces))
}
