import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { isObjectStore, openStore } from '../../src/object-store/open-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const BODY = new Uint8Array([1, 2, 3])

describe('openStore', () => {
	test('opens memory: afresh and memory:name shared', async () => {
		await (await openStore('memory:')).put('a', BODY)
		expect(await (await openStore('memory:')).get('a')).toBeUndefined()
		await (await openStore('memory:open%20store')).put('a', BODY)
		expect(await (await openStore('memory:open store')).get('a')).toEqual(BODY)
	})

	test('opens directories by absolute and relative file URLs, percent-encoded where need be', async () => {
		const base = fresh()
		await mkdir(base)
		const urls: Readonly<Record<string, string | URL>> = {
			absolute: `file://${base}/absolute`,
			'one slash': `file:${base}/one%20slash`,
			'URL object ü': pathToFileURL(join(base, 'URL object ü')),
			relative: `file:${relative(process.cwd(), base)}/relative`,
			'dot relative %': `file:./${relative(process.cwd(), base)}/dot relative %25`,
		}
		for (const [name, url] of Object.entries(urls)) {
			const store = await openStore(url)
			await store.put('a/b', BODY)
			expect(new Uint8Array(await readFile(join(base, name, 'a', 'b')))).toEqual(BODY)
			expect(await (await openStore(store.url)).get('a/b'), 'its own URL opens it again').toEqual(BODY)
			await store.close()
		}
	})

	test('keeps everything beneath the prefix, and closes what it opened', async () => {
		const directory = fresh()
		const store = await openStore(`file:${directory}`, { prefix: 'team/db1' })
		await store.put('a', BODY)
		expect(new Uint8Array(await readFile(join(directory, 'team', 'db1', 'a')))).toEqual(BODY)
		expect(store.url).toBe(`${pathToFileURL(directory).href}/team/db1`)
		await store.close()
		await expect(store.get('a')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})

	test('asks for a directory that is there when it must be', async () => {
		await expect(openStore(`file:${fresh()}`, { mustExist: true })).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
	})

	test('takes a store where a URL is taken, under the prefix, and leaves it open', async () => {
		const own = new MemoryStore()
		const whole = await openStore(own)
		const part = await openStore(own, { prefix: 'db1' })
		await whole.put('a', BODY)
		await part.put('b', BODY)
		expect((await own.list()).objects.map(object => object.key)).toEqual(['a', 'db1/b'])
		await whole.close()
		await part.close()
		expect(await own.get('a')).toEqual(BODY)
	})

	test('answers ISLE_UNSUPPORTED for an unknown scheme, naming those that are known', async () => {
		for (const url of ['ftp://host/x', 'constructor:x', 'toString:x']) {
			await expect(openStore(url)).rejects.toMatchObject({
				code: 'ISLE_UNSUPPORTED',
				message: expect.stringContaining('memory: file: s3: gs: azblob:'),
			})
		}
	})

	test('refuses what is neither a URL nor a store with TypeError, and bad prefixes with RangeError', async () => {
		for (const wrong of [
			undefined,
			null,
			5,
			{},
			{ get() {} },
			[],
			'./data',
			'',
			'file:',
			'file:a%zz',
			'file:a?b',
			'file:a%2Fb',
		]) {
			// @ts-expect-error passes what JavaScript callers may pass
			await expect(openStore(wrong), JSON.stringify(wrong)).rejects.toThrow(TypeError)
		}
		for (const prefix of ['..', '/', 'a//b', 'a/../..']) {
			await expect(openStore('memory:', { prefix }), prefix).rejects.toThrow(RangeError)
		}
		// @ts-expect-error passes a prefix that is no string
		await expect(openStore('memory:', { prefix: 5 })).rejects.toThrow(TypeError)
	})

	test('makes nothing until something is written', async () => {
		const directory = fresh()
		const store = await openStore(`file:${directory}`)
		await store.list()
		await store.close()
		await expect(rm(directory)).rejects.toMatchObject({ code: 'ENOENT' })
	})
})

describe('isObjectStore', () => {
	test('asks for every method of the contract', () => {
		expect(isObjectStore(new MemoryStore())).toBe(true)
		const { url } = new MemoryStore()
		expect(isObjectStore({ url, get() {}, put() {} })).toBe(false)
		expect(isObjectStore('memory:')).toBe(false)
	})
})
