/** `s3:` URLs: where a bucket is, and nothing about who asks. */
import { DOOR_PARAMETERS, doorOptions } from './cloud-door.ts'
import { type CloudUrlContext, parseCloudUrl } from './cloud-url.ts'
import type { ObjectStore } from './object-store.ts'
import { openS3Store } from './s3-store.ts'

const PARAMETERS = ['region', 'endpoint', 'forcePathStyle', ...DOOR_PARAMETERS]

/** Opens `s3://bucket/prefix?region=…&endpoint=…&forcePathStyle=true`. Throws as `openS3Store` and `parseCloudUrl` do. */
export async function openS3Url(url: string, context: CloudUrlContext): Promise<ObjectStore> {
	const { bucket, prefix, parameters } = parseCloudUrl(url, 's3', PARAMETERS)
	const { region, endpoint, forcePathStyle } = parameters
	if (forcePathStyle !== undefined && forcePathStyle !== 'true' && forcePathStyle !== 'false') {
		throw new TypeError('Expected `forcePathStyle` of an S3 URL to be `true` or `false`')
	}
	const isPathStyle = forcePathStyle === undefined ? undefined : forcePathStyle === 'true'
	const place = { bucket, prefix, region, endpoint, forcePathStyle: isPathStyle }
	return openS3Store({ ...place, ...doorOptions(parameters), ...context })
}
