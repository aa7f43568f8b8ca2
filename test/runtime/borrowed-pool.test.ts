import { expect, test } from 'vitest'
import { systemHost } from '../../src/host/host.ts'
import { open, openReader } from '../../src/index.ts'
import { createInlinePool } from '../../src/runtime/inline-pool.ts'

test('a pool that was handed in is used by several and closed by none of them', async () => {
	const pool = createInlinePool(systemHost)
	const first = await open('memory:borrowed', { pool })
	const reader = await openReader('memory:borrowed', { pool })
	await first.close()
	await reader.close()
	await using second = await open('memory:borrowed', { pool })
	const batch = second.batch()
	for (let i = 0; i < 2000; i++) batch.put(`key ${i}`, 'value')
	await second.write(batch, { durable: true })
	expect(pool.stats().completed).toBeGreaterThan(0)
	await pool.close()
	await expect(pool.run('probe', () => ({ input: { word: 'x' }, transfer: [] }))).rejects.toMatchObject({
		code: 'ISLE_CLOSED',
	})
})
