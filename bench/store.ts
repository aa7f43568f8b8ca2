/** What isledb writes to in a benchmark. One file in `stores/` makes one. */

import type { BenchArguments } from './arguments.ts'

export interface BenchStore {
	readonly name: string
	/**
	 * What must run beside the runs, in the process of the command line: a server, a link in front of it. Runs inherit the
	 * environment that it leaves. Answers how to stop it.
	 */
	start?(args: BenchArguments): Promise<() => Promise<void>>
	/** A URL for `openStore`. Two calls with one directory name one store. */
	url(directory: string): string
}
