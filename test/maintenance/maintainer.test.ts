import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { manualHost, settle } from '../support/manual-clock.ts'
import { gate, HOUR_MS, LARGE_BYTES, stage, work } from './toy-maintainer.ts'
import { ToyWorld } from './toy-trade.ts'

describe('a maintainer alone', () => {
	test('waits for a database, then for work, then claims the log and does it', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.manifest = { ...world.manifest, writerPosition: { epoch: 0, slot: 0 } }
		const { maintainer, states } = stage(world, host)
		await settle()
		expect(maintainer.status()).toMatchObject({ state: 'waiting', epoch: undefined, owner: undefined })
		world.sealWriter()
		await host.clock.advance(10_000)
		expect(maintainer.status()).toMatchObject({ state: 'standby', unserved: ['merge'] })
		world.works.push(work('a'), work('b'), work('c'))
		await host.clock.advance(10_000)
		expect(world.works).toEqual([])
		expect(maintainer.status()).toMatchObject({
			state: 'active',
			epoch: 1,
			owner: { policies: ['merge'], writerEpoch: 0 },
			unserved: [],
			totals: { works: 3, bytesRead: 30, bytesWritten: 30 },
		})
		expect(states()).toEqual(['standby → waiting', 'waiting → standby', 'standby → active'])
	})

	test('costs one request a poll when nothing happens, as a standby and as the owner', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const { maintainer } = stage(world, host)
		await settle()
		world.requests = 0
		await host.clock.advance(HOUR_MS)
		expect(world.requests).toBe(HOUR_MS / 10_000)
		world.works.push(work('a'))
		await host.clock.advance(20_000)
		expect(maintainer.status().state).toBe('active')
		world.requests = 0
		await host.clock.advance(HOUR_MS)
		expect(world.requests).toBe(HOUR_MS / 10_000)
	})

	test('leaves in good order: what runs is stopped, a checkpoint is made, and the log says that nobody owns it', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('a'), until: gate().promise })
		const { maintainer, states, events } = stage(world, host)
		await settle()
		expect(world.events).toEqual(['begin a'])
		await Promise.all([maintainer.close(), maintainer.close()])
		expect(world.events).toEqual(['begin a', 'pause a'])
		expect(world.manifest.maintainer).toEqual({ policies: [], writerEpoch: 0 })
		expect(events.filter(event => event.kind === 'stopped')).toHaveLength(1)
		expect(maintainer.status()).toMatchObject({ state: 'closed', running: [], totals: { checkpoints: 1 } })
		expect(states().at(-1)).toBe('active → closed')
		expect(host.clock.pendingTimers).toBe(0)
		await expect(maintainer.runOnce()).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	})

	test('gives what runs a while to save how far it came, and ends it then', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('a'), until: gate().promise, isPatient: true })
		const { maintainer } = stage(world, host)
		await settle()
		const closing = maintainer.close()
		await host.clock.advance(9999)
		expect(world.events).toEqual(['begin a'])
		await host.clock.advance(1)
		await closing
		expect(world.events).toEqual(['begin a', 'stop a'])
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('closes at any moment of its life with nothing left running', async () => {
		for (let turns = 0; turns < 40; turns++) {
			const [world, host] = [new ToyWorld(), manualHost(turns)]
			world.works.push(work('a'), { ...work('b'), until: gate().promise }, work('c', 5000))
			const { maintainer } = stage(world, host)
			for (let turn = 0; turn < turns; turn++) await Promise.resolve()
			await maintainer.close()
			const begun = world.events.filter(event => event.startsWith('begin')).length
			expect(world.events.length).toBe(2 * begun)
			expect(host.clock.pendingTimers).toBe(0)
		}
	})
})

