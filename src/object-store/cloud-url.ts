/**
 * URLs of cloud stores: `scheme://bucket/optional/prefix?parameter=value`.
 *
 * Credentials have no place in them: URLs end up in logs and shell histories. What could be one (user and password, a
 * parameter that the adapter does not know, such as a signature) is refused, and never repeated in a message.
 */
import type { Host } from '../host/host.ts'

/** What comes with a URL, and is not in it. */
export interface CloudUrlContext {
	readonly mustExist: boolean
	readonly host: Host
}

export interface CloudUrl {
	/** The bucket or container. */
	readonly bucket: string
	/** The path, without slashes at its ends; '' for the whole bucket. */
	readonly prefix: string
	/** The parameters that the adapter knows, by name; each at most once and not empty. */
	readonly parameters: Readonly<Record<string, string | undefined>>
}

/** Throws `TypeError` for what is no URL of `scheme`, holds credentials, or names a parameter that is not `known`. */
export function parseCloudUrl(url: string, scheme: string, known: readonly string[]): CloudUrl {
	const expected = `Expected a URL such as \`${scheme}://name\``
	let parsed: URL
	try {
		parsed = new URL(url)
	} catch {
		throw new TypeError(`${expected}, got one that cannot be read`)
	}
	if (parsed.protocol !== `${scheme}:`) throw new TypeError(`${expected}, got the scheme \`${parsed.protocol}\``)
	if (parsed.username !== '' || parsed.password !== '') {
		throw new TypeError(`${expected} without credentials: they come from the environment or with a ready client`)
	}
	if (parsed.hostname === '') throw new TypeError(`${expected}, got one without a name`)
	if (parsed.port !== '' || parsed.hash !== '') {
		throw new TypeError(`${expected} without port and \`#\`, got one of \`${parsed.hostname}\``)
	}
	const parameters: Record<string, string> = {}
	for (const [name, value] of parsed.searchParams) {
		if (!known.includes(name)) {
			const names = known.map(each => `\`${each}\``).join(', ')
			throw new TypeError(`${expected} with no parameters but ${names} (credentials are never among them)`)
		}
		if (value === '' || name in parameters) {
			throw new TypeError(`${expected} with one value for each parameter: parameter=\`${name}\``)
		}
		parameters[name] = value
	}
	return { bucket: parsed.hostname, prefix: pathOf(parsed, expected), parameters }
}

function pathOf(parsed: URL, expected: string): string {
	try {
		return decodeURIComponent(parsed.pathname).replace(/^\/+|\/+$/g, '')
	} catch (error) {
		throw new TypeError(`${expected} with whole percent escapes`, { cause: error })
	}
}

/** The value of a parameter that is the address of a server; throws `TypeError` unless it is http(s) without credentials. */
export function checkEndpoint(endpoint: string): string {
	const isUrl = URL.canParse(endpoint)
	const parsed = isUrl ? new URL(endpoint) : undefined
	if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
		throw new TypeError('Expected the endpoint to be an http or https URL')
	}
	if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
		throw new TypeError(
			`Expected the endpoint to be a bare URL, without credentials and \`?\`: host=\`${parsed.host}\``,
		)
	}
	return endpoint.replace(/\/+$/, '')
}

/** The URL that opens the same store again, given the same environment. */
export function cloudUrl(
	scheme: string,
	bucket: string,
	parameters: Readonly<Record<string, string | undefined>>,
): string {
	const query = new URLSearchParams()
	for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.append(name, value)
	// Colons and slashes need no escapes in a query, and addresses are easier to read without.
	const text = query.toString().replaceAll('%3A', ':').replaceAll('%2F', '/')
	return `${scheme}://${bucket}${text === '' ? '' : `?${text}`}`
}
