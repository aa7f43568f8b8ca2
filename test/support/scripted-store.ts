/**
 * A memory store whose replies a test writes by hand: every call is noted, and a hook may delay, repeat, lose or replace
 * what happens. Without hooks it behaves as the store in it.
 */
import { IsleError } from '../../src/errors.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RequestOptions,
} from '../../src/object-store/object-store.ts'

type Operation = 'get' | 'getRange' | 'put' | 'createIfAbsent' | 'list' | 'delete'
type Run<Value> = () => Promise<Value>

export class ScriptedStore implements ObjectStore {
	readonly url = 'scripted:'
	readonly inner: ObjectStore
	/** `operation key`, in the order in which calls began. A LIST shows its prefix. */
	readonly calls: string[] = []
	/** Replace a call's fate; `run` does what the store would have done. */
	onCreate: (key: string, run: Run<CreateOutcome>, options?: RequestOptions) => Promise<CreateOutcome> = (_key, run) =>
		run()
	onGet: (key: string, run: Run<Uint8Array | undefined>, options?: RequestOptions) => Promise<Uint8Array | undefined> =
		(_key, run) => run()
	onGetRange: (
		key: string,
		run: Run<Uint8Array | undefined>,
		options?: RequestOptions,
	) => Promise<Uint8Array | undefined> = (_key, run) => run()
	onList: (prefix: string, run: Run<ListPage>, options?: RequestOptions) => Promise<ListPage> = (_prefix, run) => run()

	constructor(inner: ObjectStore = new MemoryStore()) {
		this.inner = inner
	}

	count(operation: Operation, keyPrefix = ''): number {
		return this.calls.filter(call => call.startsWith(`${operation} ${keyPrefix}`)).length
	}

	async keys(prefix = ''): Promise<string[]> {
		return (await this.inner.list({ prefix })).objects.map(object => object.key)
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		this.calls.push(`get ${key}`)
		return this.onGet(key, () => this.inner.get(key, options), options)
	}

	getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
		this.calls.push(`getRange ${key}`)
		return this.onGetRange(key, () => this.inner.getRange(key, range, options), options)
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		this.calls.push(`put ${key}`)
		return this.inner.put(key, body, options)
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		this.calls.push(`createIfAbsent ${key}`)
		return this.onCreate(key, () => this.inner.createIfAbsent(key, body, options), options)
	}

	list(options?: ListOptions): Promise<ListPage> {
		const prefix = options?.prefix ?? ''
		this.calls.push(`list ${prefix}`)
		return this.onList(prefix, () => this.inner.list(options), options)
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		this.calls.push(`delete ${key}`)
		return this.inner.delete(key, options)
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.inner.deleteMany(keys, options)
	}

	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.inner.getStream(key, range, options)
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		return this.inner.createFromStream(key, body, options)
	}

	close(): Promise<void> {
		return this.inner.close()
	}
}

/** What a lost reply looks like to the caller. */
export function lostReply(): IsleError {
	return new IsleError('ISLE_UNAVAILABLE', 'the reply was lost')
}

/** A create-if-absent of which nobody knows whether it took effect. */
export function unknownOutcome(): CreateOutcome {
	return { kind: 'unknown', cause: lostReply() }
}

/** A promise that a test settles by hand. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
	let open = (): void => undefined
	const opened = new Promise<void>(resolve => {
		open = resolve
	})
	return { opened, open: () => open() }
}
