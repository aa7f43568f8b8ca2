import { describe, expect, test } from 'vitest'
import type { RewritePacksChoice } from '../../src/maintenance/choice.ts'
import { FaultyStore, failBefore, flipBit } from '../support/faulty-store.ts'
import { auditStore } from '../support/store-audit.ts'
import { type Crew, everything, executing, Rig, settleStore } from './rig.ts'

const KIB = 1024

function value(tag: string, bytes: number): string {
	return tag.repeat(Math.ceil(bytes / tag.length)).slice(0, bytes)
}

/** A choice for all packs of the state, as a policy would make it. */
function rewriteOf({ owner }: Pick<Crew, 'owner'>): RewritePacksChoice {
	const { l0, runs, blobPacks } = owner.manifest
	const tables = [...l0, ...runs.flatMap(run => run.tables)].filter(table => table.meta.blobRefCount > 0)
	return { kind: 'rewrite-packs', packs: blobPacks, tables, liveBytes: 0, why: 'the test says so' }
}

/** Two packs of five values each, of which a run uses three and L0 two. */
async function sparse(): Promise<Rig> {
	const rig = new Rig()
	const big = (tag: string, sizes: readonly number[]): { key: string; value: string; isBlob: boolean }[] =>
		sizes.map((bytes, i) => ({ key: `${tag}${i}`, value: value(`${tag}${i}/`, bytes), isBlob: true }))
	await rig.commit(big('a', [300 * KIB, 10 * KIB, 600 * KIB, 0, 262_144]))
	const crew = await rig.hire()
	await crew.executor.execute(everything(crew), executing())
	await rig.commit(
		[...big('b', [20 * KIB, 30 * KIB, 40 * KIB, 50 * KIB, 60 * KIB]), { key: 'plain', value: 'p' }],
		'object',
	)
	await rig.commit([
		{ key: 'a0', value: undefined },
		{ key: 'b1', value: 'small now' },
	])
	return rig
}

describe('rewriting sparse packs', () => {
	test('copies live values as they are, rewrites their references in place, and lets the old packs go', async () => {
		const rig = await sparse()
		const crew = await rig.hire()
		// What was overwritten goes, so that packs become sparse.
		await crew.executor.execute(everything(crew), executing())
		const before = crew.owner.manifest
		const done = await crew.executor.execute(rewriteOf(crew), executing())
		expect(done).toMatchObject({ kind: 'done' })
		const after = await rig.manifest()
		expect(after.blobPacks).toHaveLength(1)
		// Eight are live; the empty one lies where the one behind it does.
		expect(after.blobPacks[0]?.valueCount).toBe(7)
		expect(after.blobPacks[0]?.id).toMatch(/^m2-/)
		expect(after.runs.map(run => run.id)).toEqual(before.runs.map(run => run.id))
		expect(after.removed.map(object => object.objectKey)).toEqual(
			expect.arrayContaining(before.blobPacks.map(pack => pack.objectKey)),
		)
		expect(await rig.rows()).toEqual(rig.expected())
		await settleStore(crew)
		expect(await rig.rows()).toEqual(rig.expected())
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
		expect(await rig.keys('blobs/')).toEqual([after.blobPacks[0]?.objectKey])
	})

	test('leaves tables of L0 in L0, and tables of a run in their run', async () => {
		const rig = await sparse()
		const crew = await rig.hire()
		const before = crew.owner.manifest
		expect(before.l0).toHaveLength(2)
		await crew.executor.execute(rewriteOf(crew), executing())
		const after = await rig.manifest()
		expect(after.l0.map(table => table.meta.maxSeq)).toEqual(before.l0.map(table => table.meta.maxSeq))
		expect(after.runs.map(run => run.id)).toEqual(before.runs.map(run => run.id))
		expect(await rig.rows()).toEqual(rig.expected())
		await settleStore(crew)
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
	})

	test('never holds a pack in memory: pieces go from one stream into the other', async () => {
		const rig = await sparse()
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		await crew.executor.execute(rewriteOf(crew), executing())
		expect(faulty.count('get', 'blobs/') + faulty.count('getRange', 'blobs/') + faulty.count('put', 'blobs/')).toBe(0)
		expect(faulty.count('createFromStream', 'blobs/')).toBe(1)
	})

	test('that fails at any request leaves no object behind and the state as it was, or the work done', async () => {
		for (let at = 0; at < 100; at++) {
			const rig = await sparse()
			const faulty = new FaultyStore(rig.store)
			const crew = await rig.hire(faulty)
			const start = faulty.calls.length
			faulty.before = call => (call.index === start + at ? failBefore() : undefined)
			let hasFailed = false
			await crew.executor.execute(rewriteOf(crew), executing()).catch(() => {
				hasFailed = true
			})
			const wasHit = faulty.calls.length > start + at
			faulty.heal()
			expect(await rig.rows()).toEqual(rig.expected())
			const next = crew.owner.failure === undefined ? crew : await rig.hire()
			await settleStore(next)
			expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
			if (!wasHit) {
				expect(hasFailed).toBe(false)
				return
			}
		}
		throw new Error('a rewrite of more than 100 requests')
	}, 60_000)

	test('does not copy damage: the pack is named, and stays', async () => {
		const rig = await sparse()
		const faulty = new FaultyStore(rig.store)
		const crew = await rig.hire(faulty)
		faulty.fail({ operation: 'getStream', key: 'blobs/', times: 1 }, flipBit(999))
		const failure: unknown = await crew.executor.execute(rewriteOf(crew), executing()).catch((error: unknown) => error)
		expect(failure).toMatchObject({ code: 'ISLE_CORRUPT' })
		expect(String(failure)).toContain('blobs/w1-')
		expect(await rig.rows()).toEqual(rig.expected())
		expect((await auditStore(rig.store)).orphans).toEqual([])
	})

	test('of values that only older versions use drops them and adds no pack', async () => {
		const rig = new Rig()
		await rig.commit([
			{ key: 'k', value: value('gone', 5000), isBlob: true },
			{ key: 'k', value: 'now small' },
		])
		const crew = await rig.hire()
		expect(crew.owner.manifest.blobPacks).toHaveLength(1)
		expect((await crew.executor.execute(rewriteOf(crew), executing())).kind).toBe('done')
		expect((await rig.manifest()).blobPacks).toEqual([])
		expect(await rig.rows()).toEqual(rig.expected())
		await settleStore(crew)
		expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
	})
})
