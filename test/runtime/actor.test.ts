import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { Actor, type ActorOptions } from '../../src/runtime/actor.ts'
import { ManualClock } from '../support/manual-clock.ts'

function actorOf(options: Partial<ActorOptions<string, string>>): Actor<string, string> {
	const handle = async (message: string): Promise<string> => `${message}!`
	return new Actor({ name: 'the tester', clock: new ManualClock(), handle, ...options })
}

describe('an actor', () => {
	test('handles one message at a time, in order, and gives each sender its result', async () => {
		const events: string[] = []
		const clock = new ManualClock()
		const actor = actorOf({
			clock,
			handle: async message => {
				events.push(`+${message}`)
				await clock.yieldToIo()
				events.push(`-${message}`)
				return message.toUpperCase()
			},
		})
		expect(await Promise.all(['a', 'b', 'c'].map(message => actor.send(message)))).toEqual(['A', 'B', 'C'])
		expect(events).toEqual(['+a', '-a', '+b', '-b', '+c', '-c'])
		await actor.close()
	})

	test('refuses the message past its bound with ISLE_BACKPRESSURE, and takes more once there is room', async () => {
		const actor = actorOf({ mailboxMaxMessages: 2 })
		const sent = [actor.send('a'), actor.send('b')]
		await expect(actor.send('c')).rejects.toMatchObject({ code: 'ISLE_BACKPRESSURE' })
		expect(await Promise.all(sent)).toEqual(['a!', 'b!'])
		expect(await actor.send('d')).toBe('d!')
		await actor.close()
	})

	test('close handles what waits, refuses what comes, and can be called again', async () => {
		const actor = actorOf({})
		const sent = [actor.send('a'), actor.send('b')]
		const closing = actor.close()
		await expect(actor.send('c')).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		await closing
		expect(await Promise.all(sent)).toEqual(['a!', 'b!'])
		await actor.close()
	})

	test('a failure is told to its owner once, and is the cause of every later and waiting send', async () => {
		const failure = new IsleError('ISLE_FENCED', 'gone')
		const told: unknown[] = []
		const actor = actorOf({ handle: () => Promise.reject(failure), onFailure: error => told.push(error) })
		const first = actor.send('a')
		const waiting = actor.send('b')
		await expect(first).rejects.toBe(failure)
		await expect(waiting).rejects.toMatchObject({ code: 'ISLE_CLOSED', cause: failure })
		await expect(actor.send('c')).rejects.toMatchObject({ code: 'ISLE_CLOSED', cause: failure })
		expect(told).toEqual([failure])
		await actor.close()
		await expect(actor.send('d')).rejects.toMatchObject({ cause: failure })
	})

	test('can be closed from the callback that tells of its failure', async () => {
		let closing: Promise<void> | undefined
		const actor: Actor<string, string> = actorOf({
			handle: () => Promise.reject(new Error('x')),
			onFailure: () => {
				closing = actor.close()
			},
		})
		await expect(actor.send('a')).rejects.toThrow('x')
		await closing
		expect(closing).toBeDefined()
	})

	test('ticks go through the mailbox, never two at once, and end with close', async () => {
		const clock = new ManualClock()
		const gate: (() => void)[] = []
		let ticks = 0
		const actor = actorOf({
			clock,
			tick: { intervalMs: 10, message: () => 'tick' },
			handle: async message => {
				ticks++
				await new Promise<void>(resolve => gate.push(resolve))
				return message
			},
		})
		await clock.advance(9)
		expect(ticks).toBe(0)
		await clock.advance(1)
		expect(ticks).toBe(1)
		await clock.advance(100)
		expect(ticks).toBe(1)
		gate.shift()?.()
		await clock.advance(10)
		expect(ticks).toBe(2)
		expect(clock.pendingForegroundTimers).toBe(0)
		gate.shift()?.()
		await actor.close()
		await clock.advance(100)
		expect(ticks).toBe(2)
		expect(clock.pendingTimers).toBe(0)
	})

	test('a tick that fails ends the actor and tells its owner, without an unhandled rejection', async () => {
		const clock = new ManualClock()
		const told: unknown[] = []
		const failure = new Error('tick')
		actorOf({
			clock,
			tick: { intervalMs: 10, message: () => 'tick' },
			handle: () => Promise.reject(failure),
			onFailure: error => told.push(error),
		})
		await clock.advance(50)
		expect(told).toEqual([failure])
		expect(clock.pendingTimers).toBe(0)
	})

	test.each([0, -1, 1.5])('refuses a bound or an interval of %d', bound => {
		expect(() => actorOf({ mailboxMaxMessages: bound })).toThrow(RangeError)
		expect(() => actorOf({ tick: { intervalMs: bound, message: () => '' } })).toThrow(RangeError)
	})
})
