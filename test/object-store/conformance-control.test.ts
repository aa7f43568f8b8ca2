import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { storeConformance } from '../../src/object-store/conformance.ts'
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
import { PassThroughStore } from '../support/pass-through-store.ts'

/** The names of the clauses that `createStore()` breaks. */
async function brokenClauses(createStore: () => ObjectStore): Promise<string[]> {
	const tests: { name: string; run: () => Promise<void> }[] = []
	storeConformance({ test: (name, run) => tests.push({ name, run }), createStore })
	const broken: string[] = []
	for (const { name, run } of tests) {
		await run().catch(() => broken.push(name))
	}
	return broken
}

const stores: Readonly<Record<string, { readonly make: () => ObjectStore; readonly breaks: RegExp }>> = {
	'creates one key twice, as S3 look-alikes do': {
		breaks: /answers created, then exists/,
		make: () =>
			new (class extends PassThroughStore {
				override async createIfAbsent(key: string, body: Body): Promise<CreateOutcome> {
					await this.inner.put(key, body)
					return { kind: 'created' }
				}
			})(),
	},
	'looks before it creates, without holding the key': {
		breaks: /concurrent creators/,
		make: () =>
			new (class extends PassThroughStore {
				override async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
					if ((await this.inner.get(key)) !== undefined) return { kind: 'exists' }
					await this.inner.put(key, body, options)
					return { kind: 'created' }
				}
			})(),
	},
	'answers exists to its own success': {
		breaks: /answers created, then exists/,
		make: () =>
			new (class extends PassThroughStore {
				override async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
					const outcome = await this.inner.createIfAbsent(key, body, options)
					return outcome.kind === 'created' ? { kind: 'exists' } : outcome
				}
			})(),
	},
	'knows conditions of small bodies only, not of those in parts': {
		breaks: /in parts/,
		make: () =>
			new (class extends PassThroughStore {
				override async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
					if (!(body instanceof Uint8Array) || body.byteLength < 16 * 1024 * 1024) {
						return this.inner.createIfAbsent(key, body, options)
					}
					await this.inner.put(key, body, options)
					return { kind: 'created' }
				}
			})(),
	},
	'takes an empty object for an absent one': {
		breaks: /empty body is an object/,
		make: () =>
			new (class extends PassThroughStore {
				override async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
					const body = await this.inner.get(key, options)
					return body?.byteLength === 0 ? undefined : body
				}
			})(),
	},
	'answers a range past the end with what there is': {
		breaks: /reaches past the end/,
		make: () =>
			new (class extends PassThroughStore {
				override async getRange(
					key: string,
					range: ByteRange,
					options?: RequestOptions,
				): Promise<Uint8Array | undefined> {
					if (!(range.bytes >= 1 && range.offset >= 0)) return this.inner.getRange(key, range, options)
					return (await this.inner.get(key, options))?.slice(range.offset, range.offset + range.bytes)
				}
			})(),
	},
	'hands out what it keeps': {
		breaks: /belong to the caller/,
		make: () => {
			const cache = new Map<string, Uint8Array | undefined>()
			return new (class extends PassThroughStore {
				override async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
					if (!cache.has(key)) cache.set(key, await this.inner.get(key, options))
					return cache.get(key)
				}
			})()
		},
	},
	'keeps what it is handed': {
		breaks: /buffers after a call/,
		make: () => {
			const kept = new Map<string, Uint8Array>()
			return new (class extends PassThroughStore {
				override async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
					await this.inner.put(key, body, options)
					if (body instanceof Uint8Array) kept.set(key, body)
				}
				override async get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
					const body = await this.inner.get(key, options)
					return body === undefined ? undefined : Uint8Array.from(kept.get(key) ?? body)
				}
			})()
		},
	},
	'lists in the order of UTF-16': {
		breaks: /byte order of their UTF-8/,
		make: () =>
			new (class extends PassThroughStore {
				override async list(options?: ListOptions): Promise<ListPage> {
					const page = await this.inner.list(options)
					return { ...page, objects: page.objects.toSorted((a, b) => (a.key < b.key ? -1 : 1)) }
				}
			})(),
	},
	'takes the start of a listing to be inclusive': {
		breaks: /byte order of their UTF-8/,
		make: () =>
			new (class extends PassThroughStore {
				override async list(options: ListOptions = {}): Promise<ListPage> {
					const page = await this.inner.list(options)
					const start = options.startAfter ?? ''
					const own = start === '' ? [] : (await this.inner.list({ prefix: start, limit: 1 })).objects
					return { ...page, objects: [...own.filter(object => object.key === start), ...page.objects] }
				}
			})(),
	},
	'never says that a page is truncated': {
		breaks: /isTruncated says exactly/,
		make: () =>
			new (class extends PassThroughStore {
				override async list(options?: ListOptions): Promise<ListPage> {
					return { ...(await this.inner.list(options)), isTruncated: false }
				}
			})(),
	},
	'fails to delete what is absent': {
		breaks: /deleting what is absent succeeds/,
		make: () =>
			new (class extends PassThroughStore {
				override async delete(key: string, options?: RequestOptions): Promise<void> {
					if ((await this.inner.get(key, options)) === undefined) throw new IsleError('ISLE_NOT_FOUND', key)
					return this.inner.delete(key, options)
				}
			})(),
	},
	'deletes one request of a batch only': {
		breaks: /more keys than one request/,
		make: () =>
			new (class extends PassThroughStore {
				override deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
					return this.inner.deleteMany(keys.length > 1000 ? keys.slice(0, 1000) : keys, options)
				}
			})(),
	},
	'creates what came of a source that broke': {
		breaks: /source that fails rejects/,
		make: () =>
			new (class extends PassThroughStore {
				override createFromStream(
					key: string,
					body: AsyncIterable<Uint8Array>,
					options?: RequestOptions,
				): Promise<CreateOutcome> {
					async function* untilItBreaks(): AsyncGenerator<Uint8Array> {
						try {
							yield* body
						} catch (error) {
							if (error instanceof TypeError) throw error
						}
					}
					return this.inner.createFromStream(key, untilItBreaks(), options)
				}
			})(),
	},
	'ignores signals': {
		breaks: /aborted beforehand/,
		make: () =>
			new (class extends PassThroughStore {
				override get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
					return this.inner.get(key, { deadlineMs: options?.deadlineMs })
				}
			})(),
	},
	'rejects with an error of its own instead of the reason': {
		breaks: /aborted beforehand/,
		make: () =>
			new (class extends PassThroughStore {
				override async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
					if (options?.signal?.aborted) throw new Error('AbortError')
					return this.inner.put(key, body, options)
				}
			})(),
	},
	'ignores deadlines': {
		breaks: /past its deadline/,
		make: () =>
			new (class extends PassThroughStore {
				override list(options: ListOptions = {}): Promise<ListPage> {
					return this.inner.list({ ...options, deadlineMs: undefined })
				}
			})(),
	},
	'lets keys out of its directory': {
		breaks: /refused with RangeError/,
		make: () =>
			new (class extends PassThroughStore {
				override put(key: string, body: Body, options?: RequestOptions): Promise<void> {
					return this.inner.put(key.replaceAll('../', ''), body, options)
				}
			})(),
	},
	'goes on after it was closed': {
		breaks: /after close/,
		make: () =>
			new (class extends PassThroughStore {
				override async close(): Promise<void> {}
			})(),
	},
	'ends a stream early as if it were whole': {
		breaks: /stream gives the body/,
		make: () =>
			new (class extends PassThroughStore {
				override async getStream(
					key: string,
					range?: ByteRange,
					options?: RequestOptions,
				): Promise<AsyncIterable<Uint8Array> | undefined> {
					const stream = await this.inner.getStream(key, range, options)
					if (stream === undefined) return undefined
					return (async function* firstPiece(): AsyncGenerator<Uint8Array> {
						for await (const piece of stream) {
							yield piece
							return
						}
					})()
				}
			})(),
	},
}

describe('the conformance suite finds a store that', () => {
	for (const [name, { make, breaks }] of Object.entries(stores)) {
		test(name, async () => {
			expect(await brokenClauses(make)).toContainEqual(expect.stringMatching(breaks))
		})
	}

	test('and finds nothing wrong with the store that these are made from', async () => {
		expect(await brokenClauses(() => new PassThroughStore(new MemoryStore()))).toEqual([])
	})
})
