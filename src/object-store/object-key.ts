/**
 * The names of objects: which are refused, and how they are ordered. Every adapter and wrapper uses these checks.
 *
 * A key is one or more segments joined by `/`. It is the same key on a bucket, in a directory and in memory, so it is
 * held to the narrowest of them: it cannot leave a prefix or a directory, and it is a path wherever paths exist.
 */

/** The limit of S3, GCS and Azure: 1024 bytes of UTF-8 for the whole key, a store's prefix included. */
export const MAX_KEY_BYTES = 1024
/** NAME_MAX of ext4, XFS, APFS: 255 bytes a segment. */
export const MAX_SEGMENT_BYTES = 255
/** Where the file store keeps what is not yet an object. No key may have it as a segment, on any store. */
export const RESERVED_SEGMENT = '.isledb-tmp'
/** Objects of one page of a listing, at most (the limit of S3). */
export const MAX_LIST_LIMIT = 1000

/** Ordinary keys, decided at once: ASCII, no segment begins with a dot, so none is `.`, `..` or reserved. */
const PLAIN_KEY = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/
/** The same of the beginning of one: a folder, as a rule. */
const PLAIN_PREFIX = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*\/?$/
/** Half of a surrogate pair has no UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** Throws a `RangeError` that names the key (misuse: not to be caught) unless `key` is one that every store can hold. */
export function checkObjectKey(key: string): void {
	if (typeof key !== 'string') throw new TypeError(`Expected \`key\` to be a string, got ${typeof key}`)
	if (key.length <= MAX_SEGMENT_BYTES && PLAIN_KEY.test(key)) return
	if (key === '') throw refused(key, 'it is empty')
	checkCharacters(key)
	for (const segment of key.split('/')) checkSegment(segment, key)
}

/** Throws as `checkObjectKey` does unless some key could begin with `prefix`; '' is allowed, and so is a cut segment. */
export function checkKeyPrefix(prefix: string): void {
	if (typeof prefix !== 'string') throw new TypeError(`Expected \`prefix\` to be a string, got ${typeof prefix}`)
	if (prefix === '' || (prefix.length <= MAX_SEGMENT_BYTES && PLAIN_PREFIX.test(prefix))) return
	checkCharacters(prefix)
	const segments = prefix.split('/')
	for (const segment of segments.slice(0, -1)) checkSegment(segment, prefix)
	if (Buffer.byteLength(segments.at(-1) ?? '') > MAX_SEGMENT_BYTES) throw refused(prefix, 'a segment is too long')
}

/** True when `name` can be one segment of a key: what a directory holds besides is not ours. */
export function isKeySegment(name: string): boolean {
	return problemOf(name) === undefined && !hasForbiddenCharacter(name) && !LONE_SURROGATE.test(name)
}

/**
 * Orders keys by the bytes of their UTF-8, as buckets list them. JavaScript compares UTF-16 units, which differs where
 * a surrogate (D800–DFFF, code points from 10000) meets a unit from E000: there the surrogate is the greater one.
 */
export function compareKeys(a: string, b: string): number {
	const shared = Math.min(a.length, b.length)
	for (let i = 0; i < shared; i++) {
		const unitA = a.charCodeAt(i)
		const unitB = b.charCodeAt(i)
		if (unitA === unitB) continue
		if (unitA < 0xd800 || unitB < 0xd800) return unitA - unitB
		return isSurrogate(unitA) === isSurrogate(unitB) ? unitA - unitB : isSurrogate(unitA) ? 1 : -1
	}
	return a.length - b.length
}

function isSurrogate(unit: number): boolean {
	return unit >= 0xd800 && unit <= 0xdfff
}

/** A backslash separates on some systems; a NUL ends a C string. */
function hasForbiddenCharacter(text: string): boolean {
	return text.includes('\\') || text.includes('\0')
}

function checkCharacters(key: string): void {
	if (hasForbiddenCharacter(key)) throw refused(key, 'it holds a backslash or a NUL')
	if (LONE_SURROGATE.test(key)) throw refused(key, 'it holds half of a surrogate pair')
	if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw refused(key, `it is longer than ${MAX_KEY_BYTES} bytes`)
}

function checkSegment(segment: string, key: string): void {
	const problem = problemOf(segment)
	if (problem !== undefined) throw refused(key, problem)
}

function problemOf(segment: string): string | undefined {
	if (segment === '') return 'it has an empty segment'
	if (segment === '.' || segment === '..') return `it has a segment \`${segment}\``
	// Compared without case, because directories of macOS are.
	if (segment.toLowerCase() === RESERVED_SEGMENT) return `the segment \`${RESERVED_SEGMENT}\` is reserved`
	if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return `a segment is longer than ${MAX_SEGMENT_BYTES} bytes`
	return undefined
}

function refused(key: string, problem: string): RangeError {
	return new RangeError(`Expected an object key, got key=\`${key.slice(0, 300)}\`: ${problem}`)
}
