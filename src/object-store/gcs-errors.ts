/**
 * What the answers of Google Cloud Storage, and the failures on the way to it, mean to the caller of a store.
 *
 * Nothing of the SDK's own error is kept but its status, its reason and its cleaned message: its response holds the
 * request with the bearer token.
 */
import { IsleError, type IsleErrorCode } from '../errors.ts'
import { harmlessCopy, messageOf } from './credential-scrub.ts'

interface Meaning {
	readonly code: IsleErrorCode
	readonly advice: string
}

const DENIED = 'ISLE_DENIED'
const NOT_TRUSTED: Meaning = { code: DENIED, advice: 'the certificate of the server is not trusted' }

const BY_STATUS: Readonly<Record<number, Meaning>> = {
	400: { code: DENIED, advice: '' },
	401: { code: DENIED, advice: 'the credentials are missing, wrong or expired' },
	403: { code: DENIED, advice: 'the identity lacks the permission, or billing or the API is off' },
	404: { code: 'ISLE_NOT_FOUND', advice: 'there is no such bucket, create it first' },
	408: { code: 'ISLE_UNAVAILABLE', advice: 'the store was too slow' },
	413: { code: 'ISLE_UNSUPPORTED', advice: 'the body is larger than the store takes' },
	429: { code: 'ISLE_UNAVAILABLE', advice: 'the store throttles' },
}

/** By the code of a failure that is no answer. What is not named is an outage: it may pass. */
const BY_FAILURE: Readonly<Record<string, Meaning>> = {
	ENOTFOUND: { code: 'ISLE_UNAVAILABLE', advice: 'no such host' },
	CERT_HAS_EXPIRED: NOT_TRUSTED,
	DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
	SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
	ERR_TLS_CERT_ALTNAME_INVALID: NOT_TRUSTED,
}

/** What the token service says, in its messages only; nothing was sent to the store. */
const CREDENTIAL_FAILURES: readonly (readonly [pattern: RegExp, advice: string])[] = [
	[/could not load the default credentials/i, 'no credentials were found, run `gcloud auth application-default login`'],
	[/reasonable timeframe|token used too (?:early|late)/i, 'the clock of this machine is off'],
	[/invalid_grant|invalid_rapt|invalid_client|unauthorized_client/i, 'the credentials are wrong or expired'],
]

/** The HTTP status of a failed call, or `undefined` when there was no answer. */
export function gcsStatus(error: unknown): number | undefined {
	for (const name of ['code', 'status']) {
		const value = fieldOf(error, name)
		const status = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value
		if (typeof status === 'number') return status
	}
	return undefined
}

/** A failed call of the SDK as an `IsleError` that names operation, key and bucket, and no credentials. */
export function gcsError(error: unknown, operation: string, key: string, bucket: string): IsleError {
	const status = gcsStatus(error)
	const failure = failureCode(error)
	const { code, advice } = meaningOf(error, status, failure)
	const facts = `operation=\`${operation}\` key=\`${key}\` bucket=\`${bucket}\``
	const answer = `${status === undefined ? '' : ` status=\`${status}\``}${failure === undefined ? '' : ` error=\`${failure}\``}`
	const what = status === undefined ? 'no answer from Google Cloud Storage' : 'Google Cloud Storage refused'
	return new IsleError(code, `${what}${advice === '' ? '' : ` (${advice})`}: ${facts}${answer}`, {
		cause: harmlessCopy(error),
		details: { key, ...(status === undefined ? {} : { status }), ...(failure === undefined ? {} : { error: failure }) },
	})
}

function meaningOf(error: unknown, status: number | undefined, failure: string | undefined): Meaning {
	const message = messageOf(error)
	const credentials = CREDENTIAL_FAILURES.find(([pattern]) => pattern.test(message))
	if (credentials !== undefined) return { code: DENIED, advice: credentials[1] }
	if (status === undefined) {
		return (failure === undefined ? undefined : BY_FAILURE[failure]) ?? { code: 'ISLE_UNAVAILABLE', advice: '' }
	}
	// Quotas on the rate of requests are 403 with a reason of their own in older answers of the service.
	if (status === 403 && /rateLimitExceeded/i.test(failure ?? ''))
		return { code: 'ISLE_UNAVAILABLE', advice: 'the store throttles' }
	if (status >= 500) return { code: 'ISLE_UNAVAILABLE', advice: '' }
	return BY_STATUS[status] ?? { code: DENIED, advice: '' }
}

/** `ECONNRESET` of a failure, or the reason in an answer (`conditionNotMet`). */
function failureCode(error: unknown): string | undefined {
	const code = fieldOf(error, 'code')
	if (typeof code === 'string' && !/^\d{3}$/.test(code)) return code
	const errors = fieldOf(error, 'errors')
	const reason = fieldOf(Array.isArray(errors) ? errors[0] : undefined, 'reason')
	return typeof reason === 'string' ? reason : undefined
}

/** The errors of resumable uploads are the bare objects of the service, and no `Error`s. */
function fieldOf(value: unknown, name: string): unknown {
	return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
