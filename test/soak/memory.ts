/** What a process takes after its garbage is gone, and whether it grows. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface MemorySample {
	readonly heapBytes: number
	/** ArrayBuffers and what native code says that it holds. */
	readonly externalBytes: number
	readonly rssBytes: number
}

let collect: (() => void) | undefined

/** After a full collection. */
export function sampleMemory(): MemorySample {
	if (collect === undefined) {
		setFlagsFromString('--expose-gc')
		const gc: unknown = runInNewContext('gc')
		if (typeof gc !== 'function') throw new Error('this runtime does not let its garbage be collected')
		collect = () => void gc()
	}
	collect()
	const { heapUsed, external, rss } = process.memoryUsage()
	return { heapBytes: heapUsed, externalBytes: external, rssBytes: rss }
}

export interface Trend {
	/** Medians of the second and of the last third of all samples: the first third is warm-up. */
	readonly before: number
	readonly after: number
	readonly isFlat: boolean
}

/** Fewer say nothing. */
const MIN_SAMPLES = 9

/** Flat: what is added from the second to the last third is at most `tolerated`. */
export function trendOf(samples: readonly number[], tolerated: number): Trend {
	const third = Math.floor(samples.length / 3)
	const before = medianOf(samples.slice(third, 2 * third))
	const after = medianOf(samples.slice(2 * third))
	const isFlat = samples.length < MIN_SAMPLES || after - before <= tolerated
	return { before, after, isFlat }
}

export function medianOf(numbers: readonly number[]): number {
	return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
