import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { FileDirectories } from '../../src/object-store/file-directories.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const BODY = new Uint8Array(Buffer.from('the body of an object'))
const RANGE = { offset: 4, bytes: 4 }

interface Gate {
	readonly reached: Promise<void>
	readonly open: () => void
}

/** Holds the next call of this name on a path that matches, until opened. */
function hold(faulty: FaultyFileCalls, call: string, path: RegExp): Gate {
	let reach = (): void => {}
	let open = (): void => {}
	const reached = new Promise<void>(resolve => {
		reach = resolve
	})
	const opened = new Promise<void>(resolve => {
		open = resolve
	})
	let isUsed = false
	faulty.before = async (name, of) => {
		if (isUsed || name !== call || !path.test(of)) return
		isUsed = true
		reach()
		await opened
	}
	return { reached, open }
}

describe('durability', () => {
	test('an object is on the disk before it has its name, and the name before the call succeeds', async () => {
		const directory = fresh()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls })
		await store.createIfAbsent('log/7/0', BODY)
		await store.put('log/7/1', BODY)
		const short = faulty.log.map(line =>
			line
				.replace(directory, 'ROOT')
				.replace(/\/t-[^ ]*/, '/TEMP')
				.replace(/ \/.*$/, ' PARENT'),
		)
		const steps = (from: string): string[] =>
			short.slice(short.indexOf(from)).filter(line => /^(writev|sync|link|rename|unlink)/.test(line))
		expect(steps('openNew ROOT/.isledb-tmp/TEMP')).toEqual([
			'writev ROOT/.isledb-tmp/TEMP',
			'sync ROOT/.isledb-tmp/TEMP',
			'link ROOT/log/7/0',
			'sync ROOT/log/7',
			'unlink ROOT/.isledb-tmp/TEMP',
			'writev ROOT/.isledb-tmp/TEMP',
			'sync ROOT/.isledb-tmp/TEMP',
			'rename ROOT/log/7/1',
			'sync ROOT/log/7',
		])
		const made = short
			.slice(0, short.indexOf('openNew ROOT/.isledb-tmp/TEMP'))
			.filter(line => /^(make|sync)/.test(line))
		expect(made).toEqual([
			'makeDirectory ROOT',
			'sync PARENT',
			'makeDirectory ROOT/.isledb-tmp',
			'sync ROOT',
			'makeDirectory ROOT/log',
			'sync ROOT',
			'makeDirectory ROOT/log/7',
			'sync ROOT/log',
		])
	})

	test('directories that another process has made are fsynced into their parents all the same, once', async () => {
		const directory = fresh()
		await mkdir(join(directory, 'log/7'), { recursive: true })
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls })
		await store.createIfAbsent('log/7/0', BODY)
		await store.createIfAbsent('log/7/1', BODY)
		expect(faulty.count('sync', /\/log$/)).toBe(1)
		expect(faulty.count('sync', /\/log\/7$/)).toBe(2)
	})

	test('a deletion is on the disk before it succeeds, with one fsync for each directory of a batch', async () => {
		const directory = fresh()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls })
		for (const key of ['a/1', 'a/2', 'b/1']) await store.put(key, BODY)
		faulty.log.length = 0
		await store.deleteMany(['a/1', 'b/1', 'a/2', 'a/3'])
		expect(
			faulty.log
				.filter(line => line.startsWith('sync'))
				.map(line => line.slice(-2))
				.toSorted(),
		).toEqual(['/a', '/b'])
	})

	test('fsync: never makes no fsync', async () => {
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory: fresh(), calls: faulty.calls, fsync: 'never' })
		await store.createIfAbsent('a/b', BODY)
		await store.put('a/c', BODY)
		await store.deleteMany(['a/b', 'a/c'])
		expect(faulty.count('sync')).toBe(0)
	})

	test('a read waits until the name that it found is on the disk; another process sees it at once', async () => {
		const directory = fresh()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls })
		await store.put('log/0', BODY)
		const gate = hold(faulty, 'sync', /\/log$/)
		const creating = store.createIfAbsent('log/1', BODY)
		await gate.reached
		let isRead = false
		const reading = store.get('log/1').finally(() => {
			isRead = true
		})
		expect(await (await openFileStore({ directory })).get('log/1')).toEqual(BODY)
		expect(await store.get('log/0')).toEqual(BODY)
		expect(isRead).toBe(false)
		gate.open()
		expect(await reading).toEqual(BODY)
		expect(await creating).toEqual({ kind: 'created' })
	})
})

describe('group fsync of a directory', () => {
	test('shares the next fsync among all who ask while one runs, and never the running one', async () => {
		const root = fresh()
		await mkdir(root)
		const faulty = new FaultyFileCalls()
		const directories = new FileDirectories(root, faulty.calls, 'always', true)
		const gate = hold(faulty, 'sync', /./)
		const first = directories.sync(root)
		await gate.reached
		const waiting = [directories.sync(root), directories.sync(root), directories.sync(root)]
		expect(faulty.count('sync')).toBe(1)
		gate.open()
		await first
		await Promise.all(waiting)
		expect(faulty.count('sync')).toBe(2)
		await directories.sync(root)
		expect(faulty.count('sync')).toBe(3)
	})

	test('fails all who shared the fsync that failed, and no one else', async () => {
		const root = fresh()
		await mkdir(root)
		const faulty = new FaultyFileCalls()
		const directories = new FileDirectories(root, faulty.calls, 'always', true)
		const gate = hold(faulty, 'sync', /./)
		const first = directories.sync(root)
		await gate.reached
		const waiting = [directories.sync(root), directories.sync(root)]
		const outcomes = Promise.allSettled(waiting)
		gate.open()
		await first
		faulty.fail('sync', 'EIO')
		expect((await outcomes).map(outcome => outcome.status)).toEqual(['rejected', 'rejected'])
		await directories.sync(root)
	})

	test('needs far fewer fsyncs of the directory than there are objects', async () => {
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory: fresh(), calls: faulty.calls })
		await Promise.all(Array.from({ length: 100 }, (_, i) => store.createIfAbsent(`log/${i}`, BODY)))
		expect(faulty.count('link')).toBe(100)
		expect(faulty.count('sync', /\/log$/)).toBeLessThan(100)
	})
})

