/** Everything that is decoded from bytes, or text, that nobody vouches for. */
import { blobFormats } from './blob-formats.ts'
import { blockFormats } from './block-formats.ts'
import { cacheFormats } from './cache-format.ts'
import { errorFormats } from './error-format.ts'
import type { Format } from './format.ts'
import { logFormats } from './log-formats.ts'
import { mergeFormats } from './merge-format.ts'
import { stateFormats } from './state-formats.ts'
import { tableFormats } from './table-formats.ts'
import { textFormats } from './text-formats.ts'

export const FORMATS: readonly Format[] = [
	...logFormats,
	...stateFormats,
	...tableFormats,
	...blockFormats,
	...blobFormats,
	...textFormats,
	...cacheFormats,
	...errorFormats,
	...mergeFormats,
]
