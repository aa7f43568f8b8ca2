/**
 * Opens a container of Azure Blob Storage as a store. `@azure/storage-blob` is imported here, when a store is opened.
 *
 * Credentials come from the environment, in this order, or with a ready client; never from a URL:
 * 1. `AZURE_STORAGE_CONNECTION_STRING` (an account key or a SAS), unless the account or endpoint is named otherwise;
 * 2. `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN` with the account, `AZURE_STORAGE_ACCOUNT` when none is named;
 * 3. `DefaultAzureCredential` of `@azure/identity` with the account: environment, workload and managed identity, CLI.
 *
 * Invariant: the pipeline sends each request once. With the SDK's retries a create whose reply was lost would meet its
 * own object and report that the key is taken. A ready client is therefore not used itself: its credential, URL and
 * pipeline options are, under a pipeline of ours.
 */
import type { BlobServiceClient, StoragePipelineOptions } from '@azure/storage-blob'
import { IsleError } from '../errors.ts'
import { AzureDriver } from './azure-driver.ts'
import { type CloudStoreOptions, cloudDoor, openCloudStore } from './cloud-door.ts'
import { checkEndpoint, cloudUrl } from './cloud-url.ts'
import type { ObjectStore } from './object-store.ts'
import { importOptional } from './optional-package.ts'

export interface AzureStoreOptions extends CloudStoreOptions {
	/** Name of the container, which exists already. */
	readonly container: string
	/** A client of yours: its URL, credential and pipeline options are used. Default: from the environment. */
	readonly client?: BlobServiceClient | undefined
	/** Name of the storage account. Default: `AZURE_STORAGE_ACCOUNT`. Not with `client`. */
	readonly account?: string | undefined
	/** Address of the blob service, without credentials. Default: `https://<account>.blob.core.windows.net`. Not with `client`. */
	readonly endpoint?: string | undefined
}

type Sdk = typeof import('@azure/storage-blob')

/** 3 to 63 lower-case letters, digits and single hyphens; `$root` and `$web` are no places for a database. */
const CONTAINER_NAME = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/

/**
 * Opens the store in a container; sends no request but the listing of `mustExist`. Throws `ISLE_UNSUPPORTED` naming what to install when a package is
 * missing, `ISLE_DENIED` when no credentials can be found, `TypeError` for a bad container name, endpoint or connection
 * string.
 */
export async function openAzureStore(options: AzureStoreOptions): Promise<ObjectStore> {
	if (typeof options !== 'object' || options === null) throw new TypeError('Expected options with a `container`')
	const { container, client } = options
	const door = cloudDoor(options)
	if (typeof container !== 'string' || !CONTAINER_NAME.test(container)) {
		throw new TypeError('Expected `container` to be 3 to 63 lower-case letters, digits and single hyphens')
	}
	if (client !== undefined && (options.account !== undefined || options.endpoint !== undefined)) {
		throw new TypeError('Expected `account` and `endpoint` only without `client`, which has its own')
	}
	const sdk = await importOptional('@azure/storage-blob', () => import('@azure/storage-blob'))
	const service = client === undefined ? await serviceFromEnvironment(sdk, options) : unretried(sdk, client)
	const { account, endpoint } = options
	const url = cloudUrl('azblob', container, { account, endpoint, ...door.parameters })
	return openCloudStore(new AzureDriver(url, service.getContainerClient(container), door.limits), door)
}

const ONE_TRY = { maxTries: 1 } as const

/** The same service through a pipeline that sends each request once. */
function unretried(sdk: Sdk, client: BlobServiceClient): BlobServiceClient {
	// The SDK keeps the pipeline for itself in its types only: it is where proxy, transport and user agent are set.
	const pipeline: unknown = Reflect.get(client, 'pipeline')
	const given: unknown =
		typeof pipeline === 'object' && pipeline !== null ? Reflect.get(pipeline, 'options') : undefined
	const options: StoragePipelineOptions = {
		...(typeof given === 'object' && given !== null ? given : {}),
		retryOptions: ONE_TRY,
	}
	return new sdk.BlobServiceClient(client.url, sdk.newPipeline(client.credential, options))
}

async function serviceFromEnvironment(sdk: Sdk, options: AzureStoreOptions): Promise<BlobServiceClient> {
	const environment = process.env
	const pipelineOptions: StoragePipelineOptions = { retryOptions: ONE_TRY }
	const connectionString = environment['AZURE_STORAGE_CONNECTION_STRING'] ?? ''
	if (connectionString !== '' && options.account === undefined && options.endpoint === undefined) {
		return fromConnectionString(sdk, connectionString, pipelineOptions)
	}
	const account = options.account ?? environment['AZURE_STORAGE_ACCOUNT'] ?? ''
	if (account !== '' && !/^[a-z0-9]{3,24}$/.test(account)) {
		throw new TypeError('Expected the name of an Azure account to be 3 to 24 lower-case letters and digits')
	}
	if (account === '' && options.endpoint === undefined) {
		throw new IsleError(
			'ISLE_DENIED',
			'no Azure account is named, set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT, or write ' +
				`\`azblob://${options.container}?account=…\`: container=\`${options.container}\``,
		)
	}
	const endpoint =
		options.endpoint === undefined ? `https://${account}.blob.core.windows.net` : checkEndpoint(options.endpoint)
	const key = environment['AZURE_STORAGE_KEY'] ?? ''
	if (key !== '' && account !== '') {
		const credential = new sdk.StorageSharedKeyCredential(account, key)
		return new sdk.BlobServiceClient(endpoint, credential, pipelineOptions)
	}
	const sas = environment['AZURE_STORAGE_SAS_TOKEN'] ?? ''
	if (sas !== '') return new sdk.BlobServiceClient(`${endpoint}?${sas.replace(/^\?/, '')}`, undefined, pipelineOptions)
	const { DefaultAzureCredential } = await importOptional('@azure/identity', () => import('@azure/identity'))
	return new sdk.BlobServiceClient(endpoint, new DefaultAzureCredential(), pipelineOptions)
}

/** The SDK's own errors about a connection string may repeat parts of it. */
function fromConnectionString(
	sdk: Sdk,
	connectionString: string,
	pipelineOptions: StoragePipelineOptions,
): BlobServiceClient {
	try {
		return sdk.BlobServiceClient.fromConnectionString(connectionString, pipelineOptions)
	} catch {
		throw new TypeError('Expected AZURE_STORAGE_CONNECTION_STRING to be a connection string of a storage account')
	}
}
