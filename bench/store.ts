/** What isledb writes to in a benchmark. One file in `stores/` makes one. */

export interface BenchStore {
	readonly name: string
	/** A URL for `openStore`. Two calls with one directory name one store. */
	url(directory: string): string
}