describe('an abort', () => {
	test('before the name is given answers unknown, and the object never appears', async () => {
		const directory = fresh()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory, calls: faulty.calls })
		const gate = hold(faulty, 'sync', /isledb-tmp\//)
		const controller = new AbortController()
		const body = BODY.slice()
		const creating = store.createIfAbsent('log/1', body, { signal: controller.signal })
		await gate.reached
		controller.abort('stop')
		expect(await creating).toEqual({ kind: 'unknown', cause: 'stop' })
		body.fill(0)
		gate.open()
		await store.close()
		expect(faulty.count('link')).toBe(0)
		expect(await readdir(join(directory, '.isledb-tmp'))).toEqual([])
		expect(await readdir(join(directory, 'log'))).toEqual([])
	})

	test('after the name was given answers unknown, and a read tells what became of it', async () => {
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory: fresh(), calls: faulty.calls })
		const gate = hold(faulty, 'sync', /\/log$/)
		const controller = new AbortController()
		const creating = store.createIfAbsent('log/1', BODY, { signal: controller.signal })
		await gate.reached
		controller.abort('stop')
		expect(await creating).toEqual({ kind: 'unknown', cause: 'stop' })
		const reading = store.get('log/1')
		gate.open()
		expect(await reading).toEqual(BODY)
	})

	test('close waits for the work that an abort or deadline has left behind', async () => {
		const clock = new ManualClock()
		const faulty = new FaultyFileCalls()
		const store = await openFileStore({ directory: fresh(), calls: faulty.calls, host: { ...systemHost, clock } })
		const gate = hold(faulty, 'writev', /./)
		const creating = store.createIfAbsent('log/1', BODY, { deadlineMs: 1000 })
		await gate.reached
		await clock.advance(1000)
		expect(await creating).toMatchObject({ kind: 'unknown', cause: { code: 'ISLE_UNAVAILABLE' } })
		let isClosed = false
		const closing = store.close().then(() => {
			isClosed = true
		})
		expect(isClosed).toBe(false)
		gate.open()
		await closing
		expect(faulty.openDescriptors).toBe(0)
	})
})

for (const isLocal of [true, false]) {
	describe(`ranged reads through kept handles, ${isLocal ? 'checked on this thread' : 'checked beside the read'}`, () => {
		async function fixture(): Promise<{
			directory: string
			faulty: FaultyFileCalls
			clock: ManualClock
			store: ObjectStore
		}> {
			const directory = fresh()
			const faulty = new FaultyFileCalls()
			faulty.isLocal = isLocal
			const clock = new ManualClock()
			const store = await openFileStore({
				directory,
				calls: faulty.calls,
				host: { ...systemHost, clock },
				fsync: 'never',
			})
			await store.put('a/b', BODY)
			faulty.log.length = 0
			return { directory, faulty, clock, store }
		}
		const part = BODY.slice(RANGE.offset, RANGE.offset + RANGE.bytes)

		test('open a file once', async () => {
			const { faulty, store } = await fixture()
			for (let i = 0; i < 5; i++) expect(await store.getRange('a/b', RANGE)).toEqual(part)
			expect(faulty.count('openRead')).toBe(1)
			await store.close()
			expect(faulty.openDescriptors).toBe(0)
		})

		test('see a deletion and a replacement by another process', async () => {
			const { directory, faulty, store } = await fixture()
			expect(await store.getRange('a/b', RANGE)).toEqual(part)
			await rm(join(directory, 'a/b'))
			expect(await store.getRange('a/b', RANGE)).toBeUndefined()
			await writeFile(join(directory, 'other'), 'ANOTHER BODY, LONGER')
			await rename(join(directory, 'other'), join(directory, 'a/b'))
			expect(await store.getRange('a/b', RANGE)).toEqual(new Uint8Array(Buffer.from('HER ')))
			await writeFile(join(directory, 'other'), 'and one more')
			await rename(join(directory, 'other'), join(directory, 'a/b'))
			expect(await store.getRange('a/b', RANGE)).toEqual(new Uint8Array(Buffer.from('one ')))
			expect(faulty.openDescriptors).toBe(1)
			await store.delete('a/b')
			expect(faulty.openDescriptors).toBe(0)
		})

		test('keep a bounded number of files open, and let them go when they are not read any more', async () => {
			const { faulty, clock, store } = await fixture()
			for (let i = 0; i < 200; i++) await store.put(`many/${i}`, BODY)
			for (let i = 0; i < 200; i++) expect(await store.getRange(`many/${i}`, RANGE)).toEqual(part)
			const opened = faulty.count('openRead')
			expect(await store.getRange('many/199', RANGE)).toEqual(part)
			expect(faulty.count('openRead')).toBe(opened)
			expect(faulty.openDescriptors).toBe(64)
			expect(clock.pendingForegroundTimers).toBe(0)
			await clock.advance(10_000)
			expect(faulty.openDescriptors).toBe(0)
			expect(clock.pendingTimers).toBe(0)
			expect(await store.getRange('many/5', RANGE)).toEqual(part)
		})
	})
}
