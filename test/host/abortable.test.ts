import { describe, expect, test, vi } from 'vitest'
import { abortable } from '../../src/host/abortable.ts'
import { settle } from '../support/manual-clock.ts'

const reason = new Error('stop')

interface Deferred<Value> {
	readonly promise: Promise<Value>
	readonly resolve: (value: Value) => void
	readonly reject: (error: Error) => void
}

function deferred<Value>(): Deferred<Value> {
	let settlers: Pick<Deferred<Value>, 'resolve' | 'reject'> | undefined
	const promise = new Promise<Value>((resolve, reject) => {
		settlers = { resolve, reject }
	})
	if (settlers === undefined) throw new Error('a promise runs its executor at once')
	return { promise, ...settlers }
}

describe('leaving a shared promise', () => {
	test('without a signal is the promise itself', () => {
		const shared = Promise.resolve(1)
		expect(abortable(shared, undefined)).toBe(shared)
	})

	test('passes its outcome on while nobody aborts', async () => {
		const { signal } = new AbortController()
		expect(await abortable(Promise.resolve(7), signal)).toBe(7)
		const failure = new Error('failed')
		await expect(abortable(Promise.reject(failure), signal)).rejects.toBe(failure)
	})

	test('ends one wait with the reason, and leaves the work to the others', async () => {
		const controller = new AbortController()
		const { promise, resolve } = deferred<string>()
		const left = abortable(promise, controller.signal)
		const stayed = abortable(promise, new AbortController().signal)
		controller.abort(reason)
		await expect(left).rejects.toBe(reason)
		resolve('done')
		expect(await stayed).toBe('done')
	})

	test('of a promise that fails after everybody left is no unhandled rejection', async () => {
		const unhandled = vi.fn()
		process.on('unhandledRejection', unhandled)
		const controller = new AbortController()
		const { promise, reject } = deferred<never>()
		const waits = [abortable(promise, controller.signal), abortable(promise, AbortSignal.abort(reason))]
		const verdicts = Promise.allSettled(waits)
		controller.abort(reason)
		expect((await verdicts).map(verdict => verdict.status)).toEqual(['rejected', 'rejected'])
		reject(new Error('late'))
		await settle()
		process.off('unhandledRejection', unhandled)
		expect(unhandled).not.toHaveBeenCalled()
	})

	test('leaves no listener on a signal that outlives it', async () => {
		const { signal } = new AbortController()
		const added = vi.spyOn(signal, 'addEventListener')
		const removed = vi.spyOn(signal, 'removeEventListener')
		await abortable(Promise.resolve(1), signal)
		await settle()
		expect(added).toHaveBeenCalledTimes(1)
		expect(removed.mock.calls.map(call => call[1])).toEqual(added.mock.calls.map(call => call[1]))
	})
})
