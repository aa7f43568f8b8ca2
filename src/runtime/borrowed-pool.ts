/** A pool that somebody else opened, and closes: ours to use only. */
import type { JobPool } from './job-pool.ts'

export function borrowedPool(pool: JobPool): JobPool {
	return {
		run: (name, make, options) => pool.run(name, make, options),
		stats: () => pool.stats(),
		close: () => Promise.resolve(),
	}
}
