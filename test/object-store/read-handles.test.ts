import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/host/clock.ts'
import { systemHost } from '../../src/host/host.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const freshPath = scratchDirectories()

describe('readNow of the file store', () => {
	/** A store whose object `a/b` is open, and what the object seems to hold: what `readNow` says, or `refused`. */
	async function opened(): Promise<{
		readonly directory: string
		/** Moves the clock. */
		readonly spend: (ms: number) => void
		readonly store: ObjectStore
		readonly read: (offset?: number, bytes?: number) => string
	}> {
		const directory = freshPath()
		let nowMs = 0
		const clock: Clock = {
			nowMs: () => nowMs,
			monotonicMs: () => nowMs,
			schedule: () => ({ cancel: () => undefined }),
			yieldToIo: () => systemHost.clock.yieldToIo(),
		}
		const faulty = new FaultyFileCalls()
		faulty.isLocal = true
		const store = await openFileStore({ directory, calls: faulty.calls, host: { ...systemHost, clock } })
		await store.put('a/b', Buffer.from('0123456789'))
		await store.getRange('a/b', { offset: 0, bytes: 1 })
		const read = (offset = 2, bytes = 3): string => {
			const target = new Uint8Array(bytes)
			return store.readNow?.('a/b', offset, target) === true ? Buffer.from(target).toString() : 'refused'
		}
		expect(read()).toBe('234')
		const spend = (ms: number): void => {
			nowMs += ms
		}
		return { directory, spend, store, read }
	}

	test('gives what getRange gives, and refuses what is not there', async () => {
		const { store, read } = await opened()
		expect(read(0, 10)).toBe('0123456789')
		expect(read(5, 6)).toBe('refused')
		expect(store.readNow?.('a', 0, new Uint8Array(1))).toBe(false)
		expect(store.readNow?.('../a', 0, new Uint8Array(1))).toBe(false)
		await store.close()
		expect(read()).toBe('refused')
	})

	test('sees a deletion and a replacement, by this process and by others', async () => {
		const { directory, store, read } = await opened()
		const path = join(directory, 'a/b')
		await writeFile(join(directory, 'other'), 'abcdefghij')
		await rename(join(directory, 'other'), path)
		expect(read()).toBe('refused')
		await store.getRange('a/b', { offset: 0, bytes: 1 })
		expect(read()).toBe('cde')
		await rm(path)
		expect(read()).toBe('refused')
		await store.put('a/b', Buffer.from('klmnopqrst'))
		await store.getRange('a/b', { offset: 0, bytes: 1 })
		expect(read()).toBe('mno')
		await store.delete('a/b')
		expect(read()).toBe('refused')
	})

	test('sees that its file has another name, or lost this one of two', async () => {
		const { directory, store, read } = await opened()
		const path = join(directory, 'a/b')
		await link(path, join(directory, 'copy'))
		expect(read()).toBe('234')
		await rm(path)
		expect(read()).toBe('refused')
		await rename(join(directory, 'copy'), path)
		await store.getRange('a/b', { offset: 0, bytes: 1 })
		expect(read()).toBe('234')
		await rename(path, join(directory, 'a/c'))
		expect(read()).toBe('refused')
	})

	test('sees within ten milliseconds that the directory has another name', async () => {
		const { directory, spend, store, read } = await opened()
		await rename(join(directory, 'a'), join(directory, 'c'))
		spend(10)
		await systemHost.clock.yieldToIo()
		expect(read()).toBe('refused')
		await mkdir(join(directory, 'a'))
		expect(await store.getRange('a/b', { offset: 0, bytes: 1 })).toBeUndefined()
	})

	test('asks to come again when this turn has had its share', async () => {
		const { spend, store, read } = await opened()
		expect(read()).toBe('234')
		spend(2)
		const answer = store.readNow?.('a/b', 0, new Uint8Array(1))
		expect(answer).toBeInstanceOf(Promise)
		await answer
		expect(read()).toBe('234')
	})
})
