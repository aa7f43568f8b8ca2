import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/host/clock.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { QuickReads } from '../../src/object-store/quick-reads.ts'
import { FaultyFileCalls } from '../support/faulty-file-calls.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const freshPath = scratchDirectories()

/** Reads that take as long as they are told to, in turns that end when they are told to. */
function rig(): {
	readonly quick: QuickReads
	readonly spend: (ms: number) => void
	/** False when it is refused. */
	readonly read: (ms: number) => boolean
	readonly endTurn: () => Promise<void>
} {
	let nowMs = 0
	let endings: (() => void)[] = []
	const clock: Clock = {
		nowMs: () => nowMs,
		monotonicMs: () => nowMs,
		schedule: () => ({ cancel: () => undefined }),
		yieldToIo: () => new Promise(resolve => endings.push(resolve)),
	}
	const quick = new QuickReads(clock)
	return {
		quick,
		spend: ms => {
			nowMs += ms
		},
		read: ms => {
			const startedMs = quick.begin()
			if (startedMs === undefined) return false
			nowMs += ms
			quick.end(startedMs)
			return true
		},
		endTurn: async () => {
			for (const end of endings) end()
			endings = []
			await Promise.resolve()
			await Promise.resolve()
		},
	}
}

describe('quick reads', () => {
	test('take a millisecond of a turn and leave the rest of it to others', async () => {
		const { quick, read, spend, endTurn } = rig()
		let count = 0
		while (count < 1_000 && read(1 / 32)) count++
		expect(count).toBe(33)
		expect(quick.nextTurn).toBeInstanceOf(Promise)
		expect(read(0.01)).toBe(false)
		await endTurn()
		expect(read(0.01)).toBe(true)
		spend(2)
		expect(read(0.01)).toBe(false)
	})

	test('stop when they turn out to come from a disk, for longer each time, and are forgiven', async () => {
		const { quick, read, spend, endTurn } = rig()
		const slowUntilRefused = async (): Promise<number> => {
			for (let count = 0; count < 100; count++) {
				await endTurn()
				if (!read(5)) return count
			}
			return 100
		}
		expect(await slowUntilRefused()).toBe(4)
		expect(quick.nextTurn).toBeUndefined()
		spend(249)
		expect(await slowUntilRefused()).toBe(0)
		spend(1)
		expect(await slowUntilRefused()).toBe(4)
		spend(499)
		expect(await slowUntilRefused()).toBe(0)
		spend(1)
		for (let i = 0; i < 300; i++) {
			await endTurn()
			expect(read(0.002)).toBe(true)
		}
		expect(await slowUntilRefused()).toBe(4)
		spend(250)
		await endTurn()
		expect(read(0.002)).toBe(true)
	})

	test('go on when the machine takes the processor away now and then', async () => {
		const { read, endTurn } = rig()
		for (let i = 0; i < 5_000; i++) {
			await endTurn()
			expect(read(i % 100 === 0 ? 8 : 0.003)).toBe(true)
		}
	})

	test('of the file store see a deletion, a replacement and a short file as all reads do', async () => {
		const { calls } = new FaultyFileCalls()
		let now = 0
		const counting = {
			...calls,
			readNow: (fd: number, target: Uint8Array, position: number): number => {
				now++
				return calls.readNow(fd, target, position)
			},
			isLocal: () => Promise.resolve(true),
		}
		const store = await openFileStore({ directory: freshPath(), calls: counting })
		await store.put('a', Buffer.from('0123456789'))
		const read = async (offset: number, bytes: number): Promise<string | undefined> => {
			const body = await store.getRange('a', { offset, bytes })
			return body === undefined ? undefined : Buffer.from(body).toString()
		}
		expect(await read(2, 3)).toBe('234')
		const before = now
		expect(await read(5, 5)).toBe('56789')
		expect(now).toBe(before + 1)
		await expect(read(5, 6)).rejects.toThrow('10')
		const stopped = AbortSignal.abort(new Error('enough'))
		await expect(store.getRange('a', { offset: 0, bytes: 1 }, { signal: stopped })).rejects.toThrow('enough')
		await expect(store.getRange('a', { offset: 0, bytes: 1 }, { deadlineMs: 0 })).rejects.toThrow('in time')
		await store.put('a', Buffer.from('abcdefghij'))
		expect(await read(2, 3)).toBe('cde')
		await store.delete('a')
		expect(await read(2, 3)).toBeUndefined()
		await store.close()
		await expect(read(2, 3)).rejects.toThrow('closed')
	})
})
