import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { systemHost } from '../../src/host/host.ts'
import type { Job } from '../../src/runtime/job-pool.ts'
import { acquireWorkerPool } from '../../src/runtime/worker-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'

const probe = (word: string) => (): Job<'probe'> => ({ input: { word }, transfer: [] })
const fixture = (name: string): URL => new URL(`fixtures/${name}`, import.meta.url)
const hostileWorker = fixture('hostile-worker.ts')

test('the worker pool runs jobs in threads, and keeps none for the last one who closes', async () => {
	const first = acquireWorkerPool(systemHost)
	const second = acquireWorkerPool(systemHost)
	await first.run('probe', probe('x'))
	expect(second.stats()).toMatchObject({ kind: 'threads', threads: 1, deaths: 0 })
	await first.close()
	expect(await second.run('probe', probe('y'))).toEqual({ word: 'y' })
	await second.close()
})

test('the event loop of a thread turns between jobs: what addons have handed out is freed in such a turn', async () => {
	const pool = acquireWorkerPool(systemHost, { workerUrl: fixture('turning-worker.ts'), maxThreads: 1 })
	try {
		// The first turn is that of the probe.
		for (const turns of ['1', '2', '3']) expect(await pool.run('probe', probe('turns'))).toEqual({ word: turns })
	} finally {
		await pool.close()
	}
})

test.each([0, 65, 1.5])('the worker pool refuses %d threads', maxThreads => {
	expect(() => acquireWorkerPool(systemHost, { maxThreads })).toThrow(RangeError)
})

test('a job whose worker dies is made again and runs in another', async () => {
	const directory = mkdtempSync(join(tmpdir(), 'isle-pool-'))
	const pool = acquireWorkerPool(systemHost, { workerUrl: hostileWorker })
	const word = `die-once:${join(directory, 'marker')}`
	let made = 0
	const output = await pool.run('probe', () => {
		made++
		return { input: { word }, transfer: [] }
	})
	expect(output).toEqual({ word })
	expect(made).toBe(2)
	expect(pool.stats()).toMatchObject({ kind: 'threads', deaths: 1 })
	await pool.close()
	rmSync(directory, { recursive: true })
})

test.each(['exit', 'abort'])('a job that kills every worker (%s) is ISLE_UNAVAILABLE with its cause', async word => {
	const pool = acquireWorkerPool(systemHost, { workerUrl: hostileWorker })
	const error: unknown = await pool.run('probe', probe(word)).catch((reason: unknown) => reason)
	expect(isIsleError(error, 'ISLE_UNAVAILABLE')).toBe(true)
	expect(error).toMatchObject({ cause: expect.any(Error) })
	expect(pool.stats()).toMatchObject({ kind: 'threads', deaths: 2 })
	expect(await pool.run('probe', probe('after'))).toEqual({ word: 'after' })
	await pool.close()
})

test('a job that hangs past its deadline loses its worker, and the jobs behind it run in another', async () => {
	const clock = new ManualClock()
	const pool = acquireWorkerPool({ ...systemHost, clock }, { workerUrl: hostileWorker, maxThreads: 1 })
	await pool.run('probe', probe('warm'))
	const hung = pool.run('probe', probe('hang'), { deadlineMs: 1_000 })
	const behind = pool.run('probe', probe('behind'), { deadlineMs: 1e9 })
	const refused = expect(hung).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	await clock.advance(1_000)
	await refused
	expect(await behind).toEqual({ word: 'behind' })
	await pool.close()
	expect(clock.pendingTimers).toBe(0)
})

test('a wire error of a worker is an error of its class', async () => {
	const pool = acquireWorkerPool(systemHost, { workerUrl: hostileWorker })
	await expect(pool.run('probe', probe('wrong'))).rejects.toBeInstanceOf(RangeError)
	await pool.close()
})

test('where threads cannot run, the first job runs on this thread after one warning', async () => {
	const warnings: Error[] = []
	const onWarning = (warning: Error): void => void warnings.push(warning)
	process.on('warning', onWarning)
	for (const name of ['missing-worker.ts', 'silent-exit-worker.ts']) {
		const pool = acquireWorkerPool(systemHost, { workerUrl: fixture(name) })
		const buffer = new ArrayBuffer(16)
		const job = { input: { buffers: [buffer], blocks: [] }, transfer: [buffer] }
		expect(await pool.run('decode-blocks', () => job)).toEqual({ blocks: [] })
		expect(pool.stats()).toMatchObject({ kind: 'inline', threads: 0, deaths: 0 })
		await pool.close()
	}
	await systemHost.clock.yieldToIo()
	process.off('warning', onWarning)
	const ours = warnings.filter(warning => warning.name === 'IsleWarning')
	expect(ours).toHaveLength(1)
	expect(ours[0]).toMatchObject({
		code: 'ISLE_INLINE_POOL',
		message: expect.stringContaining('without worker threads'),
	})
})

test('an idle pool that nobody closed lets the process exit, and a job under way does not', async () => {
	const child = spawn(process.execPath, [fileURLToPath(fixture('leave-open.ts'))], {
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	let printed = ''
	child.stdout.on('data', data => {
		printed += data
	})
	child.stderr.on('data', data => {
		printed += data
	})
	const [code] = await once(child, 'exit')
	expect({ code, printed }).toEqual({ code: 0, printed: 'threads 3000\n' })
})
