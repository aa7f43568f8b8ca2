import { describe, expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import type { TableRef } from '../../src/manifest/manifest.ts'
import { FaultyStore, failBefore, flipBit } from '../support/faulty-store.ts'
import { auditStore } from '../support/store-audit.ts'
import { everything, executing, mergeOf, Rig, settleStore } from './rig.ts'
import { expectClean, rows } from './rig-histories.ts'

describe('a merge that is cut short', () => {
	async function large(): Promise<Rig> {
		const rig = new Rig()
		for (let i = 0; i < 4; i++) await rig.commit(rows(i * 50, 200, `v${i}`), 'object')
		return rig
	}

	test('at its deadline is recorded, and resumed by the next owner where it stopped', async () => {
		const rig = await large()
		const first = await rig.hire()
		let ranges = 0
		const paused = await first.executor.execute(everything(first), executing({ isOver: () => ++ranges > 6 }))
		expect(paused.kind).toBe('paused')
		const [pending] = (await rig.manifest()).pendingMerges
		expect(pending?.outputs.length).toBeGreaterThan(2)
		expect(await rig.rows()).toEqual(rig.expected())
		const second = await rig.hire()
		const done = await second.executor.execute(everything(second), executing())
		expect(done.kind).toBe('done')
		const made = (await rig.manifest()).runs[0]?.tables.map(table => table.id) ?? []
		expect(made).toEqual(expect.arrayContaining(pending?.outputs.map(table => table.id) ?? ['none']))
		const whole = await large()
		const other = await whole.hire()
		const atOnce = await other.executor.execute(everything(other), executing())
		expect(done.entriesRead + paused.entriesRead).toBe(atOnce.entriesRead)
		await expectClean(rig, second)
	})

	test('keeps the tables that had passed by reference before it stopped', async () => {
		const rig = new Rig()
		await rig.commit(rows(0, 20, 'alone'), 'object')
		await rig.commit(rows(100, 150, 'a'), 'object')
		await rig.commit(rows(150, 150, 'b'), 'object')
		const first = await rig.hire()
		let ranges = 0
		const paused = await first.executor.execute(everything(first), executing({ isOver: () => ++ranges > 3 }))
		expect(paused).toMatchObject({ kind: 'paused', tablesPassed: 1 })
		const second = await rig.hire()
		expect((await second.executor.execute(everything(second), executing())).kind).toBe('done')
		expect((await rig.manifest()).runs[0]?.tables[0]?.id).toBe('w1-0')
		await expectClean(rig, second)
	})

	test('by an abort ends at once, records what is done, and deletes the rest', async () => {
		const rig = await large()
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		const abort = new AbortController()
		const reason = new Error('enough')
		let uploads = 0
		faulty.before = call => {
			if (call.operation === 'put' && ++uploads === 5) abort.abort(reason)
			return undefined
		}
		await expect(crew.executor.execute(everything(crew), executing({ signal: abort.signal }))).rejects.toBe(reason)
		const audit = await auditStore(rig.store)
		expect(audit.orphans).toEqual([])
		expect(audit.manifest.pendingMerges[0]?.outputs.length).toBeGreaterThan(0)
		faulty.heal()
		expect((await crew.executor.execute(everything(crew), executing())).kind).toBe('done')
		await expectClean(rig, crew)
	})

	test('by a crash at any request loses nothing and leaves nothing once the next owner has settled', async () => {
		for (let at = 0; at < 400; at++) {
			const own = new Rig()
			for (let i = 0; i < 3; i++) await own.commit(rows(i * 20, 60, `v${i}`), i === 0 ? 'inline' : 'object')
			const faulty = new FaultyStore(own.store)
			faulty.crashAt(at, at % 2 === 0 ? 'before-effect' : 'after-effect')
			await own
				.hire(faulty)
				.then(async crew => {
					await crew.executor.execute(everything(crew), executing())
					await settleStore(crew)
				})
				.catch(() => undefined)
			expect(await own.rows()).toEqual(own.expected())
			const next = await own.hire()
			const { pendingMerges } = next.owner.manifest
			if (next.owner.manifest.l0.length > 0) await next.executor.execute(everything(next), executing())
			else expect(pendingMerges).toEqual([])
			await expectClean(own, next)
			if (!faulty.isCrashed) return
		}
		throw new Error('a merge of more than 400 requests')
	}, 60_000)

	test('by a store that fails at any request fails typed, and is done when tried again', async () => {
		for (let at = 0; at < 200; at++) {
			const rig = new Rig()
			for (let i = 0; i < 3; i++) await rig.commit(rows(i * 20, 60, `v${i}`), 'object')
			const faulty = new FaultyStore(rig.store)
			const crew = await rig.hire(faulty)
			const start = faulty.calls.length
			faulty.before = call => (call.index === start + at ? failBefore() : undefined)
			let failure: unknown
			await crew.executor.execute(everything(crew), executing()).catch((error: unknown) => {
				failure = error
			})
			const wasHit = faulty.calls.length > start + at
			faulty.heal()
			if (failure !== undefined) {
				expect(isIsleError(failure)).toBe(true)
				const next = crew.owner.failure === undefined ? crew : await rig.hire()
				if (next.owner.manifest.l0.length > 0) await next.executor.execute(everything(next), executing())
				await expectClean(rig, next)
			}
			if (!wasHit) return
		}
		throw new Error('a merge of more than 200 requests')
	}, 60_000)
})

describe('an input that cannot be read', () => {
	test('is named, with its object, and others can be merged', async () => {
		const rig = new Rig()
		for (let i = 0; i < 3; i++) await rig.commit(rows(i * 20, 60, `v${i}`), 'object')
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		faulty.fail({ operation: 'getRange', key: 'sst/w1-1', times: 1 }, flipBit(100))
		const failure: unknown = await crew.executor.execute(everything(crew), executing()).catch((error: unknown) => error)
		expect(failure).toMatchObject({ code: 'ISLE_CORRUPT', details: { table: 'w1-1', key: 'sst/w1-1' } })
		expect((await auditStore(rig.store)).orphans).toEqual([])
		const others = crew.owner.manifest.l0.filter((table: TableRef) => table.id === 'w1-0')
		expect((await crew.executor.execute(mergeOf(others), executing())).kind).toBe('done')
		await expectClean(rig, crew)
	})

	test('that is gone is named, if it should be there', async () => {
		const rig = new Rig()
		for (let i = 0; i < 2; i++) await rig.commit(rows(i * 20, 60, `v${i}`), 'object')
		const crew = await rig.hire()
		await rig.store.delete('sst/w1-0')
		const failure: unknown = await crew.executor.execute(everything(crew), executing()).catch((error: unknown) => error)
		expect(failure).toMatchObject({ code: 'ISLE_NOT_FOUND', details: { table: 'w1-0' } })
	})

	test('is no damage when it was deleted by the next owner, which only the log can tell', async () => {
		const rig = new Rig()
		for (let i = 0; i < 2; i++) await rig.commit(rows(i * 20, 60, `v${i}`), 'object')
		const first = await rig.hire()
		const second = await rig.hire()
		await second.executor.execute(everything(second), executing())
		await settleStore(second)
		expect(await rig.keys('sst/w')).toEqual([])
		const failure: unknown = await first.executor
			.execute(everything(first), executing())
			.catch((error: unknown) => error)
		expect(failure).toMatchObject({ code: 'ISLE_FENCED' })
	})
})
