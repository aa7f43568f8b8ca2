/** An S3 look-alike that ignores conditions is found out before anything is trusted to it. */
import { mkdir } from 'node:fs/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { open, openWriter } from '../../src/index.ts'
import { STORE_CLAUSES } from '../../src/object-store/conformance.ts'
import { text } from '../../src/object-store/conformance-objects.ts'
import { probeStore } from '../../src/object-store/store-probe.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { storeOn } from '../support/servers/s3-test-store.ts'
import { startS3rver } from '../support/servers/s3rver.ts'

const BUCKET = 'look-alike'
const UNSAFE = { code: 'ISLE_STORE_UNSAFE', message: expect.stringContaining('it created one key twice') }

const directory = scratchDirectories()()
await mkdir(directory)
const server = await startS3rver(directory, BUCKET)
afterAll(() => server.stop())

async function leftBehind(): Promise<readonly string[]> {
	return (await (await storeOn(server, BUCKET)).list()).objects.map(({ key }) => key)
}

describe('s3rver, which ignores conditions', () => {
	test('keeps objects as a store does, and lets every one of 50 creators win', async () => {
		const store = await storeOn(server, BUCKET)
		const bodies = Array.from({ length: 50 }, (_, i) => text(`${i}`))
		const outcomes = await Promise.all(bodies.map(body => store.createIfAbsent('slot', body)))
		expect(outcomes.filter(({ kind }) => kind === 'created')).toHaveLength(50)
		expect(await store.get('slot')).toBeDefined()
		await store.delete('slot')
		expect(await leftBehind()).toEqual([])
	})

	test('is refused by the probe, and nothing is left written', async () => {
		await expect(probeStore(await storeOn(server, BUCKET))).rejects.toMatchObject(UNSAFE)
		expect(await leftBehind()).toEqual([])
	})

	test('is refused by whoever opens a database for writing, and nothing is left written', async () => {
		await expect(open(await storeOn(server, BUCKET, { prefix: 'db1' }))).rejects.toMatchObject(UNSAFE)
		await expect(openWriter(await storeOn(server, BUCKET, { prefix: 'db1' }))).rejects.toMatchObject(UNSAFE)
		expect(await leftBehind()).toEqual([])
	})

	test('is refused by the conformance suite', async () => {
		const clauses = STORE_CLAUSES.filter(({ name }) => name.includes('createIfAbsent answers created, then exists'))
		expect(clauses).toHaveLength(1)
		const store = await storeOn(server, BUCKET)
		for (const { run } of clauses) await expect(run(store)).rejects.toThrow()
	})
})
