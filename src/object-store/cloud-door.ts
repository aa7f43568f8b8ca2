/**
 * What the three doors to clouds (`openS3Store`, `openGcsStore`, `openAzureStore`) have in common: their options, as
 * options and as parameters of a URL, and the steps from a driver to a store.
 *
 * Opening sends nothing and writes nothing, unless `mustExist` asks for one listing.
 */
import { type Host, systemHost } from '../host/host.ts'
import type { CloudDriver } from './cloud-driver.ts'
import { CloudStore } from './cloud-store.ts'
import { checkObjectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'
import { prefixedStore } from './prefixed-store.ts'
import { DEFAULT_DEADLINES, RequestLimits } from './request-limits.ts'
import { retryingStore } from './retrying-store.ts'

/** Options of every cloud store. */
export interface CloudStoreOptions {
	/** Key segments beneath which everything is kept: `db1`, `team/db1`. Default: none, all of the bucket or container. */
	readonly prefix?: string | undefined
	/**
	 * True: one listing, when the store is opened, shows that the bucket or container is there (`ISLE_NOT_FOUND`) and
	 * that the credentials may list it (`ISLE_DENIED`). Default false: both show at the first call.
	 */
	readonly mustExist?: boolean | undefined
	/**
	 * Milliseconds within which an answer has to begin, and each MiB of its body to follow; what is later is given up
	 * (`ISLE_UNAVAILABLE`), and sent again where that is harmless. Default 10,000.
	 */
	readonly answerDeadlineMs?: number | undefined
	/** Milliseconds more for each MiB that a request sends. Default 1,000; more for lines below 10 Mbit/s. */
	readonly uploadDeadlineMsPerMib?: number | undefined
	readonly host?: Host | undefined
}

/** The options, checked. */
export interface CloudDoor {
	readonly prefix: string
	readonly mustExist: boolean
	readonly limits: RequestLimits
	/** Those that a URL has as parameters, as far as they were given. */
	readonly parameters: Readonly<Record<string, string | undefined>>
}

/** What a URL of any cloud may say besides where the bucket is. */
export const DOOR_PARAMETERS = ['answerDeadlineMs', 'uploadDeadlineMsPerMib'] as const

/** Longer than a day is no deadline. */
const MAX_DEADLINE_MS = 86_400_000

/** Throws `TypeError` for options of the wrong type, `RangeError` for a bad prefix or deadline. */
export function cloudDoor(options: CloudStoreOptions): CloudDoor {
	const { prefix = '', mustExist = false, host = systemHost } = options
	if (typeof prefix !== 'string') throw new TypeError(`Expected \`prefix\` to be a string, got ${typeof prefix}`)
	if (prefix !== '') checkObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
	if (typeof mustExist !== 'boolean') {
		throw new TypeError(`Expected \`mustExist\` to be a boolean, got ${typeof mustExist}`)
	}
	const { answerDeadlineMs = DEFAULT_DEADLINES.answerMs, uploadDeadlineMsPerMib = DEFAULT_DEADLINES.uploadMsPerMib } =
		options
	checkDeadline('answerDeadlineMs', answerDeadlineMs)
	checkDeadline('uploadDeadlineMsPerMib', uploadDeadlineMsPerMib)
	const limits = new RequestLimits(host, { answerMs: answerDeadlineMs, uploadMsPerMib: uploadDeadlineMsPerMib })
	const parameters = Object.fromEntries(DOOR_PARAMETERS.map(name => [name, options[name]?.toString()]))
	return { prefix, mustExist, limits, parameters }
}

/** The parameters of a URL as options. Throws `TypeError` for what is no whole number. */
export function doorOptions(parameters: Readonly<Record<string, string | undefined>>): CloudStoreOptions {
	return Object.fromEntries(
		DOOR_PARAMETERS.map(name => {
			const value = parameters[name]
			if (value !== undefined && !/^\d{1,15}$/.test(value)) {
				throw new TypeError(`Expected \`${name}\` of a store's URL to be a whole number of milliseconds`)
			}
			return [name, value === undefined ? undefined : Number(value)]
		}),
	)
}

/** The store behind `driver`. Throws what the listing says when `mustExist` asks for one; the driver is then closed. */
export async function openCloudStore(driver: CloudDriver, door: CloudDoor): Promise<ObjectStore> {
	const { prefix, mustExist, limits } = door
	const whole = new CloudStore(driver, limits)
	const store = prefix === '' ? whole : prefixedStore(whole, prefix, { onClose: 'close' })
	if (!mustExist) return store
	try {
		await retryingStore(store, { host: limits.host }).list({ limit: 1 })
		return store
	} catch (error) {
		await store.close()
		throw error
	}
}

function checkDeadline(name: string, value: number): void {
	if (typeof value !== 'number') throw new TypeError(`Expected \`${name}\` to be a number, got ${typeof value}`)
	if (value >= 1 && value <= MAX_DEADLINE_MS) return
	throw new RangeError(`Expected \`${name}\` to be a number of milliseconds from 1 to ${MAX_DEADLINE_MS}, got ${value}`)
}
