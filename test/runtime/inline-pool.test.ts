import { expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'

test('the inline pool runs each job in a macrotask of its own', async () => {
	const pool = createInlinePool(systemHost)
	const order: string[] = []
	const jobs = ['a', 'b'].map(word =>
		pool.run('probe', () => ({ input: { word }, transfer: [] })).then(output => order.push(output.word)),
	)
	const turns = systemHost.clock.yieldToIo().then(() => order.push('turn'))
	await Promise.all([...jobs, turns])
	expect(order.indexOf('turn')).toBeLessThan(order.indexOf('b'))
	expect(pool.stats()).toEqual({ kind: 'inline', threads: 0, queued: 0, completed: 2, deaths: 0 })
	await pool.close()
})
