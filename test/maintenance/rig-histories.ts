/** Small histories for tests of maintenance, and what they expect at the end. */
import { expect } from 'vitest'
import type { Collection } from '../../src/maintenance/collector.ts'
import { auditStore } from '../support/store-audit.ts'
import { type Crew, everything, executing, type Mutation, Rig, type RigSettings, settleStore } from './rig.ts'

export function rows(from: number, count: number, tag: string): Mutation[] {
	return Array.from({ length: count }, (_, i) => ({
		key: `key-${String(from + i).padStart(4, '0')}`,
		value: `${tag}-${i}`.padEnd(30, '.'),
	}))
}

export const deletions = (from: number, count: number): Mutation[] =>
	rows(from, count, '').map(({ key }) => ({ key, value: undefined }))

export async function expectClean(rig: Rig, crew: Crew): Promise<void> {
	expect(await rig.rows()).toEqual(rig.expected())
	await settleStore(crew)
	expect(await rig.rows()).toEqual(rig.expected())
	expect(await auditStore(rig.store)).toMatchObject({ missing: [], orphans: [], waiting: [] })
}

export async function commitSome(rig: Rig, tag: string, place: 'inline' | 'object' = 'object'): Promise<void> {
	await rig.commit(
		Array.from({ length: 20 }, (_, i) => ({ key: `key-${i}`, value: `${tag}-${i}` })),
		place,
	)
}

/** Three commits, two of them in objects of their own, merged into one run. */
export async function merged(settings: Partial<RigSettings> = {}): Promise<{ rig: Rig; crew: Crew }> {
	const rig = new Rig(settings)
	await commitSome(rig, 'a')
	await commitSome(rig, 'b', 'inline')
	await commitSome(rig, 'c')
	const crew = await rig.hire()
	await crew.executor.execute(everything(crew), executing())
	return { rig, crew }
}

export async function collectAll({ collector }: Crew): Promise<Collection> {
	for (;;) {
		const collection = await collector.collect()
		if (!collection.hasMore) return collection
	}
}
