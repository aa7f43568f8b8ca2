/**
 * The test that a store gets before it is trusted: does it refuse a second create of one key?
 *
 * S3 look-alikes exist that ignore `If-None-Match` and answer 200 to every PUT (s3rver, fauxqs, cloudserver). On such a
 * store two writers would overwrite each other's commits. Steps: create `probe/<random>`; create it again with other
 * bytes, which must be refused; read it, which must give the first bytes; list it; delete it.
 *
 * Bodies in parts are another request with another condition (multipart completion, block list), and a server may know
 * the one and not the other. That is asked for, and not done at each first use, because it costs an upload of 8 MiB
 * and nothing that is fenced rests on it: every record of a log is one PUT (`SINGLE_MAX_BYTES`), what is uploaded beside
 * the log has a name that only its owner may use, and a checkpoint has one content whoever writes it.
 */
import { equalBytes } from '../bytes/compare.ts'
import { IsleError } from '../errors.ts'
import { Retry, retryIdempotent } from '../host/backoff.ts'
import { type Host, systemHost } from '../host/host.ts'
import type { CreateOutcome, ObjectStore, RequestOptions } from './object-store.ts'

export interface ProbeOptions extends RequestOptions {
	/** `check`: also a conditional create whose body goes in parts, 4 requests and 8 MiB more. Default `skip`. */
	readonly parts?: 'check' | 'skip' | undefined
	readonly host?: Host | undefined
}

/** More than a part of any of our adapters. */
const PARTS_BYTES: number = 8 * 1024 * 1024 + 1
/** `unknown` outcomes that are tried again, each time; with jittered pauses between them. */
const MAX_ATTEMPTS = 4
const BUDGET = { maxAttempts: MAX_ATTEMPTS, budgetMs: 30_000, basePauseMs: 50, maxPauseMs: 2_000 }

/**
 * Resolves when `store` may be trusted; it then holds nothing of the probe. Throws `ISLE_STORE_UNSAFE` when it may not,
 * `ISLE_UNAVAILABLE` when the store gave no verdict, and what the store throws (`ISLE_DENIED`, …). Five requests when
 * all goes well.
 */
export async function probeStore(store: ObjectStore, options: ProbeOptions = {}): Promise<void> {
	const { parts = 'skip', host = systemHost } = options
	if (parts !== 'check' && parts !== 'skip') throw new TypeError('Expected `parts` to be `check` or `skip`')
	const key = `probe/${Buffer.from(host.random.bytes(16)).toString('hex')}`
	const first = host.random.bytes(16)
	const second = Uint8Array.from(first, byte => byte ^ 0xff)
	const idempotently = <T>(call: () => Promise<T>): Promise<T> =>
		retryIdempotent(host, call, { budget: BUDGET, signal: options.signal })
	let failure: { readonly error: unknown } | undefined
	try {
		// A first create whose reply was lost may have taken effect: its repetition is then refused, and that is well.
		const create = (body: Uint8Array) => () => store.createIfAbsent(key, body, options)
		await verdictOf(store, host, key, create(first), options)
		if ((await verdictOf(store, host, key, create(second), options)) === 'created') {
			throw unsafe(store, key, 'it created one key twice')
		}
		if (parts === 'check') {
			const createInParts = () => store.createFromStream(key, largeBody(second), options)
			if ((await verdictOf(store, host, key, createInParts, options)) === 'created') {
				throw unsafe(store, key, 'it created one key again, in parts')
			}
		}
		const found = await idempotently(() => store.get(key, options))
		if (found === undefined) throw unsafe(store, key, 'it does not show what it has just created')
		if (!equalBytes(found, first)) throw unsafe(store, key, 'it changed an object that it refused to create again')
		const page = await idempotently(() => store.list({ ...options, prefix: key }))
		if (page.objects[0]?.key !== key) throw unsafe(store, key, 'it does not list what it has just created')
	} catch (error) {
		failure = { error }
	}
	await removeProbe(store, host, key, failure !== undefined)
	if (failure !== undefined) throw failure.error
}

async function verdictOf(
	store: ObjectStore,
	host: Host,
	key: string,
	create: () => Promise<CreateOutcome>,
	options: RequestOptions,
): Promise<'created' | 'exists'> {
	const retry = new Retry(host, BUDGET)
	for (;;) {
		const outcome = await create()
		if (outcome.kind !== 'unknown') return outcome.kind
		options.signal?.throwIfAborted()
		if (!(await retry.pause(options.signal))) {
			throw new IsleError(
				'ISLE_UNAVAILABLE',
				`the store gave no verdict in \`${retry.attempts}\` attempts: url=\`${store.url}\` key=\`${key}\``,
				{ cause: outcome.cause, details: { key } },
			)
		}
	}
}

async function* largeBody(beginning: Uint8Array): AsyncGenerator<Uint8Array> {
	yield beginning
	yield new Uint8Array(PARTS_BYTES - beginning.byteLength)
}

/** Also after an abort or a deadline, hence without the limits of the call. A failure already on its way comes first. */
async function removeProbe(store: ObjectStore, host: Host, key: string, isFailing: boolean): Promise<void> {
	try {
		await retryIdempotent(host, () => store.delete(key, { deadlineMs: 10_000 }), { budget: BUDGET })
	} catch (error) {
		if (!isFailing) throw error
	}
}

function unsafe(store: ObjectStore, key: string, what: string): IsleError {
	return new IsleError(
		'ISLE_STORE_UNSAFE',
		`the store cannot be trusted, ${what}: url=\`${store.url}\` key=\`${key}\``,
		{
			details: { key },
		},
	)
}
