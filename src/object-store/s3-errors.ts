/**
 * What a failure of S3, or on the way to it, means to the caller of a store.
 *
 * Steps: read the facts of an SDK error (its code, HTTP status, attempts); look its code up, else its status; write a
 * message that says what to do, with the server's own words behind it.
 *
 * Invariant: no credential, signature or signed URL is in what leaves here, neither in the message nor in the cause. An
 * SDK error holds the signed request, session token included, so it is never the cause: a copy of its harmless parts is.
 */
import { IsleError, type IsleErrorCode } from '../errors.ts'
import { harmlessCopy } from './credential-scrub.ts'

/** A call as messages name it. */
export interface S3CallName {
	readonly operation: string
	readonly key: string
	/** `s3://bucket?region=…`, without credentials. */
	readonly url: string
	/** Of a batch, how many keys failed; `key` is the first of them. */
	readonly failedKeys?: number
}

/** What is known of a failure. */
export interface S3Failure {
	/** The server's or the SDK's name for it: `SlowDown`, `CredentialsProviderError`, `ECONNRESET`. */
	readonly name: string
	/** HTTP status; undefined when there was no answer. */
	readonly status: number | undefined
	/** Requests that were sent; more than one when a client repeats them by itself. */
	readonly attempts: number
	readonly requestId: string | undefined
	/** The SDK found none anywhere; it has no name for that. */
	readonly isRegionMissing: boolean
	/** Where the bucket really is, when the server said so. */
	readonly region: string | undefined
}

interface Meaning {
	readonly code: IsleErrorCode
	/** What it is and what to do. */
	readonly advice: string
}

const DENIED: Meaning = { code: 'ISLE_DENIED', advice: 'the credentials are not allowed to do this' }
const UNKNOWN_KEYS: Meaning = { code: 'ISLE_DENIED', advice: 'the store does not accept the credentials' }
const EXPIRED: Meaning = { code: 'ISLE_DENIED', advice: 'the credentials have expired, renew them' }
const NO_CREDENTIALS: Meaning = {
	code: 'ISLE_DENIED',
	advice: 'no credentials were found: set them in the environment, a profile or a role, or pass a client',
}
const WRONG_REGION: Meaning = { code: 'ISLE_DENIED', advice: 'the bucket is in another region' }
const NO_REGION: Meaning = {
	code: 'ISLE_DENIED',
	advice: 'no region is set: add ?region= to the URL, or set AWS_REGION',
}
const CLOCK: Meaning = { code: 'ISLE_DENIED', advice: "this machine's clock is wrong, set it" }
const CERTIFICATE: Meaning = { code: 'ISLE_DENIED', advice: "the server's certificate is not trusted" }
const NO_BUCKET: Meaning = { code: 'ISLE_NOT_FOUND', advice: 'there is no such bucket' }
const NO_OBJECT: Meaning = { code: 'ISLE_NOT_FOUND', advice: 'there is no such object' }
const NOT_S3: Meaning = {
	code: 'ISLE_NOT_FOUND',
	advice: 'the address answers, but not as S3 does: look at the endpoint',
}
const THROTTLED: Meaning = { code: 'ISLE_UNAVAILABLE', advice: 'the store asks to slow down' }
const AWAY: Meaning = { code: 'ISLE_UNAVAILABLE', advice: 'the store is unavailable' }
const NO_ANSWER: Meaning = { code: 'ISLE_UNAVAILABLE', advice: 'the store could not be reached, or broke off' }
const NO_HOST: Meaning = {
	code: 'ISLE_UNAVAILABLE',
	advice: "the endpoint's host was not found: look at endpoint and region",
}
const DAMAGED: Meaning = { code: 'ISLE_UNAVAILABLE', advice: 'the request was damaged on its way' }
const RACED: Meaning = { code: 'ISLE_UNAVAILABLE', advice: 'others are changing the object at this moment' }
const FULL: Meaning = { code: 'ISLE_FULL', advice: 'a quota or the disk of the store is full' }
const LACKING: Meaning = { code: 'ISLE_UNSUPPORTED', advice: 'the store does not have this function' }
const ARCHIVED: Meaning = {
	code: 'ISLE_DENIED',
	advice: 'the object was archived, restore it and mend the lifecycle rule',
}
const REFUSED: Meaning = { code: 'ISLE_DENIED', advice: 'the store refuses the request' }

