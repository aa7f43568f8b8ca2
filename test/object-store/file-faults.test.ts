import { mkdir, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/host/clock.ts'
import { systemHost } from '../../src/host/host.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { type FaultyFileCalls as Faulty, FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const BODY = Buffer.from('the body of an object')
const TEMP = /\.isledb-tmp/

interface Fixture {
	readonly directory: string
	readonly faulty: Faulty
	readonly store: ObjectStore
}

/** A store that has been written to, so that its directories are there and durable. */
async function fixture(clock: Clock = systemHost.clock): Promise<Fixture> {
	const directory = fresh()
	const faulty = new FaultyFileCalls()
	const host = { ...systemHost, clock }
	const store = await openFileStore({ directory, calls: faulty.calls, host })
	await store.createIfAbsent('log/0', BODY)
	faulty.log.length = 0
	return { directory, faulty, store }
}

async function leftTemps({ directory }: Fixture): Promise<string[]> {
	return readdir(join(directory, '.isledb-tmp'))
}

async function* pieces(): AsyncGenerator<Uint8Array> {
	yield BODY
	yield BODY
}

const writes: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
	put: store => store.put('log/1', BODY),
	createIfAbsent: store => store.createIfAbsent('log/1', BODY),
	createFromStream: store => store.createFromStream('log/1', pieces()),
}

/** Pauses shorter than a second end at once, deadlines never come. */
const impatientClock: Clock = {
	...systemHost.clock,
	schedule: (delayMs, fire) => {
		const turn = delayMs < 1000 ? setImmediate(fire) : undefined
		return { cancel: () => clearImmediate(turn) }
	},
}

