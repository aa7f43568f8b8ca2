/** Conformance: listings — order, prefix, start, pages, and what is in them. */
import assert from 'node:assert/strict'
import type { Clause } from './conformance.ts'
import { text } from './conformance-objects.ts'
import type { ListOptions, ObjectStore } from './object-store.ts'

/**
 * Keys whose order is easy to get wrong: `a-` and `a.` stand before `a/…` and `a0` after it; beyond ASCII, UTF-8 and
 * UTF-16 disagree about U+FFFD and what lies past U+FFFF. No key is a directory of another: files could not hold that.
 */
const ODD_KEYS: readonly string[] = [
	'a-',
	'a-/x',
	'a.',
	'a/-',
	'a/b-',
	'a/b/0',
	'a/b/1',
	'a/b0',
	'a/c',
	'a0',
	'a0b/c/d/e',
	'ab',
	'b c/d e',
	'b%2Fc',
	'b+c&d=e',
	'b~',
	'é/x',
	'é',
	'\ufffd',
	'\u{10000}/x',
	'\u{1f600}',
	'.hidden',
	'..x/y',
	'Z',
].map(key => (key === 'a-' || key === 'a0' || key === 'é' ? `${key}_` : key))

/** Every string that could be a boundary: keys, their beginnings, and strings between them. */
const BOUNDARIES: readonly string[] = [
	'',
	'a',
	'a/',
	'a/b',
	'a/b/',
	'a/b/0',
	'a/b/0a',
	'a0',
	'b',
	'zz',
	'é',
	'\ufffd',
	'\u{1f600}',
]
const PREFIXES: readonly string[] = [
	'',
	'a',
	'a-',
	'a/',
	'a/b',
	'a/b/',
	'a/b/0',
	'a0b/c',
	'nothing/here',
	'é',
	'\u{10000}/',
]

function byBytes(a: string, b: string): number {
	return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function expectedKeys(keys: readonly string[], { prefix = '', startAfter = '' }: ListOptions): string[] {
	return keys.filter(key => key.startsWith(prefix) && byBytes(key, startAfter) > 0).sort(byBytes)
}

async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
	for (let i = 0; i < keys.length; i += 25) {
		await Promise.all(keys.slice(i, i + 25).map(key => store.put(key, text(key))))
	}
}

async function listedKeys(store: ObjectStore, options?: ListOptions): Promise<string[]> {
	return (await store.list(options)).objects.map(object => object.key)
}

/** All pages of a listing; each but the last must be full. */
async function pagedKeys(store: ObjectStore, options: ListOptions, limit: number): Promise<string[]> {
	const keys: string[] = []
	let startAfter = options.startAfter
	for (let pages = 0; pages <= 1000; pages++) {
		const page = await store.list({ ...options, startAfter, limit })
		keys.push(...page.objects.map(object => object.key))
		if (!page.isTruncated) return keys
		assert.equal(page.objects.length, limit, 'a truncated page is full')
		startAfter = page.objects.at(-1)?.key
	}
	throw new Error('the listing does not end')
}

export const LIST_CLAUSES: readonly Clause[] = [
	{
		name: 'an empty store lists nothing, under any prefix',
		run: async store => {
			assert.deepEqual(await store.list(), { objects: [], isTruncated: false })
			assert.deepEqual(await store.list({ prefix: 'a/b' }), { objects: [], isTruncated: false })
			assert.deepEqual(await store.list({ startAfter: 'a' }), { objects: [], isTruncated: false })
		},
	},
	{
		name: 'keys are listed in the byte order of their UTF-8, whatever the prefix and the start',
		run: async store => {
			await putAll(store, ODD_KEYS)
			for (const prefix of PREFIXES) {
				for (const startAfter of [undefined, ...BOUNDARIES, ...ODD_KEYS]) {
					const options = { prefix, startAfter }
					assert.deepEqual(
						await listedKeys(store, options),
						expectedKeys(ODD_KEYS, { prefix, startAfter: startAfter ?? '' }),
						`list ${JSON.stringify(options)}`,
					)
				}
			}
		},
	},
	{
		name: 'pages of any size join to the whole listing, and isTruncated says exactly when more follows',
		run: async store => {
			await putAll(store, ODD_KEYS)
			for (const limit of [1, 2, 7, ODD_KEYS.length - 1, ODD_KEYS.length, ODD_KEYS.length + 1]) {
				assert.deepEqual(await pagedKeys(store, {}, limit), expectedKeys(ODD_KEYS, {}), `limit ${limit}`)
			}
			assert.deepEqual(await pagedKeys(store, { prefix: 'a/b' }, 2), expectedKeys(ODD_KEYS, { prefix: 'a/b' }))
			assert.equal((await store.list({ limit: ODD_KEYS.length })).isTruncated, false)
			assert.equal((await store.list({ limit: ODD_KEYS.length - 1 })).isTruncated, true)
		},
	},
	{
		name: 'a page holds 1000 objects unless a smaller limit is asked for, and limits outside 1 to 1000 are refused',
		run: async store => {
			const keys = Array.from({ length: 1001 }, (_, i) => `page/${String(i).padStart(4, '0')}`)
			await putAll(store, keys)
			const first = await store.list()
			assert.equal(first.objects.length, 1000)
			assert.equal(first.isTruncated, true)
			assert.equal((await store.list({ limit: 1000 })).objects.length, 1000)
			assert.deepEqual(await pagedKeys(store, { prefix: 'page/' }, 1000), keys)
			for (const limit of [0, -1, 1001, 1.5, Number.NaN]) await assert.rejects(store.list({ limit }), RangeError)
		},
	},
	{
		name: 'a listing shows the length of an object and when it was written, and follows every change',
		run: async store => {
			await store.put('info/a', new Uint8Array(123))
			await store.createIfAbsent('info/b', new Uint8Array(0))
			const { objects } = await store.list({ prefix: 'info/' })
			assert.deepEqual(
				objects.map(({ key, bytes }) => ({ key, bytes })),
				[
					{ key: 'info/a', bytes: 123 },
					{ key: 'info/b', bytes: 0 },
				],
			)
			for (const { lastModifiedMs } of objects) assert.ok(Number.isFinite(lastModifiedMs) && lastModifiedMs >= 0)
			await store.put('info/a', new Uint8Array(5))
			await store.delete('info/b')
			await store.put('info/c', new Uint8Array(1))
			const after = (await store.list({ prefix: 'info/' })).objects
			assert.deepEqual(
				after.map(({ key, bytes }) => [key, bytes]),
				[
					['info/a', 5],
					['info/c', 1],
				],
			)
		},
	},
]
