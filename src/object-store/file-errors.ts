/** What an errno means to the caller of a store. */
import { IsleError, type IsleErrorCode } from '../errors.ts'

const CODES: Readonly<Record<string, IsleErrorCode>> = {
	ENOSPC: 'ISLE_FULL',
	EDQUOT: 'ISLE_FULL',
	/** RLIMIT_FSIZE: a quota on one file. */
	EFBIG: 'ISLE_FULL',
	EACCES: 'ISLE_DENIED',
	EPERM: 'ISLE_DENIED',
	EROFS: 'ISLE_DENIED',
	/** Something stands where a directory or an object has to be; the set-up needs mending. */
	ENOTDIR: 'ISLE_DENIED',
	EISDIR: 'ISLE_DENIED',
	EEXIST: 'ISLE_DENIED',
	ENOTEMPTY: 'ISLE_DENIED',
	ELOOP: 'ISLE_DENIED',
	EXDEV: 'ISLE_DENIED',
	ENAMETOOLONG: 'ISLE_DENIED',
	/** The file system has no hard links, or no such call. */
	ENOSYS: 'ISLE_UNSUPPORTED',
	ENOTSUP: 'ISLE_UNSUPPORTED',
	EOPNOTSUPP: 'ISLE_UNSUPPORTED',
}

const ADVICE: Readonly<Record<string, string>> = {
	EPERM: ' (no permission, or a file system without hard links)',
	EXDEV: ' (the whole store has to be on one file system)',
	EMFILE: ' (too many open files in this process)',
	ENFILE: ' (too many open files on this machine)',
	ENOTDIR: ' (a file stands where a directory has to be)',
	EISDIR: ' (a directory stands where the object has to be)',
}

/** The errno of a failed call (`ENOENT`), or undefined when `error` is none. */
export function errnoOf(error: unknown): string | undefined {
	return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** A failed call as an `IsleError` that names the key; `IsleError`s and misuse pass through. */
export function fileError(error: unknown, operation: string, key: string): unknown {
	const errno = errnoOf(error)
	if (errno === undefined || error instanceof IsleError || error instanceof TypeError || error instanceof RangeError) {
		return error
	}
	return new IsleError(
		CODES[errno] ?? 'ISLE_UNAVAILABLE',
		`the file system failed${ADVICE[errno] ?? ''}: operation=\`${operation}\` key=\`${key}\` errno=\`${errno}\``,
		{ cause: error, details: { key, errno } },
	)
}

/** True when `error` says that no call of the kind took effect: link() did not make the name. */
export function isDefiniteRefusal(error: unknown): boolean {
	// Ours are thrown before a name is given, never by the call that gives it.
	if (error instanceof IsleError) return true
	const errno = errnoOf(error)
	return errno !== undefined && (errno in CODES || errno === 'ENOENT' || errno === 'EMLINK')
}
