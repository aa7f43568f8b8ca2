import { expect, test } from 'vitest'
import { deleteEach } from '../../src/object-store/parallel-deletions.ts'

const KEYS = Array.from({ length: 100 }, (_, i) => `key/${i}`)
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('every key is deleted once, 16 at a time', async () => {
	const deleted: string[] = []
	let [underWay, most] = [0, 0]
	await deleteEach([...KEYS, ...KEYS], new AbortController().signal, async key => {
		most = Math.max(most, ++underWay)
		await turn()
		underWay--
		deleted.push(key)
	})
	expect(deleted).toEqual(KEYS)
	expect(most).toBe(16)
	await deleteEach([], new AbortController().signal, () => Promise.reject(new Error('not asked')))
})

test('after a failure none is begun, and those under way have ended when the call rejects with it', async () => {
	const failure = new Error('refused')
	let [begun, ended] = [0, 0]
	const deleting = deleteEach(KEYS, new AbortController().signal, async key => {
		begun++
		await turn()
		ended++
		if (key === 'key/3') throw failure
	})
	await expect(deleting).rejects.toBe(failure)
	expect(begun).toBe(ended)
	expect(begun).toBeLessThan(40)
})

test('after an abort none is begun, and the call rejects with its reason', async () => {
	const controller = new AbortController()
	let begun = 0
	const deleting = deleteEach(KEYS, controller.signal, async () => {
		if (++begun === 5) controller.abort('enough')
		await turn()
	})
	await expect(deleting).rejects.toBe('enough')
	expect(begun).toBeLessThanOrEqual(16)
})
