/**
 * What the answers of Azure Blob Storage, and the failures on the way to it, mean to the caller of a store.
 *
 * Nothing of the SDK's own error is kept but its code, its status and its cleaned message: its request holds the
 * `Authorization` header, and with a SAS the URL is the credential.
 */
import { IsleError, type IsleErrorCode } from '../errors.ts'
import { harmlessCopy } from './credential-scrub.ts'

interface Meaning {
	readonly code: IsleErrorCode
	readonly advice: string
}

const DENIED = 'ISLE_DENIED'

/** By the error code of the service (`x-ms-error-code`), where the status does not say enough. */
const BY_ERROR: Readonly<Record<string, Meaning>> = {
	ContainerNotFound: { code: 'ISLE_NOT_FOUND', advice: 'there is no such container, create it first' },
	ContainerBeingDeleted: { code: 'ISLE_NOT_FOUND', advice: 'the container is being deleted' },
	ResourceNotFound: { code: 'ISLE_NOT_FOUND', advice: 'there is no such container or account' },
	AuthenticationFailed: {
		code: DENIED,
		advice: 'the credentials are wrong or expired, or the clock of this machine is more than 15 minutes off',
	},
	InvalidAuthenticationInfo: { code: DENIED, advice: 'the token is wrong or expired' },
	NoAuthenticationInformation: { code: DENIED, advice: 'no credentials were sent' },
	AuthorizationFailure: {
		code: DENIED,
		advice: 'the SAS has expired or does not cover this, or the firewall of the account does not let it',
	},
	AuthorizationPermissionMismatch: {
		code: DENIED,
		advice: 'the identity lacks the permission, give it the role Storage Blob Data Contributor (or Reader)',
	},
	AuthorizationResourceTypeMismatch: { code: DENIED, advice: 'the SAS is for another type of resource' },
	AuthorizationProtocolMismatch: { code: DENIED, advice: 'the SAS is for another protocol' },
	AuthorizationSourceIPMismatch: { code: DENIED, advice: 'the SAS is for another address' },
	InsufficientAccountPermissions: { code: DENIED, advice: 'the account does not permit it' },
	AccountIsDisabled: { code: DENIED, advice: 'the account is disabled' },
	PublicAccessNotPermitted: { code: DENIED, advice: 'no credentials were sent, and the account is not public' },
	BlobImmutableDueToPolicy: { code: DENIED, advice: 'an immutability policy keeps the object' },
	FeatureVersionMismatch: { code: 'ISLE_UNSUPPORTED', advice: 'the account lacks the feature' },
	ServerBusy: { code: 'ISLE_UNAVAILABLE', advice: 'the store throttles' },
	OperationTimedOut: { code: 'ISLE_UNAVAILABLE', advice: 'the store was too slow' },
	AccountLimitExceeded: { code: 'ISLE_FULL', advice: 'the account is at its limit' },
	RequestBodyTooLarge: { code: 'ISLE_UNSUPPORTED', advice: 'the body is larger than the store takes' },
}

/** By the code of a failure that is no answer. What is not named is an outage: it may pass. */
const BY_FAILURE: Readonly<Record<string, Meaning>> = {
	ENOTFOUND: { code: 'ISLE_UNAVAILABLE', advice: 'no such host, is the name of the account right?' },
	CERT_HAS_EXPIRED: { code: DENIED, advice: 'the certificate of the server is not trusted' },
	DEPTH_ZERO_SELF_SIGNED_CERT: { code: DENIED, advice: 'the certificate of the server is not trusted' },
	SELF_SIGNED_CERT_IN_CHAIN: { code: DENIED, advice: 'the certificate of the server is not trusted' },
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: { code: DENIED, advice: 'the certificate of the server is not trusted' },
	ERR_TLS_CERT_ALTNAME_INVALID: { code: DENIED, advice: 'the certificate is of another server' },
}

/** How `@azure/identity` calls its failures: nothing was sent to the store. */
const CREDENTIAL_FAILURES: readonly string[] = [
	'CredentialUnavailableError',
	'AuthenticationError',
	'AggregateAuthenticationError',
	'AuthenticationRequiredError',
]

/** The HTTP status of a failed call, or `undefined` when there was no answer. */
export function azureStatus(error: unknown): number | undefined {
	if (!(error instanceof Error) || !('statusCode' in error)) return undefined
	return typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** The error code of the service (`BlobNotFound`), or of the failure (`ECONNRESET`). */
export function azureCode(error: unknown): string | undefined {
	if (!(error instanceof Error) || !('code' in error)) return undefined
	return typeof error.code === 'string' ? error.code : undefined
}

/** A failed call of the SDK as an `IsleError` that names operation, key and container, and no credentials. */
export function azureError(error: unknown, operation: string, key: string, container: string): IsleError {
	const status = azureStatus(error)
	const name = azureCode(error)
	const { code, advice } = meaningOf(error, status, name)
	const facts = `operation=\`${operation}\` key=\`${key}\` container=\`${container}\``
	const answer = `${status === undefined ? '' : ` status=\`${status}\``}${name === undefined ? '' : ` error=\`${name}\``}`
	const what = status === undefined ? 'no answer from Azure' : 'Azure refused'
	return new IsleError(code, `${what}${advice === '' ? '' : ` (${advice})`}: ${facts}${answer}`, {
		cause: harmlessCopy(error),
		details: { key, ...(status === undefined ? {} : { status }), ...(name === undefined ? {} : { error: name }) },
	})
}

function meaningOf(error: unknown, status: number | undefined, name: string | undefined): Meaning {
	if (error instanceof Error && CREDENTIAL_FAILURES.includes(error.name)) {
		return { code: DENIED, advice: 'no credentials were found, or they are wrong or expired' }
	}
	// The SDK has no code for this; nothing was sent.
	if (status === undefined && error instanceof Error && /non-TLS protected/.test(error.message)) {
		return { code: DENIED, advice: 'tokens are sent over https only, and the endpoint is none' }
	}
	const named = name === undefined ? undefined : status === undefined ? BY_FAILURE[name] : BY_ERROR[name]
	if (named !== undefined) return named
	if (status === undefined || status >= 500 || status === 408) return { code: 'ISLE_UNAVAILABLE', advice: '' }
	if (status === 429) return { code: 'ISLE_UNAVAILABLE', advice: 'the store throttles' }
	if (status === 404) return { code: 'ISLE_NOT_FOUND', advice: '' }
	return { code: DENIED, advice: status === 401 || status === 403 ? 'no permission' : '' }
}
