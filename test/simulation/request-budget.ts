/** What something may ask of the store, and whether it asks for more: judged while nobody else is at work. */

import type { LogPosition } from '../../src/log/log-position.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { LOOK_BEHIND_SLOTS, OPEN_WINDOW_SLOTS } from './engine.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Stage } from './stage.ts'

/** At the most. */
export interface Budget {
	readonly reads: number
	readonly lists: number
	readonly writes: number
	/** Requests that follow one another. */
	readonly rounds: number
}

export const NOTHING: Budget = { reads: 0, lists: 0, writes: 0, rounds: 0 }
export const HOUR_MS = 3_600_000
const ROUND_MS = 1000

/**
 * Runs it, and compares. How many requests follow one another is told by the time: each takes a second here, and nothing else takes
 * any. A budget that depends on what came of it is made then; undefined: nothing can be said of it.
 */
export async function judgeCost<Result>(
	stage: Stage,
	process: SimulatedProcess,
	what: string,
	budget: Budget | ((result: Result) => Budget | undefined),
	run: () => Promise<Result>,
): Promise<Result | typeof DEAD> {
	const { world } = stage
	const { store } = process
	const before = { ...store.counts }
	const beganMs = world.nowMs
	store.latencyMs = ROUND_MS
	world.isPunctual = true
	const result = await process.whileAlive(run())
	store.latencyMs = 0
	world.isPunctual = false
	const cost: Budget = {
		reads: store.counts.reads - before.reads,
		lists: store.counts.lists - before.lists,
		writes: store.counts.writes - before.writes,
		rounds: Math.ceil((world.nowMs - beganMs) / ROUND_MS),
	}
	stage.trace(() => `${what}: ${shown(cost)}`)
	const most = typeof budget === 'function' ? (result === DEAD ? undefined : budget(result)) : budget
	if (most === undefined) return result
	const { reads, lists, writes, rounds } = most
	if (cost.reads > reads || cost.lists > lists || cost.writes > writes || cost.rounds > rounds) {
		stage.fault(`${what} costs ${shown(cost)}, and may cost ${shown(most)}`)
	}
	return result
}

/** Each log behind the newest checkpoint, in windows; what stands behind their ends; two looks; of a writer its seal. */
export function openingBudget(stage: Stage, manifest: Manifest, writes: number): Budget {
	const names = stage.objects.keys('checkpoints/').sort()
	const [, ...digits] = /^checkpoints\/(\d+)-(\d+)_(\d+)-(\d+)$/.exec(names.at(-1) ?? '') ?? []
	const [maintenanceEpoch = 0, maintenanceSlot = 0, writerEpoch = 0, writerSlot = 0] = digits.map(Number)
	const { writerPosition, maintenancePosition } = manifest
	const reads =
		logReads(stage, 'log', { epoch: writerEpoch, slot: writerSlot }, writerPosition) +
		logReads(stage, 'maintenance', { epoch: maintenanceEpoch, slot: maintenanceSlot }, maintenancePosition)
	return { reads: reads + 1, lists: 2, writes, rounds: Number.POSITIVE_INFINITY }
}

function logReads(stage: Stage, folder: string, from: LogPosition, to: LogPosition): number {
	const { kind } = stage.settings
	const begin = `${folder}/${digitsOf(from.epoch)}/${digitsOf(from.slot)}`
	const records = stage.objects.keys(`${folder}/`).filter(key => key >= begin).length
	const epochs = to.epoch - from.epoch + 1
	// The maintenance log is read along, always in windows of as many.
	const windowSlots = OPEN_WINDOW_SLOTS[folder === 'log' ? kind : 'long']
	return 2 * records + epochs * windowSlots + LOOK_BEHIND_SLOTS[kind] + 1
}

function shown({ reads, lists, writes, rounds }: Budget): string {
	return `${reads} GET, ${lists} LIST, ${writes} PUT, ${rounds} in sequence`
}

function digitsOf(value: number): string {
	return String(value).padStart(16, '0')
}
