/**
 * A FencedLog of short texts over any store, with checkpoints that hold the texts as JSON: what the tests of the log
 * itself need of a database. Checkpoints are named by their position: `checkpoint/<epoch>/<slot>`.
 */
import type { RetryBudget } from '../../src/host/backoff.ts'
import { claimLog, type LogReplay } from '../../src/log/claim.ts'
import { FencedLog } from '../../src/log/fenced-log.ts'
import type { LogOwner } from '../../src/log/log-owner.ts'
import { comparePositions, LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import type { LogRecord } from '../../src/log/record.ts'
import type { ObjectStore, RequestOptions } from '../../src/object-store/object-store.ts'
import { type ManualHost, manualHost } from './manual-clock.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const digits = (value: number): string => String(value).padStart(16, '0')

export function textCheckpointKey(position: LogPosition): string {
	return `checkpoint/${digits(position.epoch)}/${digits(position.slot)}`
}

async function newestTextCheckpoint(
	store: ObjectStore,
	options: RequestOptions = {},
): Promise<LogPosition | undefined> {
	const { objects } = await store.list({ ...options, prefix: 'checkpoint/' })
	const parts = objects.at(-1)?.key.split('/')
	return parts === undefined ? undefined : { epoch: Number(parts[1]), slot: Number(parts[2]) }
}

export function openTextLog(store: ObjectStore): FencedLog {
	return new FencedLog({ store, folder: 'log', newestCheckpoint: options => newestTextCheckpoint(store, options) })
}

export class TextReplay implements LogReplay {
	readonly #store: ObjectStore
	texts: string[] = []
	restarts = 0

	constructor(store: ObjectStore) {
		this.#store = store
	}

	async restart(options: RequestOptions): Promise<LogPosition> {
		this.restarts++
		for (;;) {
			this.texts = []
			const newest = await newestTextCheckpoint(this.#store, options)
			if (newest === undefined) return LOG_START
			const bytes = await this.#store.get(textCheckpointKey(newest), options)
			if (bytes === undefined) continue
			this.texts = JSON.parse(decoder.decode(bytes))
			return newest
		}
	}

	apply(record: LogRecord): void {
		this.texts.push(decoder.decode(record.body))
	}
}

export async function writeTextCheckpoint(
	store: ObjectStore,
	position: LogPosition,
	texts: readonly string[],
): Promise<void> {
	await store.createIfAbsent(textCheckpointKey(position), encoder.encode(JSON.stringify(texts)))
}

/** Deletes every commit below `position`, as a collector without grace would; seals stay. */
export async function deleteCommitsBelow(log: FencedLog, store: ObjectStore, position: LogPosition): Promise<void> {
	for (const { key } of (await store.list({ prefix: 'log/' })).objects) {
		const [, epoch, slot] = key.split('/')
		const at = { epoch: Number(epoch), slot: Number(slot) }
		if (comparePositions(at, position) >= 0) continue
		if ((await log.readSlot(at))?.kind === 'commit') await store.delete(key)
	}
}

export interface Claimed {
	readonly log: FencedLog
	readonly owner: LogOwner
	readonly texts: readonly string[]
	readonly host: ManualHost
	readonly replay: TextReplay
}

let claims = 0

/** Each claim has a seed of its own: owners and nonces must differ. */
export async function claimText(
	store: ObjectStore,
	options: RequestOptions & { readonly retryBudget?: RetryBudget; readonly host?: ManualHost } = {},
): Promise<Claimed> {
	const log = openTextLog(store)
	const replay = new TextReplay(store)
	const host = options.host ?? manualHost(++claims)
	const owner = await claimLog({ log, host, replay, signal: options.signal, retryBudget: options.retryBudget })
	return { log, owner, texts: replay.texts, host, replay }
}

export function appendText(owner: LogOwner, text: string): Promise<void> {
	return owner.append(encoder.encode(text), []).committed
}