/** By the error codes of S3 and its look-alikes, of the SDK, and of Node.js. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
	AccessDenied: DENIED,
	AllAccessDisabled: DENIED,
	AccountProblem: DENIED,
	InvalidAccessKeyId: UNKNOWN_KEYS,
	SignatureDoesNotMatch: UNKNOWN_KEYS,
	InvalidToken: UNKNOWN_KEYS,
	InvalidSecurity: UNKNOWN_KEYS,
	ExpiredToken: EXPIRED,
	ExpiredTokenException: EXPIRED,
	TokenRefreshRequired: EXPIRED,
	CredentialsProviderError: NO_CREDENTIALS,
	TokenProviderError: NO_CREDENTIALS,
	AuthorizationHeaderMalformed: WRONG_REGION,
	PermanentRedirect: WRONG_REGION,
	TemporaryRedirect: WRONG_REGION,
	IllegalLocationConstraintException: WRONG_REGION,
	RequestTimeTooSkewed: CLOCK,
	RequestExpired: CLOCK,
	NoSuchBucket: NO_BUCKET,
	NoSuchKey: NO_OBJECT,
	NoSuchUpload: { code: 'ISLE_UNAVAILABLE', advice: 'the upload was ended by somebody else (a lifecycle rule?)' },
	SlowDown: THROTTLED,
	Throttling: THROTTLED,
	ThrottlingException: THROTTLED,
	ThrottledException: THROTTLED,
	TooManyRequests: THROTTLED,
	TooManyRequestsException: THROTTLED,
	RequestLimitExceeded: THROTTLED,
	BandwidthLimitExceeded: THROTTLED,
	ServiceUnavailable: AWAY,
	InternalError: AWAY,
	RequestTimeout: NO_ANSWER,
	BadDigest: DAMAGED,
	IncompleteBody: DAMAGED,
	InvalidDigest: DAMAGED,
	XAmzContentSHA256Mismatch: DAMAGED,
	XAmzContentChecksumMismatch: DAMAGED,
	ConditionalRequestConflict: RACED,
	ConcurrentModification: RACED,
	OperationAborted: RACED,
	QuotaExceeded: FULL,
	EntityTooLarge: FULL,
	XMinioStorageFull: FULL,
	XMinioAdminBucketQuotaExceeded: FULL,
	NotImplemented: LACKING,
	MethodNotAllowed: LACKING,
	InvalidObjectState: ARCHIVED,
	ENOTFOUND: NO_HOST,
	EAI_AGAIN: NO_HOST,
	ERR_TLS_CERT_ALTNAME_INVALID: CERTIFICATE,
	DEPTH_ZERO_SELF_SIGNED_CERT: CERTIFICATE,
	SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE,
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE,
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE,
	CERT_HAS_EXPIRED: CERTIFICATE,
}

/** How Node.js names what happened to a connection; no server names anything so. */
const SYSTEM_FAILURE = /^(?:E[A-Z]{3,}|ERR_[A-Z_]+)$/

/** 409s that refuse a conditional write because of another write or deletion at the same moment (AWS, AWS, Ceph). */
const RACES: ReadonlySet<string> = new Set(['ConditionalRequestConflict', 'OperationAborted', 'ConcurrentModification'])

/** The permission that each call of the contract needs, for messages. */
const PERMISSIONS: Readonly<Record<string, string>> = {
	get: 's3:GetObject and s3:ListBucket',
	getRange: 's3:GetObject and s3:ListBucket',
	getStream: 's3:GetObject and s3:ListBucket',
	list: 's3:ListBucket',
	put: 's3:PutObject',
	createIfAbsent: 's3:PutObject',
	createFromStream: 's3:PutObject and s3:AbortMultipartUpload',
	delete: 's3:DeleteObject',
	deleteMany: 's3:DeleteObject',
}

export function s3Failure(error: unknown): S3Failure {
	const metadata = property(error, '$metadata')
	const headers = property(property(error, '$response'), 'headers')
	const status = property(metadata, 'httpStatusCode')
	const attempts = property(metadata, 'attempts')
	return {
		name: nameOf(error),
		status: typeof status === 'number' ? status : undefined,
		attempts: typeof attempts === 'number' ? attempts : 1,
		isRegionMissing: error instanceof Error && error.message.includes('Region is missing'),
		requestId: text(property(metadata, 'requestId')),
		region: text(property(headers, 'x-amz-bucket-region')) ?? text(property(error, 'Region')),
	}
}

