/** Stores by their URL: `azblob://container/prefix?account=…&endpoint=…`. */
import { openAzureStore } from './azure-store.ts'
import { DOOR_PARAMETERS, doorOptions } from './cloud-door.ts'
import { type CloudUrlContext, parseCloudUrl } from './cloud-url.ts'
import type { ObjectStore } from './object-store.ts'

/** Throws as `openAzureStore` and `parseCloudUrl` do. */
export async function openAzureUrl(url: string, context: CloudUrlContext): Promise<ObjectStore> {
	const known = ['account', 'endpoint', ...DOOR_PARAMETERS]
	const { bucket: container, prefix, parameters } = parseCloudUrl(url, 'azblob', known)
	const { account, endpoint } = parameters
	return openAzureStore({ container, prefix, account, endpoint, ...doorOptions(parameters), ...context })
}