describe('work', () => {
	test('runs several at once, and a place is kept for small work while large work waits', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const gates = [gate(), gate()]
		world.works.push(
			{ ...work('large 1', LARGE_BYTES), until: gates[0]?.promise },
			{ ...work('large 2', LARGE_BYTES), until: gates[1]?.promise },
		)
		const { maintainer } = stage(world, host)
		await settle()
		expect(world.events).toEqual(['begin large 1'])
		world.works.push(work('small 1', LARGE_BYTES - 1), work('small 2'))
		await host.clock.advance(10_000)
		expect(world.events.slice(1)).toEqual(['begin small 1', 'end small 1', 'begin small 2', 'end small 2'])
		expect(maintainer.status().running).toMatchObject([{ id: 1, work: 'merge', bytesTotal: 1000, bytesDone: 500 }])
		gates[0]?.open()
		await settle()
		expect(world.events.slice(-2)).toEqual(['end large 1', 'begin large 2'])
		gates[1]?.open()
		await settle()
		expect(maintainer.status().totals.works).toBe(4)
	})

	test('that fails is set aside for a while, longer each time, and holds up nothing else', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('bad'), error: new Error('a bug') }, work('good'))
		const { maintainer } = stage(world, host)
		await settle()
		expect(world.events).toEqual(['begin bad', 'begin good', 'fail bad', 'end good'])
		await host.clock.advance(120_000)
		const failures = maintainer.status().totals.failures
		expect(failures).toBeGreaterThanOrEqual(5)
		expect(failures).toBeLessThanOrEqual(9)
		expect(maintainer.status()).toMatchObject({ state: 'active', quarantined: [] })
	})

	test('that is postponed has neither failed nor succeeded: what failed before it is not forgotten', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const bad = { ...work('bad'), error: new Error('a bug') }
		world.works.push(bad)
		const { maintainer } = stage(world, host)
		await host.clock.advance(60_000)
		const { failures } = maintainer.status().totals
		expect(failures).toBeGreaterThanOrEqual(5)
		world.works.splice(0, 1, { ...work('bad'), isPostponed: true })
		await host.clock.advance(60_000)
		expect(world.events.at(-1)).toBe('postpone bad')
		expect(maintainer.status().totals).toMatchObject({ works: 0, failures })
		world.works.push(bad)
		// It is met at the next poll, and rests for 16 s at least after the sixth failure: for a second after the first.
		await host.clock.advance(15_000)
		expect(maintainer.status().totals.failures).toBe(failures + 1)
	})

	test('on a table that is damaged is quarantined for an hour, named, and the rest goes on', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const details = { table: 'bad', key: 'sst/bad' }
		const error = new IsleError('ISLE_CORRUPT', 'a block is damaged', { details })
		world.works.push({ ...work('bad'), error }, work('good'))
		const { maintainer, events } = stage(world, host)
		const told = () => events.filter(event => event.channel === 'isledb:quarantine')
		const channel = 'isledb:quarantine'
		const reason = { code: 'ISLE_CORRUPT', message: 'a block is damaged' }
		const named = { channel, kind: 'quarantined', table: 'bad', key: 'sst/bad', error: reason }
		await host.clock.advance(HOUR_MS - 1)
		expect(maintainer.status()).toMatchObject({ quarantined: ['bad'], totals: { works: 1, failures: 1 } })
		expect(maintainer.status().lastError).toEqual(named.error)
		expect(told()).toEqual([named])
		// It is tried again then, and after twice as long when it still is damaged.
		await host.clock.advance(10_000)
		expect(told()).toEqual([named, named])
		await host.clock.advance(2 * HOUR_MS - 20_000)
		expect(maintainer.status()).toMatchObject({ quarantined: ['bad'], totals: { failures: 2 } })
		world.works.splice(0, 1, work('bad'))
		await host.clock.advance(20_000)
		expect(told()).toEqual([named, named, { channel, kind: 'released', table: 'bad', key: 'sst/bad' }])
		expect(maintainer.status()).toMatchObject({ quarantined: [], totals: { works: 2, failures: 2 } })
	})

	test('pauses while the store does not answer, and goes on when it does', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a'))
		world.trouble = new IsleError('ISLE_UNAVAILABLE', 'no answer')
		const { maintainer, events } = stage(world, host)
		await host.clock.advance(HOUR_MS)
		expect(maintainer.status()).toMatchObject({ state: 'standby', lastError: { code: 'ISLE_UNAVAILABLE' } })
		const pauses = events.flatMap(event => (event.kind === 'trouble' ? [event.retryInMs] : []))
		expect(pauses[0]).toBeLessThanOrEqual(1000)
		expect(pauses.length).toBeGreaterThan(60)
		expect(pauses.length).toBeLessThan(130)
		world.trouble = undefined
		await host.clock.advance(60_000)
		expect(world.works).toEqual([])
	})

	test('what no retry mends fails the maintainer for good, and is told', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.trouble = new IsleError('ISLE_UNSUPPORTED', 'a newer format')
		const { maintainer, states } = stage(world, host)
		await host.clock.advance(HOUR_MS)
		expect(world.requests).toBe(1)
		expect(states()).toEqual(['standby → failed'])
		expect(maintainer.status()).toMatchObject({ state: 'failed', lastError: { code: 'ISLE_UNSUPPORTED' } })
		await expect(maintainer.runOnce()).rejects.toMatchObject({ code: 'ISLE_UNSUPPORTED' })
	})
})
