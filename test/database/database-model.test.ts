/**
 * Any history of a database against a naive model: writes of every form, reads of every form, snapshots, time, reopening and
 * takeovers, on the memory and the file store, with the CPU work on this thread and in worker threads.
 */
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Host } from '../../src/host/host.ts'
import { acquireWorkerPool, createInlinePool, type JobPool, type ObjectStore, openStore } from '../../src/index.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { type Command, commands } from './database-commands.ts'
import { DatabaseRun, type RunOptions } from './database-run.ts'

/** `MODEL_RUNS=1000 npm test -- test/database/database-model` looks longer. */
const RUNS = Number(process.env['MODEL_RUNS'] ?? 40)
const scratch = scratchDirectories()
const stores: Record<string, () => Promise<string | ObjectStore>> = {
	memory: () => openStore('memory:'),
	file: async () => pathToFileURL(scratch()).href,
}
const pools: Record<string, (host: Host) => JobPool> = {
	inline: host => createInlinePool(host),
	threads: host => acquireWorkerPool(host),
}

async function carryOut(options: RunOptions, history: readonly Command[]): Promise<void> {
	const run = await DatabaseRun.begin(options)
	try {
		for (const command of history) await run.carryOut(command)
		await run.end()
	} finally {
		await run.close()
	}
}

describe('any history of a database', () => {
	for (const [storeName, newStore] of Object.entries(stores)) {
		for (const [poolName, newPool] of Object.entries(pools)) {
			test(`gives what the model gives: ${storeName} store, ${poolName} pool`, async () => {
				await fc.assert(
					fc.asyncProperty(fc.array(commands, { minLength: 5, maxLength: 60 }), async history => {
						await carryOut({ location: await newStore(), newPool }, history)
					}),
					{ numRuns: storeName === 'memory' && poolName === 'inline' ? RUNS * 4 : RUNS, verbose: 1 },
				)
			}, 600_000)
		}
	}

	test.each(['inline', 'threads'] as const)('has its larger tables encoded by the pool: %s', async kind => {
		const location = await openStore('memory:')
		const run = await DatabaseRun.begin({ location, newPool: host => pools[kind]?.(host) ?? createInlinePool(host) })
		await run.carryOut({ kind: 'bulk', keys: ['a', 'b'], count: 1500, valueBytes: 100 })
		await run.carryOut({ kind: 'flush' })
		expect(run.jobs).toMatchObject({ kind, deaths: 0 })
		expect(run.jobs.completed).toBeGreaterThan(0)
		await run.end()
	})

	test('that differs from the model in one mutation is noticed', async () => {
		const history: Command[] = Array.from({ length: 4 }, (_, index) => ({
			kind: 'write',
			write: { kind: 'put', key: `${index}`, valueBytes: 10, ttlMs: undefined },
			durable: false,
		}))
		const location = await openStore('memory:')
		await expect(carryOut({ location, newPool: createInlinePool, forgets: true }, history)).rejects.toThrow('expected')
		await carryOut({ location: await openStore('memory:'), newPool: createInlinePool }, history)
	})
})
