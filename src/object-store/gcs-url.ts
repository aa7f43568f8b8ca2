/** Stores by their URL: `gs://bucket/prefix?apiEndpoint=…`. */
import { DOOR_PARAMETERS, doorOptions } from './cloud-door.ts'
import { type CloudUrlContext, parseCloudUrl } from './cloud-url.ts'
import { openGcsStore } from './gcs-store.ts'
import type { ObjectStore } from './object-store.ts'

/** Throws as `openGcsStore` and `parseCloudUrl` do. */
export async function openGcsUrl(url: string, context: CloudUrlContext): Promise<ObjectStore> {
	const { bucket, prefix, parameters } = parseCloudUrl(url, 'gs', ['apiEndpoint', ...DOOR_PARAMETERS])
	const { apiEndpoint } = parameters
	return openGcsStore({ bucket, prefix, apiEndpoint, ...doorOptions(parameters), ...context })
}
