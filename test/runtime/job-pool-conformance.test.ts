// What every `JobPool` must do, with threads or without.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import { type Host, systemHost } from '../../src/host/host.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { INLINE_SORT_MAX_ENTRIES } from '../../src/memtable/sorted-runs.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'
import type { Job, JobPool } from '../../src/runtime/job-pool.ts'
import { MAX_QUEUED_JOBS } from '../../src/runtime/job-queue.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { toSeq } from '../../src/sst/entry.ts'
import { contentsOf, mergeRuns } from '../memtable/memtable-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

const options = { codec: 'lz4', minWriteMs: 1, maxWriteMs: 2 } as const

function memtableOf(count: number): Memtable {
	const memtable = new Memtable({ baseSeq: toSeq(100), pool: new ArenaPool() })
	for (let i = 0; i < count; i++) memtable.put(`key ${(i * 7_919) % 1_009}`, `value ${i}`, 1, 0)
	return memtable
}

const probe = (word: string) => (): Job<'probe'> => ({ input: { word }, transfer: [] })

const pools: [string, (host: Host) => JobPool][] = [
	['the inline pool', createInlinePool],
	['the worker pool', acquireWorkerPool],
]

describe.each(pools)('%s', (_, acquire) => {
	let pool: JobPool
	beforeAll(() => {
		pool = acquire(systemHost)
	})
	afterAll(() => pool.close())

	test('gives the result of the handler', async () => {
		expect(await pool.run('probe', probe('hello'))).toEqual({ word: 'hello' })
	})

	test('encodes the same table from the same memtable, each time it is asked', async () => {
		const memtable = memtableOf(3_000)
		memtable.freeze()
		const first = await pool.run('encode-table', () => memtable.makeEncodeJob(options))
		const second = await pool.run('encode-table', () => memtable.makeEncodeJob(options))
		expect(second.bytes).toEqual(first.bytes)
		expect(first.meta).toMatchObject({ entryCount: 3_000, minSeq: 100, maxSeq: 3_099, codec: 'lz4' })
		expect(first.bytes.byteLength).toBe(first.bytes.buffer.byteLength)
	})

	test('takes the buffers of a job away and brings them back with its result', async () => {
		const memtable = memtableOf(3_000)
		memtable.freeze()
		const job = memtable.makeEncodeJob(options)
		const sizes = job.transfer.map(buffer => buffer.byteLength)
		const { buffers } = await pool.run('encode-table', () => job)
		expect(job.transfer.every(buffer => buffer.byteLength === 0)).toBe(true)
		expect(buffers.map(buffer => buffer.byteLength)).toEqual(sizes)
	})

	test('passes errors on with class, code, details and cause', async () => {
		const empty = { segments: [], baseSeq: 1, entryCount: 0, table: options }
		const misuse = pool.run('encode-table', () => ({ input: empty, transfer: [] }))
		await expect(misuse).rejects.toThrow('broken invariant: a table of no entries')
		const memtable = memtableOf(1)
		memtable.freeze()
		const bad = { ...options, blockBytes: 1 }
		await expect(pool.run('encode-table', () => memtable.makeEncodeJob(bad))).rejects.toBeInstanceOf(RangeError)
		const unknown = Object.assign({ ...options }, { codec: 'brotli' })
		const error: unknown = await pool.run('encode-table', () => memtable.makeEncodeJob(unknown)).catch(e => e)
		expect(error).toBeInstanceOf(IsleError)
		expect(isIsleError(error, 'ISLE_UNSUPPORTED')).toBe(true)
	})

	test('a damaged block fails alone, as ISLE_CORRUPT that names its object', async () => {
		const stored = new ArrayBuffer(64)
		const blocks = [{ buffer: 0, offset: 0, bytes: 64, rawMaxBytes: 1_024, where: 'sst/a' }]
		const output = await pool.run('decode-blocks', () => ({
			input: { buffers: [stored], blocks },
			transfer: [stored],
		}))
		expect(output.blocks).toMatchObject([{ error: { code: 'ISLE_CORRUPT', details: { where: 'sst/a' } } }])
	})

	test('refuses a job that cannot be sent, and goes on', async () => {
		const unsendable = { input: { word: (() => 'x') as unknown as string }, transfer: [] }
		await expect(pool.run('probe', () => unsendable)).rejects.toMatchObject({ name: 'DataCloneError' })
		const detached = new ArrayBuffer(8)
		structuredClone(detached, { transfer: [detached] })
		const gone = { input: { buffers: [detached], blocks: [] }, transfer: [detached] }
		await expect(pool.run('decode-blocks', () => gone)).rejects.toThrow()
		expect(await pool.run('probe', probe('after'))).toEqual({ word: 'after' })
	})

	test('fails a job whose input cannot be made, and goes on', async () => {
		const job = pool.run('probe', () => {
			throw new TypeError('no input')
		})
		await expect(job).rejects.toThrow('no input')
		expect(await pool.run('probe', probe('after'))).toEqual({ word: 'after' })
	})

	test('never makes a job whose signal has aborted, before or while it waits', async () => {
		let made = 0
		const make = (): Job<'probe'> => {
			made++
			return { input: { word: 'late' }, transfer: [] }
		}
		const reason = new Error('enough')
		await expect(pool.run('probe', make, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
		const controller = new AbortController()
		const ahead = Array.from({ length: 40 }, () => pool.run('probe', probe('ahead')))
		const waiting = pool.run('probe', make, { signal: controller.signal })
		controller.abort(reason)
		await expect(waiting).rejects.toBe(reason)
		await Promise.all(ahead)
		expect(await pool.run('probe', probe('after'))).toEqual({ word: 'after' })
		expect(made).toBe(0)
	})

	test('drops the result of a job whose signal aborts while it runs', async () => {
		const reason = new Error('enough')
		const controller = new AbortController()
		const make = (): Job<'probe'> => {
			queueMicrotask(() => controller.abort(reason))
			return { input: { word: 'x' }, transfer: [] }
		}
		const job = pool.run('probe', make, { signal: controller.signal })
		await expect(job).rejects.toBe(reason)
		expect(await pool.run('probe', probe('after'))).toEqual({ word: 'after' })
	})

	test('arms one timer a job on the clock of its host, and leaves none', async () => {
		const clock = new ManualClock()
		const timed = acquire({ ...systemHost, clock })
		await timed.run('probe', probe('warm'))
		const job = timed.run('probe', probe('x'), { deadlineMs: 50 })
		expect([clock.pendingTimers, clock.nextTimerMs]).toEqual([1, 50])
		expect(await job).toEqual({ word: 'x' })
		expect(clock.pendingTimers).toBe(0)
		await timed.close()
	})

	test(`refuses more than ${MAX_QUEUED_JOBS} waiting jobs with ISLE_BACKPRESSURE`, async () => {
		const busy = acquire(systemHost)
		await busy.run('probe', probe('warm'))
		const jobs = Array.from({ length: MAX_QUEUED_JOBS + 70 }, () => busy.run('probe', probe('x')))
		const results = await Promise.allSettled(jobs)
		const refused = results.filter(result => result.status === 'rejected').map(result => result.reason)
		expect(refused.length).toBeGreaterThan(0)
		expect(refused.every(reason => isIsleError(reason, 'ISLE_BACKPRESSURE'))).toBe(true)
		expect(results.length - refused.length).toBeGreaterThanOrEqual(MAX_QUEUED_JOBS)
		await busy.close()
	})

	test('close waits for its own jobs, is idempotent, and refuses later ones with ISLE_CLOSED', async () => {
		const closing = acquire(systemHost)
		const job = closing.run('probe', probe('last'))
		let isAnswered = false
		void job.then(() => {
			isAnswered = true
		})
		await Promise.all([closing.close(), closing.close()])
		expect(isAnswered).toBe(true)
		expect(await job).toEqual({ word: 'last' })
		await expect(closing.run('probe', probe('x'))).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		await closing.close()
	})

	test('sorts as an array of entries does, with the newest version of a key first', async () => {
		for (const count of [INLINE_SORT_MAX_ENTRIES + 1, 3_000]) {
			const memtable = memtableOf(count)
			const before = pool.stats().completed
			const runs = await memtable.sortedRuns(pool)
			expect(pool.stats().completed).toBe(before + 1)
			const entries = runs.flatMap(contentsOf)
			expect(entries).toHaveLength(count)
			expect(entries).toEqual(mergeRuns([entries.toReversed()]))
		}
	})
})