/** A failed call as an `IsleError` that names the key and says what to do; `IsleError`s and misuse pass through. */
export function s3Error(error: unknown, call: S3CallName): unknown {
	if (error instanceof IsleError || error instanceof TypeError || error instanceof RangeError) return error
	const failure = s3Failure(error)
	const { code, advice } = meaningOf(failure)
	const facts = [
		`operation=\`${call.operation}\``,
		`key=\`${call.key}\``,
		`url=\`${call.url}\``,
		`error=\`${failure.name}\``,
	]
	if (call.failedKeys !== undefined) facts.push(`failedKeys=\`${call.failedKeys}\``)
	if (failure.status !== undefined) facts.push(`status=\`${failure.status}\``)
	if (failure.region !== undefined) facts.push(`region=\`${failure.region}\``)
	if (failure.name === 'AccessDenied') facts.push(`needed=\`${PERMISSIONS[call.operation] ?? 's3:GetObject'}\``)
	if (failure.requestId !== undefined) facts.push(`requestId=\`${failure.requestId}\``)
	return new IsleError(code, `${advice}: ${facts.join(' ')}`, {
		cause: harmlessCopy(error, failure.name),
		details: {
			key: call.key,
			error: failure.name,
			...(failure.status === undefined ? {} : { status: failure.status }),
		},
	})
}

function meaningOf({ name, status, isRegionMissing }: S3Failure): Meaning {
	const known = Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : undefined
	if (known !== undefined) return known
	// An answer that was cut: of a 404 without its code nobody knows what was not found.
	if (SYSTEM_FAILURE.test(name)) return NO_ANSWER
	if (status === undefined) return isRegionMissing ? NO_REGION : NO_ANSWER
	if (status === 301 || status === 307) return WRONG_REGION
	if (status === 401 || status === 403) return DENIED
	if (status === 404) return NOT_S3
	if (status === 408 || status === 409) return AWAY
	if (status === 429 || status === 503) return THROTTLED
	if (status === 501 || status === 405) return LACKING
	if (status === 507) return FULL
	return status >= 300 && status < 500 ? REFUSED : AWAY
}

/**
 * What a failed create-if-absent says about its key:
 * - `exists`: it was taken, and this call changed nothing;
 * - `raced`: this call changed nothing because of another one at the same moment, and whether the key is taken now is
 *   not known (AWS answers so when a deletion won): it may be asked again at once;
 * - `unknown`: this call may have taken effect, or may yet;
 * - `refused`: this call changed nothing, for a reason that has nothing to do with the key.
 *
 * A verdict holds for the only attempt. A client that repeats by itself may have met its own first attempt.
 */
export function createVerdict(error: unknown): 'exists' | 'raced' | 'unknown' | 'refused' {
	const failure = s3Failure(error)
	const { name, status } = failure
	if (status === undefined) return isNeverSent(failure) ? 'refused' : 'unknown'
	if (failure.attempts > 1) return 'unknown'
	if (status === 412) return 'exists'
	if (status === 409 && RACES.has(name)) return 'raced'
	if (status === 501) return 'refused'
	if (status < 300 || status >= 500) return 'unknown'
	return meaningOf(failure).code === 'ISLE_UNAVAILABLE' ? 'unknown' : 'refused'
}

/** The SDK failed before it had anything to send. */
function isNeverSent(failure: S3Failure): boolean {
	const meaning = meaningOf(failure)
	return meaning === NO_CREDENTIALS || meaning === NO_REGION || meaning === CERTIFICATE
}

/** True when the object, and not the bucket or the whole server, is what was not found. */
export function isNoSuchKey(error: unknown): boolean {
	return nameOf(error) === 'NoSuchKey'
}

/**
 * True when the server does not know a request, as servers say it that have no DeleteObjects: 501, 405, an address that
 * is not found, or a refusal by a name that no cause of another kind has (`MissingContentMD5`, `MalformedXML`).
 */
export function isLackingFunction(error: unknown): boolean {
	const meaning = meaningOf(s3Failure(error))
	return meaning === LACKING || meaning === NOT_S3 || meaning === REFUSED
}

/** For a range that begins past the end of its object: the object's length, if the server said it. */
export function objectBytesOf(error: unknown): { readonly objectBytes: number | undefined } | undefined {
	if (s3Failure(error).status !== 416) return undefined
	const stated = Number(text(property(error, 'ActualObjectSize')) ?? Number.NaN)
	return { objectBytes: Number.isSafeInteger(stated) ? stated : undefined }
}

/** Node.js says more in `code` than in `name`, servers and the SDK the other way round. */
function nameOf(error: unknown): string {
	const code = text(property(error, 'code'))
	const name = text(property(error, 'name')) ?? 'Error'
	return name === 'Error' && code !== undefined ? code : name
}

function property(value: unknown, name: string): unknown {
	return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function text(value: unknown): string | undefined {
	return typeof value === 'string' && value !== '' ? value : undefined
}
