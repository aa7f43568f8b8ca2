import { describe, expect, test } from 'vitest'
import { NO_MEMORY } from '../../src/maintenance/maintainer-parts.ts'
import type { MaintenanceHint } from '../../src/maintenance/maintainer-status.ts'
import {
	type MaintenanceNotice,
	type MaintenanceReport,
	ResidentMaintenance,
} from '../../src/maintenance/resident-maintenance.ts'
import { NO_TOTALS } from '../../src/maintenance/work-totals.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { manualHost, settle } from '../support/manual-clock.ts'

function nobody(): void {}

/** A resident with doors of toys: what they are told, and how they end. */
function stage() {
	const host = manualHost()
	const world = {
		manifest: { ...EMPTY_MANIFEST, writerPosition: { epoch: 1, slot: 1 } } as Manifest,
		hasWork: false,
		refreshes: 0,
		refreshTrouble: undefined as unknown,
		startTrouble: undefined as unknown,
		starts: [] as boolean[],
		hints: [] as MaintenanceHint[],
		open: 0,
		notify: nobody as (notice: MaintenanceNotice) => void,
		die: nobody as (error: unknown) => void,
	}
	const resident = new ResidentMaintenance({
		host,
		storeUrl: 'memory:toy',
		writerEpoch: 1,
		judge: {
			policies: ['merge'],
			hasWork: () => world.hasWork,
			isUndone: () => world.hasWork,
			nextDueMs: () => undefined,
		},
		manifest: () => world.manifest,
		async refresh() {
			world.refreshes++
			if (world.refreshTrouble !== undefined) throw world.refreshTrouble
		},
		protectedPosition: () => world.manifest.maintenancePosition,
		onEdited: () => undefined,
		async start({ claimAtOnce, onNotice, onDeath }) {
			if (world.startTrouble !== undefined) throw world.startTrouble
			world.starts.push(claimAtOnce)
			world.open++
			world.notify = onNotice
			world.die = error => {
				world.open--
				onDeath(error)
			}
			return {
				async hint(hint) {
					world.hints.push(hint)
				},
				async close() {
					world.open--
				},
			}
		},
	})
	return { host, world, resident }
}

function stateNotice(to: 'active' | 'failed', lastError?: MaintenanceReport['lastError']): MaintenanceNotice {
	const event = { channel: 'isledb:maintenance', kind: 'state', from: 'standby', to, why: 'a test', epoch: 1 } as const
	const report = {
		state: to,
		epoch: 1,
		policies: ['merge'],
		owner: undefined,
		unserved: [],
		running: [],
		totals: { ...NO_TOTALS, works: 3 },
		memory: NO_MEMORY,
		quarantined: [],
		timesFenced: 0,
		lastError,
		requests: undefined,
		pool: undefined,
	}
	return { kind: 'event', event, report }
}

