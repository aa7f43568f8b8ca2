/**
 * Opens a bucket of Google Cloud Storage as a store. `@google-cloud/storage` is imported here, when a store is opened.
 *
 * Credentials come from the SDK's own chain (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth application-default login`,
 * the identity of the machine) or with a ready client; never from a URL. An `apiEndpoint` other than Google's, an
 * emulator, is spoken to without credentials.
 *
 * Invariant: every request is sent once. With the SDK's retries a create whose reply was lost would meet its own object
 * and report that the key is taken. A ready client is therefore not used itself: its authentication and endpoint are.
 */
import type { Storage } from '@google-cloud/storage'
import { type CloudStoreOptions, cloudDoor, openCloudStore } from './cloud-door.ts'
import { checkEndpoint, cloudUrl } from './cloud-url.ts'
import { GcsDriver } from './gcs-driver.ts'
import type { ObjectStore } from './object-store.ts'
import { importOptional } from './optional-package.ts'

export interface GcsStoreOptions extends CloudStoreOptions {
	/** Name of the bucket, which exists already. */
	readonly bucket: string
	/** A client of yours: its authentication, project and endpoint are used. Default: from the environment. */
	readonly client?: Storage | undefined
	/** Address of the JSON API. Default: Google's, or `STORAGE_EMULATOR_HOST`. Not with `client`. */
	readonly apiEndpoint?: string | undefined
}

type Interceptor = Storage['interceptors'][number]
type DecoratedRequest = ReturnType<NonNullable<Interceptor['request']>>
type Sdk = typeof import('@google-cloud/storage')

/** 3 to 63 characters, or up to 222 with dots: lower-case letters, digits, dashes, underscores. */
const BUCKET_NAME = /^(?=.{3,222}$)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/

/**
 * Opens the store in a bucket; sends no request but the listing of `mustExist`. Throws `ISLE_UNSUPPORTED` naming what to install when the package is
 * missing, `TypeError` for a bad bucket name or endpoint.
 */
export async function openGcsStore(options: GcsStoreOptions): Promise<ObjectStore> {
	if (typeof options !== 'object' || options === null) throw new TypeError('Expected options with a `bucket`')
	const { bucket, client } = options
	const door = cloudDoor(options)
	if (typeof bucket !== 'string' || !BUCKET_NAME.test(bucket)) {
		throw new TypeError('Expected `bucket` to be 3 to 222 lower-case letters, digits, dots, dashes and underscores')
	}
	if (client !== undefined && options.apiEndpoint !== undefined) {
		throw new TypeError('Expected `apiEndpoint` only without `client`, which has its own')
	}
	const sdk = await importOptional('@google-cloud/storage', () => import('@google-cloud/storage'))
	const storage = storageOf(sdk, client, options.apiEndpoint)
	const url = cloudUrl('gs', bucket, { apiEndpoint: options.apiEndpoint, ...door.parameters })
	return openCloudStore(new GcsDriver(url, storage.bucket(bucket), door.limits), door)
}

function storageOf(sdk: Sdk, client: Storage | undefined, apiEndpoint: string | undefined): Storage {
	const given =
		client === undefined
			? apiEndpoint === undefined
				? {}
				: { apiEndpoint: checkEndpoint(apiEndpoint) }
			: {
					authClient: client.authClient,
					apiEndpoint: client.apiEndpoint,
					projectId: client.projectId,
					universeDomain: client.universeDomain,
					...(client.providedUserAgent === undefined ? {} : { userAgent: client.providedUserAgent }),
					...(client.useAuthWithCustomEndpoint === undefined
						? {}
						: { useAuthWithCustomEndpoint: client.useAuthWithCustomEndpoint }),
				}
	const storage = new sdk.Storage({ ...given, retryOptions: { autoRetry: false, maxRetries: 0 } })
	if (client !== undefined) storage.interceptors.push(...client.interceptors)
	// Keeps to the agents of Node.js, which keep connections alive as well. The SDK's own agent, shared by the whole
	// process, is destroyed with every request on it when one download fails or is left.
	// The types of the SDK want an interceptor to answer another type than it is given; what it gives is what it gets.
	storage.interceptors.push({ request: request => Object.assign(request, { forever: false }) as DecoratedRequest })
	return storage
}
