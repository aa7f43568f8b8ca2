/**
 * Figures from samples: medians and percentiles, by nearest rank, so that every figure is one that was measured (the
 * median of an even count excepted: the mean of the middle two).
 */

/** @throws RangeError for no samples. */
export function median(samples: readonly number[]): number {
	const sorted = ascending(samples)
	const upper = sorted[sorted.length >>> 1] as number
	return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >>> 1) - 1] as number) + upper) / 2
}

/** The smallest sample that at least `percent` of all samples do not exceed. @throws RangeError for no samples. */
export function percentile(samples: readonly number[] | Float64Array, percent: number): number {
	if (!(percent > 0 && percent <= 100)) throw new RangeError(`Expected \`percent\` in (0, 100], got ${percent}`)
	const sorted = ascending(samples)
	return sorted[Math.ceil((percent / 100) * sorted.length) - 1] as number
}

/** For each name, the median of what the runs measured under it. Names that only some runs have count for those. */
export function medians(runs: readonly Readonly<Record<string, number>>[]): Record<string, number> {
	const samples = new Map<string, number[]>()
	for (const run of runs) {
		for (const [name, value] of Object.entries(run)) {
			const list = samples.get(name)
			if (list === undefined) samples.set(name, [value])
			else list.push(value)
		}
	}
	return Object.fromEntries([...samples].map(([name, values]) => [name, median(values)]))
}

function ascending(samples: readonly number[] | Float64Array): Float64Array {
	if (samples.length === 0) throw new RangeError('Expected `samples` to hold at least one')
	return Float64Array.from(samples).sort()
}
