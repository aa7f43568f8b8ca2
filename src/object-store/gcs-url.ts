/** Stores by their URL: `gs://bucket/prefix?apiEndpoint=…`. */
import type { Host } from '../host/host.ts'
import { parseCloudUrl } from './cloud-url.ts'
import { openGcsStore } from './gcs-store.ts'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'

/** Throws as `openGcsStore` and `parseCloudUrl` do. */
export async function openGcsUrl(url: string, host: Host): Promise<ObjectStore> {
	const { bucket, prefix, parameters } = parseCloudUrl(url, 'gs', ['apiEndpoint'])
	const store = await openGcsStore({ bucket, apiEndpoint: parameters['apiEndpoint'], host })
	return prefix === '' ? store : prefixedStore(store, prefix, { onClose: 'close' })
}
