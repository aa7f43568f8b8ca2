/**
 * A store from its URL: the scheme picks the adapter, `prefix` the part of the store. Opening writes nothing. A store
 * that is handed in as an object becomes a view, so that whoever opens may always close what it got.
 */
import { fileURLToPath } from 'node:url'
import { IsleError } from '../errors.ts'
import { type Host, systemHost } from '../host/host.ts'
import type { CloudUrlContext } from './cloud-url.ts'
import { openFileStore } from './file-store.ts'
import { MemoryStore } from './memory-store.ts'
import { checkObjectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'

export interface OpenStoreOptions {
	/** Key segments beneath which everything is kept: `db1`, `team/db1`. Default: none, the whole store. */
	readonly prefix?: string | undefined
	/**
	 * True: `ISLE_NOT_FOUND` when the directory, bucket or container of a URL is not there; clouds are asked by one
	 * listing. Default false: a directory is made at the first write, a missing bucket shows at the first call.
	 */
	readonly mustExist?: boolean | undefined
	readonly host?: Host | undefined
}

type OpenScheme = (url: string, context: CloudUrlContext) => Promise<ObjectStore>

/** Every scheme that is known, with what opens it. An adapter that needs a package imports it when it is called. */
const SCHEMES: Readonly<Record<string, OpenScheme>> = {
	memory: async (url, { host }) => new MemoryStore({ name: decoded(url.slice('memory:'.length), url), host }),
	file: (url, { host, mustExist }) => openFileStore({ directory: pathOfFileUrl(url), mustExist, host }),
	s3: async (url, context) => (await import('./s3-url.ts')).openS3Url(url, context),
	gs: async (url, context) => (await import('./gcs-url.ts')).openGcsUrl(url, context),
	azblob: async (url, context) => (await import('./azure-url.ts')).openAzureUrl(url, context),
}

/**
 * Opens what `location` names:
 * - `memory:name`: the store of that name in this thread; `memory:` a fresh one.
 * - `file:./data`, `file:data`, `file:///var/data`, `file:/var/data`: a directory; relative ones from the working
 *   directory. `%20` and the like stand for their characters; `?` and `#` have to be written so.
 * - `s3://bucket/prefix?region=…&endpoint=…&forcePathStyle=true`: a bucket of S3 or of what answers like it
 *   (`s3-store.ts`); credentials come from the environment, a profile or a role.
 * - `gs://bucket/prefix?apiEndpoint=…`: a bucket of Google Cloud Storage (`gcs-store.ts`); credentials come from the
 *   application's default ones.
 * - `azblob://container/prefix?account=…&endpoint=…`: a container of Azure Blob Storage (`azure-store.ts`); credentials
 *   come from the environment.
 *   URLs of clouds also take `answerDeadlineMs` and `uploadDeadlineMsPerMib` (`cloud-door.ts`).
 * - an `ObjectStore`: a view of it. Closing the view leaves the store open, for it is yours.
 *
 * Throws `ISLE_UNSUPPORTED` for other schemes, naming those that are known; `TypeError` for what is neither a URL nor a
 * store; `RangeError` for a bad prefix; what the adapter throws on opening.
 */
export async function openStore(
	location: string | URL | ObjectStore,
	options: OpenStoreOptions = {},
): Promise<ObjectStore> {
	const { prefix = '', mustExist = false, host = systemHost } = options
	if (typeof prefix !== 'string') throw new TypeError(`Expected \`prefix\` to be a string, got ${typeof prefix}`)
	if (prefix !== '') checkObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
	if (isObjectStore(location)) return prefixedStore(location, prefix)
	if (typeof location !== 'string' && !(location instanceof URL)) {
		throw new TypeError(`Expected a store to be a URL or an ObjectStore, got ${describe(location)}`)
	}
	const store = await openUrl(String(location), { mustExist, host })
	return prefix === '' ? store : prefixedStore(store, prefix, { onClose: 'close' })
}

/** True for what has every method of the contract: an adapter of ours or of the user. */
export function isObjectStore(value: unknown): value is ObjectStore {
	if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string') return false
	const object: object = value
	return METHODS.every(method => typeof Reflect.get(object, method) === 'function')
}

const METHODS: readonly (keyof ObjectStore)[] = [
	'get',
	'getRange',
	'put',
	'createIfAbsent',
	'list',
	'delete',
	'deleteMany',
	'getStream',
	'createFromStream',
	'close',
]

function openUrl(url: string, context: CloudUrlContext): Promise<ObjectStore> {
	const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
	if (scheme === undefined) {
		throw new TypeError(`Expected a store URL such as \`file:./data\`, got \`${withoutSecrets(url)}\``)
	}
	const open = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined
	if (open === undefined) {
		const known = Object.keys(SCHEMES).map(name => `${name}:`)
		throw new IsleError('ISLE_UNSUPPORTED', `unknown store scheme: scheme=\`${scheme}:\` known=\`${known.join(' ')}\``)
	}
	return open(url, context)
}

/** `file://host/…` is refused by `fileURLToPath`; a relative path is ours: URLs proper have none. */
function pathOfFileUrl(url: string): string {
	const path = url.slice('file:'.length)
	if (/[?#]/.test(path))
		throw new TypeError(`Expected no \`?\` or \`#\` in a file URL, write %3F or %23: got \`${url}\``)
	if (path.startsWith('/')) return fileURLToPath(`file:${path}`)
	if (path === '') throw new TypeError(`Expected a path in the file URL, got \`${url}\``)
	if (/%2f/i.test(path)) throw new TypeError(`Expected no %2F in a file URL, got \`${url}\``)
	return decoded(path, url)
}

function decoded(text: string, url: string): string {
	try {
		return decodeURIComponent(text)
	} catch (error) {
		throw new TypeError(`Expected a URL with whole percent escapes, got \`${url}\``, { cause: error })
	}
}

/** Without user, password and query, which may hold keys. */
function withoutSecrets(url: string): string {
	return url.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//')
}

function describe(value: unknown): string {
	if (value === null) return 'null'
	return typeof value === 'object' ? 'an object without the methods of one' : typeof value
}
