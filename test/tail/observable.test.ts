/** Tails as Observables: cold, synchronous by batch, freed at once, stopped by mapAsync. */
import { bufferCount, filter, firstValueFrom, lastValueFrom, map, startWith, take, tap, toArray } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { Change } from '../../src/tail/change.ts'
import { encodeCursor } from '../../src/tail/cursor.ts'
import { loadRxjs } from '../../src/tail/observable.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'
import { expected, seen } from '../support/tail-model.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

async function fixtureOf(count: number): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	await fixture.commit(
		Array.from({ length: count }, (_, i) => put(`k${i}`, `${i}`)),
		{ blockBytes: 4096 },
	)
	return fixture
}

/** Errors that RxJS reports because nobody handles them. */
function catchReported(): unknown[] {
	const reported: unknown[] = []
	const listeners = process.listeners('uncaughtException')
	process.removeAllListeners('uncaughtException')
	const onError = (error: unknown): void => void reported.push(error)
	process.on('uncaughtException', onError)
	restore = () => {
		process.off('uncaughtException', onError)
		for (const listener of listeners) process.on('uncaughtException', listener)
	}
	return reported
}

let restore: () => void = () => undefined
afterEach(() => {
	restore()
	restore = () => undefined
})

/** RxJS reports in a timer of its own, which only real time brings about. */
async function untilReported(reported: readonly unknown[]): Promise<void> {
	for (let turn = 0; turn < 100_000 && reported.length === 0; turn++) await settle()
}

describe('an Observable of a tail', () => {
	test('emits every change in order, and goes on when more are committed', async () => {
		const fixture = await fixtureOf(3000)
		const { tails } = await fixture.readerTails()
		const got: Change[] = []
		const subscription = tails.tail({ from: BEGINNING, pollIntervalMs: 10 }).subscribe(change => got.push(change))
		await fixture.host.clock.advance(0)
		expect(got.map(seen)).toEqual(fixture.history.map(expected))
		await fixture.commit([put('later', '1')])
		await fixture.host.clock.advance(10)
		expect(got.at(-1)?.key).toBe('later')
		subscription.unsubscribe()
		expect(fixture.host.clock.pendingTimers).toBe(0)
		expect(tails.waiting).toBe(0)
	})

	test('is cold: nothing happens before it is subscribed to, and each subscription is a tail of its own', async () => {
		const fixture = await fixtureOf(10)
		const { tails } = await fixture.readerTails()
		fixture.takeCalls()
		const observable = tails.tail({ from: 'start' })
		await fixture.host.clock.advance(10_000)
		expect(fixture.takeCalls()).toEqual([])
		const both = await Promise.all([1, 2].map(() => firstValueFrom(observable.pipe(take(10), toArray()))))
		expect(both[0]).toEqual(both[1])
	})

	test('a subscriber that unsubscribes in its handler gets nothing more, and everything is freed', async () => {
		const fixture = await fixtureOf(100)
		const tails = fixture.writerTails()
		const got: unknown[] = []
		const subscription = tails.tail({ from: BEGINNING }).subscribe(change => {
			got.push(change.key)
			if (got.length === 3) subscription.unsubscribe()
		})
		await settle()
		expect(got).toEqual(['k0', 'k1', 'k2'])
		expect(tails.waiting).toBe(0)
	})

	test.each(['directly', 'behind operators', 'as an observer object'] as const)(
		'a handler that throws is reported, and ends the subscription: %s',
		async how => {
			const fixture = await fixtureOf(100)
			const { tails } = await fixture.readerTails()
			const reported = catchReported()
			let calls = 0
			const handler = (): void => {
				calls++
				throw new Error('a bad handler')
			}
			const tail = tails.tail({ from: BEGINNING })
			if (how === 'directly') tail.subscribe(handler)
			else if (how === 'behind operators')
				tail
					.pipe(
						map(change => change.key),
						filter(Boolean),
					)
					.subscribe(handler)
			else tail.subscribe({ next: handler })
			await settle()
			await untilReported(reported)
			expect(calls).toBe(1)
			expect(reported.map(String)).toEqual(['Error: a bad handler'])
			expect(tails.waiting).toBe(0)
			expect(fixture.host.clock.pendingTimers).toBe(0)
		},
	)

	test('a handler that throws while it is subscribed to, by an operator that emits at once, ends the subscription too', async () => {
		const fixture = await fixtureOf(5)
		const tails = fixture.writerTails()
		const reported = catchReported()
		let calls = 0
		const subscription = tails
			.tail({ from: BEGINNING })
			.pipe(startWith(undefined))
			.subscribe(() => {
				calls++
				throw new Error('at once')
			})
		await settle()
		await untilReported(reported)
		expect([calls, subscription.closed, reported.length]).toEqual([1, true, 1])
	})

	test('an observer keeps its `this`, and its error handler gets the terminal error with the cursor', async () => {
		const fixture = await fixtureOf(2)
		const tails = fixture.writerTails()
		const observer = {
			got: [] as unknown[],
			failure: undefined as unknown,
			next(change: Change) {
				this.got.push(change.key)
			},
			error(error: unknown) {
				this.failure = error
			},
		}
		tails.tail({ from: BEGINNING }).subscribe(observer)
		await settle()
		tails.close()
		await settle()
		expect(observer.got).toEqual(['k0', 'k1'])
		expect(isIsleError(observer.failure, 'ISLE_CLOSED') && observer.failure.details['cursor']).toBe(
			encodeCursor({ kind: 'change', seq: 2, position: { epoch: 1, slot: 1 } }),
		)
	})

	test('an aborted signal is its error', async () => {
		const fixture = await fixtureOf(2)
		const controller = new AbortController()
		const last = lastValueFrom(fixture.writerTails().tail({ signal: controller.signal })).catch(String)
		await settle()
		controller.abort(new Error('enough'))
		expect(await last).toBe('Error: enough')
	})

	test('a slow synchronous subscriber lets other events happen', async () => {
		const fixture = await fixtureOf(500)
		let nowMs = 0
		vi.spyOn(fixture.host.clock, 'monotonicMs').mockImplementation(() => nowMs)
		const tails = fixture.writerTails()
		let turns = 0
		let isDone = false
		const turn = (): void => {
			turns++
			if (!isDone) setImmediate(turn)
		}
		setImmediate(turn)
		await firstValueFrom(
			tails.tail({ from: BEGINNING }).pipe(
				tap(() => {
					nowMs += 1
				}),
				take(500),
				bufferCount(500),
			),
		)
		isDone = true
		// 500 ms of handlers in slices of about 2 ms.
		expect(turns).toBeGreaterThan(150)
	})

	test('without the package the error says what to install, and other failures are not hidden', () => {
		const missing = (name: string): never => {
			throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' })
		}
		expect(() => loadRxjs(missing)).toThrow('npm install rxjs@7')
		const broken = (): never => {
			throw Object.assign(new Error("Cannot find module 'tslib'"), { code: 'MODULE_NOT_FOUND' })
		}
		expect(() => loadRxjs(broken)).toThrow('tslib')
	})
})
