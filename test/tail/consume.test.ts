/** At-least-once consumption: what is saved, when, and what a failure leaves. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IsleError, isIsleError } from '../../src/errors.ts'
import type { Change } from '../../src/tail/change.ts'
import type { CheckpointStore, ConsumeOptions } from '../../src/tail/consume.ts'
import { decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { CommitFixture, put } from '../support/commit-fixture.ts'
import { settle } from '../support/manual-clock.ts'

const BEGINNING = encodeCursor({ kind: 'change', seq: 0, position: { epoch: 1, slot: 0 } })

class MemoryCheckpoint implements CheckpointStore {
	readonly saves: string[] = []
	cursor: string | undefined
	failures = 0

	async load(): Promise<string | undefined> {
		return this.cursor
	}

	async save(cursor: string): Promise<void> {
		if (this.failures > 0) {
			this.failures--
			throw new Error('the disk is on fire')
		}
		this.cursor = cursor
		this.saves.push(cursor)
	}

	get seq(): number | undefined {
		return this.cursor === undefined ? undefined : decodeCursor(this.cursor).seq
	}
}

async function fixtureOf(count: number): Promise<CommitFixture> {
	const fixture = await CommitFixture.create()
	await fixture.commit(Array.from({ length: count }, (_, i) => put(`k${i}`, `${i}`)))
	return fixture
}

function consume(
	fixture: CommitFixture,
	checkpoint: CheckpointStore,
	handler: ConsumeOptions<string, string>['handler'],
	options: Partial<ConsumeOptions<string, string>> = {},
) {
	return fixture.writerTails().consume({ from: BEGINNING, handler, checkpoint, ...options })
}

describe('consumption', () => {
	test('handles every change in order and resumes behind the last one that was saved', async () => {
		const fixture = await fixtureOf(5)
		const checkpoint = new MemoryCheckpoint()
		const got: number[] = []
		for (let round = 1; round <= 2; round++) {
			const consumption = consume(fixture, checkpoint, change => got.push(change.seq))
			await settle()
			await consumption.stop()
			expect(checkpoint.seq).toBe(5 * round)
			expect(consumption.savedCursor).toBe(checkpoint.cursor)
			await fixture.commit(Array.from({ length: 5 }, (_, i) => put(`l${i}`, '')))
		}
		expect(got).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
	})

	test('begins with the state where nothing was saved', async () => {
		const fixture = await fixtureOf(3)
		const got: unknown[] = []
		const consumption = fixture.writerTails().consume({
			handler: change => got.push(change.key),
			checkpoint: new MemoryCheckpoint(),
		})
		await settle()
		await consumption.stop()
		expect(got).toEqual(['k0', 'k1', 'k2'])
	})

	test('saves the finished prefix only, whatever the order in which handlers finish', async () => {
		const fixture = await fixtureOf(6)
		const checkpoint = new MemoryCheckpoint()
		const finish = new Map<number, () => void>()
		let mostRunning = 0
		const consumption = consume(
			fixture,
			checkpoint,
			({ seq }) =>
				new Promise<void>(resolve => {
					finish.set(seq, resolve)
					mostRunning = Math.max(mostRunning, finish.size)
				}),
			{ concurrency: 4, saveIntervalMs: 100 },
		)
		await settle()
		expect(mostRunning).toBe(4)
		finish.get(2)?.()
		finish.get(4)?.()
		await fixture.host.clock.advance(100)
		expect(checkpoint.saves).toEqual([])
		finish.get(1)?.()
		await fixture.host.clock.advance(100)
		expect([checkpoint.seq, consumption.handledCount]).toEqual([2, 2])
		const stopped = consumption.stop()
		finish.get(3)?.()
		finish.get(5)?.()
		finish.get(6)?.()
		await stopped
		expect(checkpoint.seq).toBe(6)
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('saves after so many changes and after so long, and nothing when nothing has changed', async () => {
		const fixture = await fixtureOf(10)
		const checkpoint = new MemoryCheckpoint()
		const consumption = consume(fixture, checkpoint, () => undefined, { saveEveryCount: 4, saveIntervalMs: 500 })
		await settle()
		expect(checkpoint.saves.length).toBeGreaterThanOrEqual(1)
		const early = checkpoint.saves.length
		await fixture.host.clock.advance(500)
		expect(checkpoint.seq).toBe(10)
		await fixture.host.clock.advance(60_000)
		expect(checkpoint.saves.length).toBeLessThanOrEqual(early + 1)
		await consumption.stop()
	})

	test('progress over changes that the filter passes over is saved too', async () => {
		const fixture = await fixtureOf(1)
		const checkpoint = new MemoryCheckpoint()
		const got: unknown[] = []
		const tails = fixture.writerTails()
		const consumption = tails.consume({
			from: 'now',
			prefix: 'rare',
			handler: change => got.push(change.key),
			checkpoint,
			saveIntervalMs: 10,
		})
		await settle()
		for (let i = 0; i < 5; i++) await fixture.commit([put(`common${i}`, '')])
		await settle()
		await fixture.host.clock.advance(10)
		expect([got.length, checkpoint.seq]).toEqual([0, 6])
		await consumption.stop()
	})

	test('a handler that fails is tried again, with pauses, and may succeed', async () => {
		const fixture = await fixtureOf(3)
		const checkpoint = new MemoryCheckpoint()
		const calls: number[] = []
		const consumption = consume(fixture, checkpoint, ({ seq }) => {
			calls.push(seq)
			if (seq === 2 && calls.filter(call => call === 2).length < 4) throw new Error('not yet')
		})
		await settle()
		expect(calls).toEqual([1, 2])
		await fixture.host.clock.advance(60_000)
		expect(calls).toEqual([1, 2, 2, 2, 2, 3])
		await consumption.stop()
		expect(checkpoint.seq).toBe(3)
	})

	test('a handler that keeps failing ends it with a typed error; nothing behind its change is saved', async () => {
		const fixture = await fixtureOf(6)
		const checkpoint = new MemoryCheckpoint()
		const calls: number[] = []
		const consumption = consume(
			fixture,
			checkpoint,
			async ({ seq }) => {
				calls.push(seq)
				if (seq === 3) throw new Error('poison')
			},
			{ concurrency: 4, maxAttempts: 3 },
		)
		const error = await fixture.until(consumption.finished.catch((thrown: unknown) => thrown))
		expect(isIsleError(error, 'ISLE_CLOSED')).toBe(true)
		if (!isIsleError(error)) return
		expect(String(error.cause)).toBe('Error: poison')
		expect(error.details).toMatchObject({ seq: 3, cursor: checkpoint.cursor })
		expect(checkpoint.seq).toBe(2)
		expect(calls.filter(seq => seq === 3)).toHaveLength(3)
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('a checkpoint that cannot be saved is tried again, and in the end is the failure', async () => {
		const fixture = await fixtureOf(2)
		const checkpoint = new MemoryCheckpoint()
		checkpoint.failures = 2
		const consumption = consume(fixture, checkpoint, () => undefined, { saveEveryCount: 1 })
		await fixture.host.clock.advance(10_000)
		expect(checkpoint.seq).toBe(2)
		checkpoint.failures = 1000
		await fixture.commit([put('more', '')])
		const error = await fixture.until(consumption.finished.catch((thrown: unknown) => thrown))
		expect(isIsleError(error, 'ISLE_CLOSED') && String(error.cause)).toContain('on fire')
	})

	test('an abort aborts handlers, saves what is finished, and is the reason', async () => {
		const fixture = await fixtureOf(4)
		const checkpoint = new MemoryCheckpoint()
		const controller = new AbortController()
		const consumption = consume(
			fixture,
			checkpoint,
			({ seq }, { signal }) =>
				seq < 3
					? undefined
					: new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
			{ signal: controller.signal },
		)
		await settle()
		controller.abort(new Error('enough'))
		expect(await consumption.finished.catch(String)).toBe('Error: enough')
		expect(checkpoint.seq).toBe(2)
		expect(fixture.host.clock.pendingTimers).toBe(0)
	})

	test('the error that ends its tail is its error, after what was finished is saved', async () => {
		const fixture = await fixtureOf(2)
		const tails = fixture.writerTails()
		const checkpoint = new MemoryCheckpoint()
		const consumption = tails.consume({ from: BEGINNING, handler: () => undefined, checkpoint })
		await settle()
		tails.fail(new IsleError('ISLE_FENCED', 'another owner'))
		expect(isIsleError(await consumption.finished.catch((thrown: unknown) => thrown), 'ISLE_FENCED')).toBe(true)
		expect(checkpoint.seq).toBe(2)
	})

	test('what is passed wrongly is told at once', async () => {
		const tails = (await fixtureOf(1)).writerTails()
		const checkpoint = new MemoryCheckpoint()
		const handler = (): void => undefined
		for (const wrong of [{ concurrency: 0 }, { saveIntervalMs: 0 }, { saveEveryCount: 0 }, { maxAttempts: 0 }]) {
			expect(() => tails.consume({ handler, checkpoint, ...wrong })).toThrow(RangeError)
		}
		expect(() => tails.consume({ handler, checkpoint, from: 'nonsense' })).toThrow(RangeError)
		expect(() => tails.consume(JSON.parse('{"checkpoint":{}}'))).toThrow(TypeError)
	})

	test('over crashes at any point, every change is handled at least once and none before an earlier one was', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.record({ concurrency: fc.integer({ min: 1, max: 4 }), turns: fc.nat({ max: 60 }) }), {
					maxLength: 6,
				}),
				fc.integer({ min: 1, max: 12 }),
				async (lives, count) => {
					const fixture = await fixtureOf(count)
					const checkpoint = new MemoryCheckpoint()
					const handled = new Set<number>()
					const handler = async ({ seq }: Change): Promise<void> => {
						for (let turn = 0; turn < seq % 5; turn++) await Promise.resolve()
						handled.add(seq)
					}
					for (const { concurrency, turns } of lives) {
						// A crash: nothing of this life is saved any more.
						let isAlive = true
						const mortal: CheckpointStore = {
							load: () => checkpoint.load(),
							save: async cursor => (isAlive ? await checkpoint.save(cursor) : undefined),
						}
						const consumption = consume(fixture, mortal, handler, { concurrency, saveEveryCount: 1 })
						for (let turn = 0; turn < turns; turn++) await Promise.resolve()
						isAlive = false
						for (let seq = 1; seq <= (checkpoint.seq ?? 0); seq++) expect(handled.has(seq)).toBe(true)
						await consumption.stop()
					}
					const last = consume(fixture, checkpoint, handler)
					await settle()
					await last.stop()
					expect([...handled].sort((a, b) => a - b)).toEqual(fixture.history.map(({ seq }) => seq))
					expect(checkpoint.seq).toBe(count)
				},
			),
			{ numRuns: 50 },
		)
	})
})
