import { rm } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const BODY = new Uint8Array(Buffer.from('the body of an object'))

describe('a listing of files', () => {
	test('reads no directory in which nothing can match', async () => {
		const faulty = new FaultyFileCalls()
		const directory = fresh()
		const store = await openFileStore({ directory, calls: faulty.calls, fsync: 'never' })
		for (const key of ['a/1/x', 'a/2/x', 'a/3/x', 'b/1/x', 'c']) await store.put(key, BODY)
		const readBy = async (options: Parameters<ObjectStore['list']>[0]): Promise<string[]> => {
			faulty.log.length = 0
			await store.list(options)
			return faulty.log
				.filter(line => line.startsWith('readDirectory'))
				.map(line => line.slice('readDirectory '.length + directory.length + 1))
		}
		expect(await readBy({ prefix: 'a/2' })).toEqual(['a/', 'a/2/'])
		expect(await readBy({ prefix: 'a/2/' })).toEqual(['a/2/'])
		expect(await readBy({ prefix: 'nothing/here/' })).toEqual(['nothing/here/'])
		expect(await readBy({ startAfter: 'a/2/x' })).toEqual(['', 'a/', 'a/2/', 'a/3/', 'b/', 'b/1/'])
		expect(await readBy({ startAfter: 'a0' })).toEqual(['', 'b/', 'b/1/'])
		expect(await readBy({ limit: 1 })).toEqual(['', 'a/', 'a/1/', 'a/2/'])
	})

	test('agrees with the memory store on any tree of keys, any prefix, any start and any page', async () => {
		const segment = fc.string({
			unit: fc.constantFrom('a', 'b', '-', '.', '0', '\u{10000}', '\ufffd'),
			minLength: 1,
			maxLength: 3,
		})
		// An object's last segment ends in `!`, a directory's never does: no key is a directory of another.
		const key = fc
			.tuple(fc.array(segment, { maxLength: 3 }), segment)
			.map(([above, last]) => [...above, `${last}!`].join('/'))
		const isFine = (text: string): boolean => text.split('/').every(part => part !== '.' && part !== '..')
		const boundary = fc.oneof(
			key,
			fc.tuple(key, fc.nat(8)).map(([text, cut]) => Array.from(text).slice(0, cut).join('')),
		)
		await fc.assert(
			fc.asyncProperty(
				fc.uniqueArray(key.filter(isFine), { maxLength: 25 }),
				fc.array(fc.tuple(boundary.filter(isFine), boundary, fc.integer({ min: 1, max: 30 })), {
					minLength: 1,
					maxLength: 10,
				}),
				async (keys, queries) => {
					const memory = new MemoryStore()
					const files = await openFileStore({ directory: fresh(), fsync: 'never' })
					for (const store of [memory, files]) {
						for (const name of keys) await store.put(name, BODY)
					}
					for (const [prefix, startAfter, limit] of queries) {
						const pages = await Promise.all([memory, files].map(store => store.list({ prefix, startAfter, limit })))
						const [expected, actual] = pages.map(page => ({
							keys: page.objects.map(object => object.key),
							isTruncated: page.isTruncated,
						}))
						expect(actual).toEqual(expected)
					}
				},
			),
			{ numRuns: 60 },
		)
	})

	test('passes over a file that goes away meanwhile, and fills the page all the same', async () => {
		const directory = fresh()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls, fsync: 'never' })
		for (const key of ['a', 'b', 'c', 'd', 'e']) await store.put(key, BODY)
		faulty.before = async (name, path) => {
			if (name === 'status' && path.endsWith('/b')) await rm(path, { force: true })
		}
		const page = await store.list({ limit: 3 })
		expect(page.objects.map(object => object.key)).toEqual(['a', 'c', 'd'])
		expect(page.isTruncated).toBe(true)
	})
})
