/** A database that maintains itself on a clock that is driven by hand, a model of what it holds, and what it says. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach } from 'vitest'
import {
	createInlinePool,
	type Database,
	type MaintenanceEvent,
	type ObjectStore,
	type OpenOptions,
	open,
	openStore,
} from '../../src/index.ts'
import { type ManualHost, manualHost } from '../support/manual-clock.ts'

export const HOUR_MS = 3_600_000
/** Small tables, each an object of its own, merged four at a time. */
export const small = {
	flushIntervalMs: 0,
	inlineMaxBytes: 1024,
	compaction: { targetTableBytes: 1_048_576, l0Tables: 4 },
} as const
/** What was removed goes as soon as a checkpoint covers it. */
export const noGrace = { gracePeriodMs: 0, changeRetentionMs: 0 } as const
/** Every read asks the store. */
export const noCaches = { blockCacheBytes: 0, tableCacheBytes: 0 } as const

/** A store whose clock is that of the host. */
export async function stage(seed: number): Promise<[ObjectStore, ManualHost]> {
	const host = manualHost(seed)
	return [await openStore('memory:', { host }), host]
}

export function opened(store: ObjectStore, host: ManualHost, options: OpenOptions = {}): Promise<Database> {
	return open(store, { ...small, host, pool: createInlinePool(host), ...options })
}

/** Commits `rounds` tables of random overwrites and deletes, and answers what must be there. */
export async function ingest(
	db: Database,
	host: ManualHost,
	rounds: number,
	model: Map<string, string> = new Map(),
): Promise<Map<string, string>> {
	for (let round = 0; round < rounds; round++) {
		for (let i = 0; i < 200; i++) {
			const key = `key ${Math.floor(host.random.next() * 500)}`
			if (host.random.next() < 0.2) {
				await db.delete(key)
				model.delete(key)
			} else {
				// Nothing that compresses: a table is large enough to count in L0.
				const value = Buffer.from(host.random.bytes(200 + Math.floor(host.random.next() * 400))).toString('hex')
				await db.put(key, value)
				model.set(key, value)
			}
		}
		await db.flush()
		await host.clock.advance(300)
	}
	return model
}

export async function rowsOf(db: { entries(): AsyncIterable<[string, string]> }): Promise<[string, string][]> {
	const rows: [string, string][] = []
	for await (const row of db.entries()) rows.push(row)
	return rows
}

export function sorted(model: ReadonlyMap<string, string>): [string, string][] {
	return [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
	const { objects } = await store.list({ prefix })
	return objects.map(object => object.key)
}

const listening: (() => void)[] = []

afterEach(() => {
	for (const end of listening.splice(0)) end()
})

type Said<Event, Channel> = Event extends { readonly channel: infer Name }
	? Channel extends Name
		? Event
		: never
	: never

/** Everything that a channel says until the test ends. */
export function heardOn<Channel extends MaintenanceEvent['channel']>(
	channel: Channel,
): Said<MaintenanceEvent, Channel>[] {
	const heard: Said<MaintenanceEvent, Channel>[] = []
	// A channel carries what its name says.
	const listen = (event: unknown): void => void heard.push(event as Said<MaintenanceEvent, Channel>)
	subscribe(channel, listen)
	listening.push(() => unsubscribe(channel, listen))
	return heard
}
