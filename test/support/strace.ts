/** `strace`, which makes system calls of a real process fail, or kills it at one of them: where it may be used. */
import { spawnSync } from 'node:child_process'

/**
 * Undefined when it works here; else the reason, which is also told where everybody sees it: it is not installed, or may not trace.
 */
export function whyNoStrace(): string | undefined {
	const { error, status, stderr } = spawnSync('strace', ['-f', '-e', 'trace=fsync', 'true'], {
		encoding: 'utf8',
	})
	if (error === undefined && status === 0) return undefined
	const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? `strace ended with ${status}`
	console.warn(`\n!!! NO strace ON THIS MACHINE, its tests are SKIPPED: ${reason}\n`)
	return reason
}

/** Whichever of them the machine has. */
export const RENAMES = '?rename,?renameat,?renameat2'

/** The script of a shell, as `startProgram` takes it: the program under strace, with what it injects (`fsync:error=EIO:when=3`). */
export function straced(injection: string): string {
	const call = injection.slice(0, injection.indexOf(':'))
	// It counts calls by thread: one thread makes them all.
	return `export UV_THREADPOOL_SIZE=1; exec strace -f -qq -o /dev/null -e trace=${call} -e inject=${injection} "$0" "$@"`
}