describe('a write that fails before its name was given', () => {
	for (const [call, errno, code] of [
		['openNew', 'EROFS', 'ISLE_DENIED'],
		['openNew', 'EACCES', 'ISLE_DENIED'],
		['openNew', 'EDQUOT', 'ISLE_FULL'],
		['writev', 'ENOSPC', 'ISLE_FULL'],
		['writev', 'EDQUOT', 'ISLE_FULL'],
		['writev', 'EIO', 'ISLE_UNAVAILABLE'],
		['sync', 'EIO', 'ISLE_UNAVAILABLE'],
		['sync', 'ENOSPC', 'ISLE_FULL'],
	] as const) {
		for (const [operation, write] of Object.entries(writes)) {
			test(`${operation}: ${errno} of ${call} is ${code}, names the key, and leaves nothing behind`, async () => {
				const fx = await fixture()
				fx.faulty.fail(call, errno, { path: TEMP })
				await expect(write(fx.store)).rejects.toMatchObject({
					code,
					message: expect.stringContaining('key=`log/1`'),
					details: { errno },
				})
				expect(await fx.store.get('log/1')).toBeUndefined()
				expect(await leftTemps(fx)).toEqual([])
				await write(fx.store)
				expect((await fx.store.get('log/1'))?.byteLength).toBeGreaterThan(0)
				await fx.store.close()
			})
		}
	}

	for (const [errno, code] of [
		['ENOSPC', 'ISLE_FULL'],
		['EACCES', 'ISLE_DENIED'],
		['EPERM', 'ISLE_DENIED'],
		['EXDEV', 'ISLE_DENIED'],
		['EOPNOTSUPP', 'ISLE_UNSUPPORTED'],
	] as const) {
		test(`createIfAbsent: ${errno} of link is ${code}, for the name was not given`, async () => {
			const fx = await fixture()
			fx.faulty.fail('link', errno)
			await expect(fx.store.createIfAbsent('log/1', BODY)).rejects.toMatchObject({ code })
			expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
			expect(await leftTemps(fx)).toEqual([])
		})
	}

	test('is ISLE_DENIED when a directory cannot be made, or a file stands where it has to be', async () => {
		const fx = await fixture()
		fx.faulty.fail('makeDirectory', 'EROFS')
		await expect(fx.store.put('other/1', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(fx.store.put('log/0/deeper', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(fx.store.createIfAbsent('log', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(fx.store.put('log', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		expect(await fx.store.get('log/0/deeper')).toBeUndefined()
		expect(await fx.store.get('log')).toBeUndefined()
		await fx.store.delete('log')
		expect(await leftTemps(fx)).toEqual([])
	})
})

describe('a write whose name may have been given', () => {
	test('answers unknown when link fails without saying whether', async () => {
		for (const effect of ['none', 'done'] as const) {
			const fx = await fixture()
			fx.faulty.fail('link', 'EIO', { effect })
			expect(await fx.store.createIfAbsent('log/1', BODY)).toMatchObject({
				kind: 'unknown',
				cause: { code: 'ISLE_UNAVAILABLE' },
			})
		}
	})

	test('is created when link says EEXIST of its own success, as a network file system may', async () => {
		const fx = await fixture()
		fx.faulty.fail('link', 'EEXIST', { effect: 'done' })
		expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
		expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'exists' })
	})

	test('answers unknown when the directory cannot be fsynced, and this store does not hand the object out', async () => {
		const fx = await fixture()
		fx.faulty.fail('sync', 'EIO', { path: /log$/ })
		expect(await fx.store.createIfAbsent('log/1', BODY)).toMatchObject({ kind: 'unknown' })
		const doubtful = { code: 'ISLE_UNAVAILABLE', message: expect.stringContaining('key=`log/1`') }
		await expect(fx.store.get('log/1')).rejects.toMatchObject(doubtful)
		await expect(fx.store.getRange('log/1', { offset: 0, bytes: 1 })).rejects.toMatchObject(doubtful)
		await expect(fx.store.getStream('log/1')).rejects.toMatchObject(doubtful)
		// The next fsync succeeds, and says nothing about the one that failed.
		expect(await fx.store.createIfAbsent('log/2', BODY)).toEqual({ kind: 'created' })
		await expect(fx.store.get('log/1')).rejects.toMatchObject(doubtful)
		expect(await fx.store.get('log/0')).toBeDefined()
		const opened = await openFileStore({ directory: fx.directory })
		expect(await opened.get('log/1')).toEqual(new Uint8Array(BODY))
		await fx.store.delete('log/1')
		expect(await fx.store.get('log/1')).toBeUndefined()
	})

	test('put rejects then, hands nothing out, and is well again after one that succeeds', async () => {
		const fx = await fixture()
		fx.faulty.fail('sync', 'EIO', { path: /log$/ })
		await expect(fx.store.put('log/1', BODY)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(fx.store.get('log/1')).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await fx.store.put('log/1', Buffer.from('again'))
		expect(await fx.store.get('log/1')).toEqual(new Uint8Array(Buffer.from('again')))
	})

	test('a file system without fsync of directories is taken at its word', async () => {
		const fx = await fixture()
		fx.faulty.fail('sync', 'EINVAL', { path: /log$/ })
		expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
	})
})

describe('descriptors that run out', () => {
	test('are waited for', async () => {
		const fx = await fixture(impatientClock)
		fx.faulty.fail('openRead', 'EMFILE', { path: /log\/0/, times: 7 }).fail('openNew', 'ENFILE', { times: 7 })
		expect(await fx.store.get('log/0')).toEqual(new Uint8Array(BODY))
		expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
	})

	test('and are ISLE_UNAVAILABLE in the end', async () => {
		const fx = await fixture(impatientClock)
		fx.faulty.fail('openRead', 'EMFILE', { times: 8 })
		await expect(fx.store.get('log/0')).rejects.toMatchObject({
			code: 'ISLE_UNAVAILABLE',
			message: expect.stringContaining('too many open files in this process'),
		})
	})
})

describe('what vanishes or changes under the store', () => {
	test('a whole directory that is gone is ISLE_NOT_FOUND for every call, and is not made again', async () => {
		const fx = await fixture()
		await rm(fx.directory, { recursive: true })
		const gone = { code: 'ISLE_NOT_FOUND', message: expect.stringContaining(fx.directory) }
		await expect(fx.store.get('log/0')).rejects.toMatchObject(gone)
		await expect(fx.store.getRange('log/0', { offset: 0, bytes: 1 })).rejects.toMatchObject(gone)
		await expect(fx.store.list()).rejects.toMatchObject(gone)
		await expect(fx.store.put('log/1', BODY)).rejects.toMatchObject(gone)
		await expect(fx.store.createIfAbsent('log/1', BODY)).rejects.toMatchObject(gone)
		await expect(readdir(fx.directory)).rejects.toMatchObject({ code: 'ENOENT' })
	})

	test('a directory that was never there holds nothing, and is made by the first write with all above it', async () => {
		const directory = join(fresh(), 'a', 'b')
		const store = await openFileStore({ directory })
		expect(await store.get('x')).toBeUndefined()
		expect(await store.list()).toEqual({ objects: [], isTruncated: false })
		await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' })
		await store.put('x', BODY)
		expect(await store.get('x')).toEqual(new Uint8Array(BODY))
	})

	test('directories within it that are gone are made again', async () => {
		const fx = await fixture()
		await rm(join(fx.directory, 'log'), { recursive: true })
		expect(await fx.store.createIfAbsent('log/1', BODY)).toEqual({ kind: 'created' })
		await rm(join(fx.directory, 'log'), { recursive: true })
		await fx.store.put('log/2', BODY)
		await rm(join(fx.directory, '.isledb-tmp'), { recursive: true })
		expect(await fx.store.createIfAbsent('log/3', BODY)).toEqual({ kind: 'created' })
		expect((await fx.store.list()).objects.map(object => object.key)).toEqual(['log/2', 'log/3'])
	})

	test('a temporary file that was swept under its writer creates nothing, and the writer is told', async () => {
		const fx = await fixture()
		fx.faulty.before = async name => {
			if (name === 'link') await rm(join(fx.directory, '.isledb-tmp'), { recursive: true })
		}
		await expect(fx.store.createIfAbsent('log/1', BODY)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		fx.faulty.heal()
		expect(await fx.store.get('log/1')).toBeUndefined()
	})

	test('a file that was cut short is ISLE_CORRUPT, in a stream that is being read too', async () => {
		const fx = await fixture()
		await fx.store.put('log/large', new Uint8Array(3 * 1024 * 1024))
		const stream = await fx.store.getStream('log/large')
		const iterator = stream?.[Symbol.asyncIterator]()
		await iterator?.next()
		expect(await fx.store.getRange('log/large', { offset: 1000, bytes: 50 })).toHaveLength(50)
		await truncate(join(fx.directory, 'log/large'), 1010)
		await expect(iterator?.next()).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await expect(fx.store.getRange('log/large', { offset: 1000, bytes: 50 })).rejects.toMatchObject({
			code: 'ISLE_CORRUPT',
			message: expect.stringContaining('log/large'),
		})
	})

	test('a read that the disk refuses is ISLE_UNAVAILABLE, and closes what it had opened', async () => {
		const fx = await fixture()
		fx.faulty.fail('read', 'EIO', { times: 2 }).fail('statusOf', 'EIO')
		await expect(fx.store.get('log/0')).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(fx.store.get('log/0')).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(fx.store.getRange('log/0', { offset: 0, bytes: 1 })).rejects.toMatchObject({
			code: 'ISLE_UNAVAILABLE',
		})
		expect(await fx.store.get('log/0')).toBeDefined()
		await fx.store.close()
		expect(fx.faulty.openDescriptors).toBe(0)
	})
})

describe('opening', () => {
	test('is ISLE_DENIED where a file stands, ISLE_NOT_FOUND where something must be and is not', async () => {
		const path = fresh()
		await expect(openFileStore({ directory: path, mustExist: true })).rejects.toMatchObject({ code: 'ISLE_NOT_FOUND' })
		await writeFile(path, 'a file')
		await expect(openFileStore({ directory: path })).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(openFileStore({ directory: join(path, 'below') })).rejects.toMatchObject({ code: 'ISLE_DENIED' })
	})

	test('takes a directory that is there, through a symbolic link too, and follows none beneath it', async () => {
		const [real, alias, outside] = [fresh(), fresh(), fresh()]
		await mkdir(real)
		await mkdir(outside)
		await writeFile(join(outside, 'secret'), 'secret')
		await symlink(real, alias)
		const store = await openFileStore({ directory: alias, mustExist: true })
		await store.put('a/b', BODY)
		expect(await readdir(join(real, 'a'))).toEqual(['b'])
		await symlink(join(outside, 'secret'), join(real, 'a', 'link'))
		await symlink(outside, join(real, 'linked'))
		await expect(store.get('a/link')).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		await expect(store.put('linked/x', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		expect(await store.createIfAbsent('a/c', BODY)).toEqual({ kind: 'created' })
		await expect(store.createIfAbsent('a/link', BODY)).rejects.toMatchObject({ code: 'ISLE_DENIED' })
		expect((await store.list()).objects.map(object => object.key)).toEqual(['a/b', 'a/c'])
		expect(await readdir(outside)).toEqual(['secret'])
	})

	test('refuses what is no path and no mode with TypeError', async () => {
		await expect(openFileStore({ directory: '' })).rejects.toThrow(TypeError)
		await expect(openFileStore({ directory: 'a\0b' })).rejects.toThrow(TypeError)
		// @ts-expect-error passes a mode that is none
		await expect(openFileStore({ directory: 'a', fsync: 'maybe' })).rejects.toThrow(TypeError)
	})
})
