/** Stores by their URL: `azblob://container/prefix?account=…&endpoint=…`. */
import type { Host } from '../host/host.ts'
import { openAzureStore } from './azure-store.ts'
import { parseCloudUrl } from './cloud-url.ts'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'

/** Throws as `openAzureStore` and `parseCloudUrl` do. */
export async function openAzureUrl(url: string, host: Host): Promise<ObjectStore> {
	const { bucket, prefix, parameters } = parseCloudUrl(url, 'azblob', ['account', 'endpoint'])
	const { account, endpoint } = parameters
	const store = await openAzureStore({ container: bucket, account, endpoint, host })
	return prefix === '' ? store : prefixedStore(store, prefix, { onClose: 'close' })
}
