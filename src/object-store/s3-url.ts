/** `s3:` URLs: where a bucket is, and nothing about who asks. */
import type { Host } from '../host/host.ts'
import { parseCloudUrl } from './cloud-url.ts'
import type { ObjectStore } from './object-store.ts'
import { openS3Store } from './s3-store.ts'

/** Opens `s3://bucket/prefix?region=…&endpoint=…&forcePathStyle=true`, as `openStore` does. */
export async function openS3Url(url: string, host: Host): Promise<ObjectStore> {
	const { bucket, prefix, parameters } = parseCloudUrl(url, 's3', ['region', 'endpoint', 'forcePathStyle'])
	const { region, endpoint, forcePathStyle } = parameters
	if (forcePathStyle !== undefined && forcePathStyle !== 'true' && forcePathStyle !== 'false') {
		throw new TypeError('Expected `forcePathStyle` of an S3 URL to be `true` or `false`')
	}
	const isPathStyle = forcePathStyle === undefined ? undefined : forcePathStyle === 'true'
	return openS3Store({ bucket, prefix, region, endpoint, forcePathStyle: isPathStyle, host })
}
