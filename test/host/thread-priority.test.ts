import { once } from 'node:events'
import { getPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'

test.skipIf(process.platform !== 'linux')(
	'a thread that gives way hands that on to its threads, and to no other',
	async () => {
		const before = getPriority(0)
		const thread = new Worker(new URL('./fixtures/priority-thread.ts', import.meta.url), { execArgv: [] })
		const [priorities] = await once(thread, 'message')
		await thread.terminate()
		expect(priorities).toEqual([Math.max(before, 10), Math.max(before, 10)])
		expect(getPriority(0)).toBe(before)
	},
)
