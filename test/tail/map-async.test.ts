/** mapAsync: ordered, bounded, and heeded by the tails upstream. */
import { from, lastValueFrom, map, merge, of, Subject, share, tap, throwError, toArray } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { mapAsync } from '../../src/tail/observable.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

async function fixtureOf(count: number): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	await fixture.commit(
		Array.from({ length: count }, (_, i) => put(`k${i}`, `${i}`)),
		{ blockBytes: 4096 },
	)
	return fixture
}

describe('mapAsync', () => {
	test('gives results in order, at most so many under way, and stops the tail meanwhile', async () => {
		const fixture = await fixtureOf(3000)
		const tails = fixture.writerTails()
		let emitted = 0
		let running = 0
		let mostRunning = 0
		const finish: (() => void)[] = []
		const got: unknown[] = []
		const subscription = tails
			.tail({ from: BEGINNING })
			.pipe(
				tap(() => emitted++),
				map(change => change.seq),
				mapAsync(
					async seq => {
						mostRunning = Math.max(mostRunning, ++running)
						await new Promise<void>(resolve => finish.push(resolve))
						running--
						return seq * 10
					},
					{ concurrency: 4, maxBuffered: 0 },
				),
			)
			.subscribe(value => got.push(value))
		await settle()
		expect(emitted).toBe(4)
		// The second to finish first waits for the first, and counts.
		finish.splice(1, 3).forEach(finished => {
			finished()
		})
		await settle()
		expect([got.length, emitted]).toEqual([0, 4])
		for (let round = 0; round < 5; round++) {
			finish.splice(0).forEach(finished => {
				finished()
			})
			await settle()
			expect(emitted).toBe(4 + (round + 1) * 4)
		}
		expect(mostRunning).toBe(4)
		expect(got).toEqual(Array.from({ length: 20 }, (_, i) => (i + 1) * 10))
		subscription.unsubscribe()
		expect(tails.waiting).toBe(0)
	})

	test('two in a row stop the tail by the slower one', async () => {
		const fixture = await fixtureOf(1000)
		let emitted = 0
		const subscription = fixture
			.writerTails()
			.tail({ from: BEGINNING })
			.pipe(
				tap(() => emitted++),
				mapAsync(async change => change.seq, { concurrency: 3 }),
				mapAsync(() => new Promise(() => undefined), { concurrency: 2, maxBuffered: 3 }),
			)
			.subscribe()
		await settle()
		expect(emitted).toBeLessThanOrEqual(5)
		subscription.unsubscribe()
	})

	test('a tail that is shared goes on when the one that held it leaves', async () => {
		const fixture = await fixtureOf(100)
		const shared = fixture.writerTails().tail({ from: BEGINNING }).pipe(share())
		const got: unknown[] = []
		const slow = shared.pipe(mapAsync(() => new Promise(() => undefined), { concurrency: 1 })).subscribe()
		const quick = shared.subscribe(change => got.push(change.seq))
		await settle()
		expect(got).toHaveLength(1)
		slow.unsubscribe()
		await settle()
		expect(got).toHaveLength(100)
		quick.unsubscribe()
	})

	test('the first failure in order is the error; nothing starts behind it, and what stands before it is given', async () => {
		const started: number[] = []
		const got: unknown[] = []
		let release = (): void => undefined
		const result = lastValueFrom(
			from([1, 2, 3, 4, 5]).pipe(
				mapAsync(
					value => {
						started.push(value)
						if (value === 2) throw new Error('two')
						if (value === 1)
							return new Promise<number>(resolve => {
								release = () => resolve(1)
							})
						return value
					},
					{ concurrency: 3 },
				),
				tap(value => got.push(value)),
			),
		).catch(String)
		await settle()
		expect(got).toEqual([])
		release()
		expect(await result).toBe('Error: two')
		expect(got).toEqual([1])
		expect(started).toEqual([1, 2])
	})

	test('a source that cannot be stopped is buffered up to a bound, and no further', async () => {
		const never = (): Promise<never> => new Promise(() => undefined)
		const source = new Subject<number>()
		const result = lastValueFrom(source.pipe(mapAsync(never, { concurrency: 2, maxBuffered: 3 }))).catch(
			(error: unknown) => error,
		)
		for (let i = 0; i < 5; i++) source.next(i)
		await settle()
		expect(source.observed).toBe(true)
		source.next(5)
		expect(isIsleError(await result, 'ISLE_BACKPRESSURE')).toBe(true)
		expect(source.observed).toBe(false)
	})

	test('completes when its source has and all is given; an error of the source goes through', async () => {
		expect(
			await lastValueFrom(
				of(3, 1, 2).pipe(
					mapAsync(async value => value * 2, { concurrency: 2 }),
					toArray(),
				),
			),
		).toEqual([6, 2, 4])
		expect(
			await lastValueFrom(
				of<number[]>().pipe(
					mapAsync(async value => value),
					toArray(),
				),
			),
		).toEqual([])
		const failing = merge(
			of(1),
			throwError(() => new Error('source')),
		)
		expect(await lastValueFrom(failing.pipe(mapAsync(async value => value))).catch(String)).toBe('Error: source')
	})

	test('aborts what runs when nobody wants it any more', async () => {
		let signal: AbortSignal | undefined
		const subscription = of(1)
			.pipe(
				mapAsync((_value, context) => {
					signal = context.signal
					return new Promise(() => undefined)
				}),
			)
			.subscribe()
		expect(signal?.aborted).toBe(false)
		subscription.unsubscribe()
		expect(signal?.aborted).toBe(true)
	})

	test.each([0, 10_001, 1.5])('refuses a concurrency of %s', concurrency => {
		expect(() => mapAsync(async () => 1, { concurrency })).toThrow(RangeError)
	})
})
