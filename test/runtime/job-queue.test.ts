import { expect, test } from 'vitest'
import { toWire } from '../../src/errors.ts'
import type { Job } from '../../src/runtime/job-pool.ts'
import { DEFAULT_DEADLINE_MS, type JobExecutor, JobQueue, WorkerDeath } from '../../src/runtime/job-queue.ts'
import type { JobEnvelope, JobName, JobOutputs, JobRequest } from '../../workers/jobs.ts'
import { ManualClock } from '../support/manual-clock.ts'

type Envelope = JobEnvelope<JobOutputs[JobName]>

/** Runs nothing: the test answers each request. */
class HandExecutor implements JobExecutor {
	readonly kind = 'threads'
	readonly width = 1
	readonly threads = 1
	readonly requests: { readonly request: JobRequest; answer(envelope: Envelope): void; die(): void }[] = []
	restarts = 0

	async prepare(): Promise<void> {}

	execute(request: JobRequest): Promise<Envelope> {
		return new Promise((resolve, reject) => {
			const die = (): void => reject(new WorkerDeath('a worker thread died', { cause: new Error('by hand') }))
			this.requests.push({ request, answer: resolve, die })
		})
	}

	restart(): void {
		this.restarts++
		for (const request of this.requests) request.die()
	}

	async close(): Promise<void> {}
}

const probe = (word: string) => (): Job<'probe'> => ({ input: { word }, transfer: [] })
const settled = (clock: ManualClock): Promise<void> => clock.advance(0)
const wordOf = (executor: HandExecutor, i: number): unknown => executor.requests[i]?.request.input

function newQueue(): { queue: JobQueue; executor: HandExecutor; clock: ManualClock } {
	const executor = new HandExecutor()
	return { queue: new JobQueue(executor), executor, clock: new ManualClock() }
}

test('a job that waits past its deadline is dropped unmade, and the one that runs goes on', async () => {
	const { queue, executor, clock } = newQueue()
	let made = 0
	const running = queue.run('probe', probe('running'), clock)
	const make = (): Job<'probe'> => {
		made++
		return probe('late')()
	}
	const late = expect(queue.run('probe', make, clock, { deadlineMs: 50 })).rejects.toMatchObject({
		code: 'ISLE_UNAVAILABLE',
	})
	await clock.advance(49)
	expect(queue.queued).toBe(1)
	await clock.advance(1)
	await late
	expect([queue.queued, executor.restarts, made]).toEqual([0, 0, 0])
	executor.requests[0]?.answer({ ok: { word: 'running' } })
	expect(await running).toEqual({ word: 'running' })
	expect(clock.pendingTimers).toBe(0)
})

test('a job that runs past its deadline, two minutes by default, has the executor restarted', async () => {
	const { queue, executor, clock } = newQueue()
	const hung = expect(queue.run('probe', probe('hung'), clock)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	const behind = queue.run('probe', probe('behind'), clock, { deadlineMs: 1e9 })
	await clock.advance(DEFAULT_DEADLINE_MS - 1)
	expect(executor.restarts).toBe(0)
	await clock.advance(1)
	await hung
	expect(executor.restarts).toBe(1)
	expect([executor.requests.length, wordOf(executor, 1)]).toEqual([2, { word: 'behind' }])
	executor.requests[1]?.answer({ ok: { word: 'behind' } })
	expect(await behind).toEqual({ word: 'behind' })
})

test('a job whose worker died goes before those that wait, once', async () => {
	const { queue, executor, clock } = newQueue()
	const first = expect(queue.run('probe', probe('first'), clock)).rejects.toMatchObject({
		code: 'ISLE_UNAVAILABLE',
		cause: { message: 'by hand' },
	})
	const second = queue.run('probe', probe('second'), clock)
	await settled(clock)
	executor.requests[0]?.die()
	await settled(clock)
	executor.requests[1]?.die()
	await first
	await settled(clock)
	executor.requests[2]?.answer({ ok: { word: 'second' } })
	await second
	expect(executor.requests.map(({ request }) => request.input)).toEqual([
		{ word: 'first' },
		{ word: 'first' },
		{ word: 'second' },
	])
	expect(queue.deaths).toBe(2)
})

test('an error of the handler is no death: the job is not tried again', async () => {
	const { queue, executor, clock } = newQueue()
	const job = expect(queue.run('probe', probe('x'), clock)).rejects.toBeInstanceOf(RangeError)
	await settled(clock)
	executor.requests[0]?.answer({ error: toWire(new RangeError('no')) })
	await job
	expect([executor.requests.length, queue.deaths, queue.completed]).toEqual([1, 0, 1])
})

test('a job that was aborted while it ran is not made again when its worker dies', async () => {
	const { queue, executor, clock } = newQueue()
	const controller = new AbortController()
	const reason = new Error('enough')
	const job = expect(queue.run('probe', probe('x'), clock, { signal: controller.signal })).rejects.toBe(reason)
	await settled(clock)
	controller.abort(reason)
	await job
	executor.requests[0]?.die()
	await settled(clock)
	expect([executor.requests.length, executor.restarts, clock.pendingTimers]).toEqual([1, 0, 0])
})

test('close rejects what waits and what runs with ISLE_CLOSED', async () => {
	const { queue, clock } = newQueue()
	const jobs = ['a', 'b'].map(word =>
		expect(queue.run('probe', probe(word), clock)).rejects.toMatchObject({ code: 'ISLE_CLOSED' }),
	)
	await settled(clock)
	await queue.close()
	await Promise.all(jobs)
	await expect(queue.run('probe', probe('c'), clock)).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	expect(clock.pendingTimers).toBe(0)
})
