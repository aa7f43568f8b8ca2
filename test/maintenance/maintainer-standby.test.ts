import { describe, expect, test } from 'vitest'
import { manualHost, settle } from '../support/manual-clock.ts'
import { gate, HOUR_MS, stage, work } from './toy-maintainer.ts'
import { ToyWorld } from './toy-trade.ts'

describe('two maintainers', () => {
	test('of one kind: the second watches, and takes over when work stays undone for the time of a takeover', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('stuck'), until: gate().promise })
		const first = stage(world, host)
		await settle()
		const second = stage(world, host)
		await host.clock.advance(59_000)
		expect(second.maintainer.status()).toMatchObject({ state: 'standby', unserved: [], owner: { policies: ['merge'] } })
		await host.clock.advance(11_000)
		expect(second.maintainer.status()).toMatchObject({ state: 'active', epoch: 2 })
		// The first one learns it when it writes next.
		expect(first.maintainer.status().state).toBe('active')
	})

	test('a record of the owner, whatever it says, gives it its time again', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('long'), until: gate().promise })
		stage(world, host)
		await settle()
		const second = stage(world, host)
		for (let minute = 0; minute < 20; minute++) {
			await host.clock.advance(50_000)
			world.append(1, [])
		}
		expect(second.maintainer.status().state).toBe('standby')
		await host.clock.advance(80_000)
		expect(second.maintainer.status().state).toBe('active')
	})

	test('the one that is fenced says so, typed, and becomes a standby; or stops when told so', async () => {
		for (const onFenced of ['standby', 'stop'] as const) {
			const [world, host] = [new ToyWorld(), manualHost()]
			const stuck = gate()
			world.works.push({ ...work('stuck'), until: stuck.promise })
			const first = stage(world, host, ['merge'], { onFenced })
			await settle()
			world.claim()
			world.append(2, [{ kind: 'maintainer', note: { policies: ['merge'], writerEpoch: 0 } }])
			stuck.open()
			await settle()
			const fenced = ['standby → active', 'active → fenced']
			expect(first.states()).toEqual(onFenced === 'stop' ? fenced : [...fenced, 'fenced → standby'])
			expect(first.maintainer.status()).toMatchObject({
				state: onFenced === 'stop' ? 'fenced' : 'standby',
				timesFenced: 1,
				lastError: { code: 'ISLE_FENCED' },
			})
		}
	})

	test('of different kinds never fence each other, and the standby says which of its policies nobody runs', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a'))
		const merge = stage(world, host, ['merge'])
		await settle()
		world.works.push(work('old', 10, 'age'))
		const age = stage(world, host, ['age'])
		for (let hour = 0; hour < 3; hour++) {
			world.works.push(work(`merge ${hour}`))
			await host.clock.advance(HOUR_MS)
		}
		expect(world.works).toEqual([work('old', 10, 'age')])
		expect(merge.states()).toEqual(['standby → active'])
		expect(age.maintainer.status()).toMatchObject({
			state: 'standby',
			unserved: ['age'],
			owner: { policies: ['merge'] },
		})
		await merge.maintainer.close()
		await host.clock.advance(20_000)
		expect(age.maintainer.status()).toMatchObject({ state: 'active', unserved: [] })
		expect(world.works).toEqual([])
	})

	test('take over from each other less and less often when both believe that work is undone', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		// Work that nobody can do: each sees it undone while the other owns the log.
		const attempts: ReturnType<typeof gate>[] = []
		world.works.push({
			...work('stuck'),
			get until() {
				const attempt = gate()
				attempts.push(attempt)
				return attempt.promise
			},
		})
		const both = [stage(world, host), stage(world, host)]
		for (let minute = 0; minute < 24 * 60; minute++) {
			await host.clock.advance(60_000)
			// Whoever was taken over comes to an end, writes, and finds it out.
			for (const stale of attempts.splice(0, attempts.length - 1)) stale.open()
			await settle()
		}
		const takeovers = world.manifest.maintenancePosition.epoch
		// Without the doubling it would be 1,440.
		expect(takeovers).toBeGreaterThan(10)
		expect(takeovers).toBeLessThan(60)
		expect(both.map(({ maintainer }) => maintainer.status().state)).toContain('active')
	})

	test('the owner that lived with a writer is taken over at once when that writer was fenced', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('stuck'), until: gate().promise })
		stage(world, host, ['merge'], { writerEpoch: 1 })
		await settle()
		const second = stage(world, host)
		await host.clock.advance(20_000)
		expect(second.maintainer.status().state).toBe('standby')
		world.sealWriter()
		await host.clock.advance(10_000)
		expect(second.maintainer.status().state).toBe('active')
	})
})

describe('a maintainer that lives with its writer', () => {
	const resident = { writerEpoch: 1, claimAtOnce: true } as const

	test('asks nothing of the store in a day without commits, and works when it is told of one', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a'))
		const { maintainer } = stage(world, host, ['merge'], resident)
		await settle()
		expect(world.works).toEqual([])
		world.requests = 0
		await host.clock.advance(24 * HOUR_MS)
		expect(world.requests).toBe(0)
		expect(host.clock.pendingTimers).toBe(0)
		world.works.push(work('b'))
		world.commit()
		maintainer.hint({ hasCommits: true, protectedPosition: { epoch: 1, slot: 1 } })
		await settle()
		expect(world.works).toEqual([])
	})

	test('watches without requests while another one is active and nothing is written', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a'))
		stage(world, host, ['merge'], { pollIntervalMs: 2 ** 40 })
		await settle()
		const { maintainer } = stage(world, host, ['merge'], { writerEpoch: 1 })
		await settle()
		expect(maintainer.status().state).toBe('standby')
		world.requests = 0
		await host.clock.advance(24 * HOUR_MS)
		expect(world.requests).toBe(0)
		world.works.push({ ...work('undone'), until: gate().promise })
		maintainer.hint({ hasCommits: true, protectedPosition: { epoch: 1, slot: 1 } })
		await host.clock.advance(61_000)
		expect(maintainer.status().state).toBe('active')
	})
})
