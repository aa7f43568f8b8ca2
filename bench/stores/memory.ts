/** The memory store: what the engine costs without a disk. It lives in the process of the run. */
import type { BenchStore } from '../store.ts'

export const store: BenchStore = {
	name: 'memory',
	url: directory => `memory:${encodeURIComponent(directory)}`,
}
