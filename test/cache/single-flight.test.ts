import { describe, expect, test } from 'vitest'
import { SingleFlight } from '../../src/cache/single-flight.ts'

/** Work whose end the test decides. */
function work(): {
	readonly run: (signal: AbortSignal | undefined) => Promise<string>
	readonly starts: (AbortSignal | undefined)[]
	readonly settle: ((outcome: string | Error) => void)[]
} {
	const starts: (AbortSignal | undefined)[] = []
	const settle: ((outcome: string | Error) => void)[] = []
	const run = (signal: AbortSignal | undefined): Promise<string> => {
		starts.push(signal)
		return new Promise((resolve, reject) => {
			signal?.addEventListener('abort', () => reject(signal.reason))
			settle.push(outcome => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
		})
	}
	return { run, starts, settle }
}

describe('a shared piece of work', () => {
	test('is started once for all who ask while it runs, and again for who asks later', async () => {
		const flights = new SingleFlight<string, string>()
		const { run, starts, settle } = work()
		const first = [flights.run('a', undefined, run), flights.run('a', undefined, run)]
		const other = flights.run('b', undefined, run)
		expect(starts.length).toBe(2)
		settle[0]?.('one')
		settle[1]?.('two')
		expect(await Promise.all([...first, other])).toEqual(['one', 'one', 'two'])
		expect(flights.size).toBe(0)
		const later = flights.run('a', undefined, run)
		settle[2]?.('three')
		expect(await later).toBe('three')
	})

	test('goes on for the others when one caller aborts, whoever came first', async () => {
		for (const leaver of [0, 1, 2]) {
			const flights = new SingleFlight<string, string>()
			const { run, starts, settle } = work()
			const controllers = [0, 1, 2].map(() => new AbortController())
			const results = controllers.map(({ signal }) => flights.run('a', signal, run))
			controllers[leaver]?.abort(new Error(`left ${leaver}`))
			await expect(results[leaver]).rejects.toThrow(`left ${leaver}`)
			expect(starts[0]?.aborted).toBe(false)
			settle[0]?.('kept')
			const others = results.filter((_, i) => i !== leaver)
			expect(await Promise.all(others)).toEqual(['kept', 'kept'])
		}
	})

	test('is aborted when the last caller has left, and the next caller starts anew', async () => {
		const flights = new SingleFlight<string, string>()
		const { run, starts, settle } = work()
		const [a, b] = [new AbortController(), new AbortController()]
		const results = [flights.run('a', a.signal, run), flights.run('a', b.signal, run)]
		a.abort(new Error('a'))
		expect(starts[0]?.aborted).toBe(false)
		b.abort(new Error('b'))
		expect(starts[0]?.aborted).toBe(true)
		const next = flights.run('a', undefined, run)
		settle[1]?.('fresh')
		expect(await next).toBe('fresh')
		const reasons = await Promise.allSettled(results)
		expect(reasons.map(result => (result.status === 'rejected' ? result.reason.message : 'kept'))).toEqual(['a', 'b'])
	})

	test('is never aborted once somebody without a signal takes part', async () => {
		const flights = new SingleFlight<string, string>()
		const { run, starts, settle } = work()
		const controller = new AbortController()
		const leaving = flights.run('a', controller.signal, run)
		const staying = flights.run('a', undefined, run)
		controller.abort(new Error('left'))
		await expect(leaving).rejects.toThrow('left')
		expect(starts[0]?.aborted).toBe(false)
		settle[0]?.('kept')
		expect(await staying).toBe('kept')
	})

	test('fails for all its callers, and the failure is not remembered', async () => {
		const flights = new SingleFlight<string, string>()
		const { run, settle } = work()
		const controller = new AbortController()
		const results = [flights.run('a', undefined, run), flights.run('a', controller.signal, run)]
		settle[0]?.(new Error('no luck'))
		for (const result of results) await expect(result).rejects.toThrow('no luck')
		const again = flights.run('a', undefined, run)
		settle[1]?.('luck')
		expect(await again).toBe('luck')
	})

	test('does not start for a caller whose signal has aborted before', async () => {
		const flights = new SingleFlight<string, string>()
		const { run, starts } = work()
		await expect(flights.run('a', AbortSignal.abort(new Error('early')), run)).rejects.toThrow('early')
		expect(starts.length).toBe(0)
	})
})
