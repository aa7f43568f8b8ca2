import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { manualHost, settle } from '../support/manual-clock.ts'
import { gate, HOUR_MS, stage, work } from './toy-maintainer.ts'
import { ToyWorld } from './toy-trade.ts'

describe('runOnce', () => {
	const onDemand = { isContinuous: false } as const

	test('claims, works until nothing is due, leaves a checkpoint and the log to others, and reports', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a', 10), work('b', 20))
		const { maintainer, states } = stage(world, host, ['merge'], onDemand)
		await host.clock.advance(HOUR_MS)
		expect(world.requests).toBe(0)
		const report = await maintainer.runOnce()
		expect(report).toMatchObject({ outcome: 'done', works: 2, bytesWritten: 30, checkpoints: 1, failures: 0 })
		expect(world.manifest.maintainer?.policies).toEqual([])
		expect(states()).toEqual(['resting → active', 'active → resting'])
		expect(await maintainer.runOnce()).toMatchObject({ outcome: 'done', works: 0 })
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('stops in time for its deadline, and the next one goes on', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const slow = gate()
		world.works.push({ ...work('slow'), until: slow.promise })
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		const running = maintainer.runOnce({ deadlineMs: 10_000 })
		await host.clock.advance(7999)
		expect(world.events).toEqual(['begin slow'])
		await host.clock.advance(1)
		expect(world.events).toEqual(['begin slow', 'pause slow'])
		expect(await running).toMatchObject({ outcome: 'deadline', works: 0, checkpoints: 1, durationMs: 8000 })
		slow.open()
		expect(await maintainer.runOnce({ deadlineMs: 10_000 })).toMatchObject({ outcome: 'done', works: 1 })
	})

	test('ends with the reason of its signal, after what ran has been stopped', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push({ ...work('slow'), until: gate().promise })
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		const controller = new AbortController()
		const running = maintainer.runOnce({ signal: controller.signal })
		await settle()
		controller.abort(new Error('enough'))
		await expect(running).rejects.toThrow('enough')
		expect(world.events).toEqual(['begin slow', 'pause slow'])
		expect(maintainer.status().state).toBe('resting')
		expect(() => maintainer.runOnce({ signal: AbortSignal.abort(new Error('before')) })).toThrow('before')
	})

	test('takes the log from its owner, or leaves it alone when it is to be a standby', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		world.works.push(work('a'))
		const owner = stage(world, host)
		await settle()
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		expect(await maintainer.runOnce({ takeover: 'standby' })).toMatchObject({ outcome: 'standby', works: 0 })
		world.works.push(work('b'))
		expect(await maintainer.runOnce()).toMatchObject({ outcome: 'done', works: 1 })
		world.works.push(work('c'))
		await host.clock.advance(30_000)
		// It learns that it was fenced, sees that the other one has left, and goes on.
		expect(owner.states()).toEqual(['standby → active', 'active → fenced', 'fenced → standby', 'standby → active'])
		expect(world.works).toEqual([])
	})

	test('rejects when it is fenced meanwhile, and when the store does not answer', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const slow = gate()
		world.works.push({ ...work('slow'), until: slow.promise })
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		const running = maintainer.runOnce()
		await settle()
		world.claim()
		slow.open()
		await expect(running).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		world.trouble = new IsleError('ISLE_UNAVAILABLE', 'no answer')
		await expect(maintainer.runOnce()).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	})

	test('without a database reports so, and calls at once run one after another', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const { writerPosition } = world.manifest
		world.manifest = { ...world.manifest, writerPosition: { epoch: 0, slot: 0 } }
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		expect(await maintainer.runOnce()).toMatchObject({ outcome: 'no-database' })
		world.manifest = { ...world.manifest, writerPosition }
		world.works.push(work('a'))
		const reports = await Promise.all([maintainer.runOnce(), maintainer.runOnce(), maintainer.runOnce()])
		expect(reports.map(({ works }) => works)).toEqual([1, 0, 0])
	})

	test('goes on with the next call when one has failed, and ends them all when it is closed', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const { maintainer } = stage(world, host, ['merge'], onDemand)
		world.trouble = new IsleError('ISLE_UNAVAILABLE', 'no answer')
		const first = maintainer.runOnce()
		const second = first.catch(() => {
			world.trouble = undefined
			world.works.push({ ...work('slow'), until: gate().promise })
		})
		const third = maintainer.runOnce()
		const fourth = maintainer.runOnce()
		await expect(first).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await second
		await settle()
		const closing = maintainer.close()
		await host.clock.advance(HOUR_MS)
		await closing
		await expect(third).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		await expect(fourth).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
		expect(host.clock.pendingForegroundTimers).toBe(0)
	})

	test('rejects where being fenced has ended the maintainer', async () => {
		const [world, host] = [new ToyWorld(), manualHost()]
		const { maintainer } = stage(world, host, ['merge'], { onFenced: 'stop' })
		world.works.push(work('a'))
		await maintainer.runOnce()
		world.claim()
		world.works.push(work('b'))
		await host.clock.advance(HOUR_MS)
		expect(maintainer.status().state).toBe('fenced')
		await expect(maintainer.runOnce()).rejects.toMatchObject({ code: 'ISLE_FENCED' })
		expect(host.clock.pendingForegroundTimers).toBe(0)
	})
})