describe('the maintainer of a writer', () => {
	test('rests while there is no work, whatever is committed: nothing is started and nothing asked', async () => {
		const { host, world, resident } = stage()
		for (let commit = 0; commit < 100; commit++) {
			resident.noteCommit()
			await host.clock.advance(100)
		}
		expect(world).toMatchObject({ starts: [], refreshes: 0 })
		expect(resident.status()).toMatchObject({ state: 'resting', unserved: ['merge'], deaths: 0 })
		await host.clock.advance(1000)
		expect(host.clock.pendingTimers).toBe(0)
		await resident.close()
	})

	test('starts when there is work that nobody elsewhere has done, and claims at once where nobody owns the log', async () => {
		const { host, world, resident } = stage()
		world.hasWork = true
		resident.noteCommit()
		await host.clock.advance(0)
		expect(world).toMatchObject({ starts: [true], refreshes: 1 })
		await host.clock.advance(250)
		expect(world.hints).toEqual([{ hasCommits: true, protectedPosition: { epoch: 0, slot: 0 } }])
		await resident.close()
		expect(world.open).toBe(0)
	})

	test('starts as a standby while somebody else owns the log', async () => {
		const { host, world, resident } = stage()
		world.manifest = { ...world.manifest, maintainer: { policies: ['age'], writerEpoch: 0 } }
		world.hasWork = true
		resident.noteCommit()
		await host.clock.advance(0)
		expect(world.starts).toEqual([false])
		expect(resident.status()).toMatchObject({ unserved: ['merge'], owner: { policies: ['age'] } })
		await resident.close()
	})

	test('is told of commits four times a second at the most, and of what is still read when that changes', async () => {
		const { host, world, resident } = stage()
		world.hasWork = true
		resident.noteCommit()
		await host.clock.advance(1000)
		world.hints.length = 0
		for (let commit = 0; commit < 1000; commit++) {
			resident.noteCommit()
			await host.clock.advance(10)
		}
		expect(world.hints.length).toBeGreaterThan(35)
		expect(world.hints.length).toBeLessThanOrEqual(41)
		world.hasWork = false
		await host.clock.advance(1000)
		world.hints.length = 0
		resident.noteChange()
		await host.clock.advance(1000)
		expect(world.hints).toEqual([])
		world.manifest = { ...world.manifest, maintenancePosition: { epoch: 1, slot: 7 } }
		resident.noteChange()
		await host.clock.advance(1000)
		expect(world.hints).toEqual([{ hasCommits: false, protectedPosition: { epoch: 1, slot: 7 } }])
		await resident.close()
	})

	test('that dies is told of and replaced after a pause, longer each time, and again short once one was active', async () => {
		const { host, world, resident } = stage()
		world.hasWork = true
		resident.noteCommit()
		await host.clock.advance(0)
		const pauses: number[] = []
		for (let death = 1; death <= 8; death++) {
			world.die(new Error('gone'))
			expect(resident.status()).toMatchObject({ state: 'resting', deaths: death, lastError: { message: 'gone' } })
			const from = host.clock.monotonicMs()
			while (world.starts.length === death) await host.clock.advance(50)
			pauses.push(host.clock.monotonicMs() - from)
		}
		expect(pauses[0]).toBeLessThanOrEqual(1050)
		expect(pauses[0]).toBeGreaterThanOrEqual(500)
		expect(pauses.at(-1)).toBeGreaterThanOrEqual(30_000)
		expect(pauses.at(-1)).toBeLessThanOrEqual(60_050)
		world.notify(stateNotice('active'))
		expect(resident.status()).toMatchObject({ state: 'active', totals: { works: 3 }, deaths: 8 })
		world.die(new Error('gone'))
		await host.clock.advance(1050)
		expect(world.starts).toHaveLength(10)
		expect(world.open).toBe(1)
		await resident.close()
		expect(host.clock.pendingTimers).toBe(0)
	})

	test('that has failed is ended and replaced', async () => {
		const { host, world, resident } = stage()
		world.hasWork = true
		resident.noteCommit()
		await host.clock.advance(0)
		const damage = { code: 'ISLE_CORRUPT', message: 'a record is not what was written' }
		world.notify(stateNotice('failed', damage))
		await settle()
		expect(world.open).toBe(0)
		expect(resident.status().lastError).toEqual(damage)
		await host.clock.advance(1050)
		expect(world.starts).toHaveLength(2)
		await resident.close()
	})

	test('is not started, and asked for again later, while the store does not answer or nothing can be started', async () => {
		const { host, world, resident } = stage()
		world.hasWork = true
		world.refreshTrouble = new Error('no answer')
		resident.noteCommit()
		await host.clock.advance(600_000)
		expect(world.refreshes).toBeGreaterThan(10)
		expect(world.refreshes).toBeLessThan(30)
		expect(resident.status()).toMatchObject({ deaths: 0, lastError: { message: 'no answer' } })
		world.refreshTrouble = undefined
		world.startTrouble = new Error('no thread')
		await host.clock.advance(120_000)
		expect(resident.status().deaths).toBeGreaterThan(0)
		world.startTrouble = undefined
		await host.clock.advance(60_000)
		expect(world.starts).toHaveLength(1)
		await resident.close()
	})

	test('closes at any moment of its start with nothing left', async () => {
		for (let turns = 0; turns < 12; turns++) {
			const { host, world, resident } = stage()
			world.hasWork = true
			resident.noteCommit()
			const advancing = host.clock.advance(0)
			for (let turn = 0; turn < turns; turn++) await Promise.resolve()
			if (turns > 6) await settle()
			await resident.close()
			await advancing
			expect(world.open).toBe(0)
			expect(host.clock.pendingTimers).toBe(0)
		}
	})
})
