/** When half of so many entries will have expired, from all of them: what tables of up to 255 entries say. */
export function halfExpiryOf(expiries: readonly number[]): number {
	const times = expiries.map(timeMs => timeMs || Number.POSITIVE_INFINITY).sort((a, b) => a - b)
	const half = times[Math.ceil(times.length / 2) - 1] ?? Number.POSITIVE_INFINITY
	return Number.isFinite(half) ? half : 0
}
