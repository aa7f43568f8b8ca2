/** Planted bugs: what a maintainer stands on, with one thing wrong. Histories must find each of them. */

import type { MaintenanceGround } from '../../src/maintenance/maintenance-actor.ts'
import { DatabaseLogs } from '../../src/manifest/database-logs.ts'
import { loadManifest } from '../../src/manifest/manifest-replay.ts'
import type { Body, CreateOutcome, ListOptions, ListPage, RequestOptions } from '../../src/object-store/object-store.ts'
import type { Job, JobPool } from '../../src/runtime/job-pool.ts'
import type { MergeTablesInput } from '../../workers/merge-job.ts'
import { PassThroughStore } from '../support/pass-through-store.ts'

export const PLANTED_BUGS = [
	'drops tombstones though older entries are left',
	'takes entries for expired that are not',
	'leaves an input of a merge out',
	'deletes what was removed before it is announced',
	'does not look at pins',
	'leaves behind what nobody refers to',
	'deletes commits that tails may still read',
] as const
export type PlantedBug = (typeof PLANTED_BUGS)[number]

export function plant(bug: PlantedBug | undefined, ground: MaintenanceGround): MaintenanceGround {
	switch (bug) {
		case undefined:
			return ground
		case 'drops tombstones though older entries are left':
			return { ...ground, pool: changedMerges(ground.pool, input => ({ ...input, dropTombstones: true })) }
		case 'takes entries for expired that are not':
			return {
				...ground,
				pool: changedMerges(ground.pool, input => ({ ...input, expireBeforeMs: Number.MAX_SAFE_INTEGER })),
			}
		case 'leaves an input of a merge out':
			return { ...ground, pool: changedMerges(ground.pool, input => ({ ...input, sources: input.sources.slice(1) })) }
		default:
			return { ...ground, store: new FaultyGround(ground.store, bug) }
	}
}

function changedMerges(pool: JobPool, change: (input: MergeTablesInput) => MergeTablesInput): JobPool {
	return {
		run(name, make, options) {
			if (name !== 'merge-tables') return pool.run(name, make, options)
			const changed = (): ReturnType<typeof make> => {
				const job = make()
				// The name says which input it is.
				return { ...job, input: change(job.input as MergeTablesInput) } as Job<typeof name>
			}
			return pool.run(name, changed, options)
		},
		stats: () => pool.stats(),
		close: () => pool.close(),
	}
}

class FaultyGround extends PassThroughStore {
	readonly #bug: PlantedBug

	constructor(inner: MaintenanceGround['store'], bug: PlantedBug) {
		super(inner)
		this.#bug = bug
	}

	override async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const outcome = await super.createIfAbsent(key, body, options)
		if (!key.startsWith('maintenance/') || outcome.kind !== 'created') return outcome
		if (this.#bug === 'deletes what was removed before it is announced') {
			const { removed } = await loadManifest(new DatabaseLogs(this.inner))
			const doomed = removed.map(object => object.objectKey).filter(object => !object.startsWith('log/'))
			if (doomed.length > 0) await super.deleteMany(doomed)
		}
		if (this.#bug === 'deletes commits that tails may still read') {
			const { announced, l0 } = await loadManifest(new DatabaseLogs(this.inner))
			const page = await super.list({ prefix: 'log/' })
			const end = announced === undefined ? '' : new DatabaseLogs(this.inner).writer.key(announced.writerPosition)
			const live = new Set(l0.map(table => table.objectKey))
			// Seals are small.
			const doomed = page.objects.filter(object => object.key < end && object.bytes > 100 && !live.has(object.key))
			if (doomed.length > 0) await super.deleteMany(doomed.map(object => object.key))
		}
		return outcome
	}

	override async list(options?: ListOptions): Promise<ListPage> {
		if (this.#bug === 'does not look at pins' && options?.prefix === 'pins/') return { objects: [], isTruncated: false }
		return await super.list(options)
	}

	override deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		const leaks = this.#bug === 'leaves behind what nobody refers to'
		return super.deleteMany(leaks ? keys.filter(key => !key.startsWith('sst/m')) : keys, options)
	}

	override async delete(key: string, options?: RequestOptions): Promise<void> {
		await this.deleteMany([key], options)
	}
}
