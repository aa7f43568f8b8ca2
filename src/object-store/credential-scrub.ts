/**
 * Taking credentials out of text that others wrote: messages of servers and SDKs, which repeat headers, signed URLs, parts
 * of connection strings and of key files.
 *
 * Two nets: what has a known form goes whatever its length; and, because a server may repeat anything in any words, so
 * does every run of 32 or more characters that could be a key, a token or a signature. Names of hosts, keys and classes
 * pass, being shorter or broken by dots, slashes and spaces; a few harmless ids are lost, which is the better mistake.
 */

const PATTERNS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
	[/-----BEGIN [\s\S]*?(?:-----END [^-]*-----|$)/g, '…'],
	// Node.js quotes the text that it could not parse: a file of keys, perhaps. Commands that give credentials echo them.
	[/^[\s\S]*\b(?:in JSON|not valid JSON|JSON input)\b[\s\S]*$/g, 'a file or an answer is no JSON'],
	[/(Command failed:)[\s\S]*$/g, '$1 …'],
	[/(\/\/)[^\s/@]+@/g, '$1…@'],
	[/(https?:\/\/[^\s?'"`<>]*)\?[^\s'"`<>]*/g, '$1?…'],
	[
		/\b((?:X-Amz-)?(?:Signature|Credential|Security-Token)|AWSAccessKeyId|AccountKey|SharedAccessSignature|sig|(?:access_|refresh_|id_|session_?)?token|assertion|client_secret|private_key|secret\w*|password)(["']?\s*[=:]\s*["']?)(?!Bearer\b|SharedKey\b)[^\s&,;"'<>`]+/gi,
		'$1$2…',
	],
	[/\b(Bearer|Basic|SharedKey|SharedKeyLite)\s+(?!token\b|auth)[^\s"'<>`]+/gi, '$1 …'],
	[/\bya29\.[\w.-]+/g, '…'],
	// Ids of long-term and temporary access keys of AWS: 20 characters that begin so.
	[/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, '$1…'],
	// Base64, base64url, hexadecimal, percent-encoded; with a digit in it.
	[/(?=[A-Za-z+/=_%-]*\d)[A-Za-z0-9+/=_%-]{32,}/g, '…'],
	[/[A-Za-z0-9+=_%-]{40,}/g, '…'],
	// Base64 without a digit, which may have slashes; the names of keys seldom have capitals.
	[/(?=[a-z+/=_%-]*[A-Z])[A-Za-z+/=_%-]{40,}/g, '…'],
]

/** Whatever a server sends as its message, this much of it is kept: the patterns look at each place more than once. */
const MAX_CHARACTERS = 4096

/** The same text without what could be used to sign, or was used to sign; the beginning of it when it is long. */
export function withoutCredentials(text: string): string {
	// Without its last word, which may be the half of one.
	const kept = text.length <= MAX_CHARACTERS ? text : text.slice(0, MAX_CHARACTERS).replace(/\S*$/, '…')
	return PATTERNS.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), kept)
}

/**
 * What is left of an error of an SDK when its request, its response and what looks like a credential are taken away: the
 * only form in which one becomes a `cause`.
 */
export function harmlessCopy(error: unknown, name?: string): Error {
	const copy = new Error(withoutCredentials(messageOf(error)))
	copy.name = name ?? (error instanceof Error ? error.name : 'Error')
	const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter(line => /^\s+at /.test(line)) : []
	copy.stack = [`${copy.name}: ${copy.message}`, ...frames].join('\n')
	return copy
}

/** Some SDKs throw the bare objects of the service, and no `Error`s. */
export function messageOf(error: unknown): string {
	const message: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'message') : undefined
	return typeof message === 'string' ? message : String(error)
}
