/** Short histories that are run with every crash, and one in every order. */

import type { HistoryScript } from './history-plan.ts'
import type { Operation, PlannedOperation, Role } from './operations.ts'
import type { SimulationSettings } from './settings.ts'

const SMALL: Partial<SimulationSettings> = {
	kind: 'short',
	keys: 2,
	gracePeriodMs: 0,
	changeRetentionMs: 0,
	flushIntervalMs: 0,
	maxCommitsInFlight: 2,
	isMaintained: false,
}

type Step = readonly [role: Role, slot: number, operation: Operation]

function script(settings: Partial<SimulationSettings>, steps: readonly Step[]): HistoryScript {
	const operations = steps.map(
		([role, slot, operation], index): PlannedOperation => ({ index, role, slot, client: 0, operation }),
	)
	return { settings: { ...SMALL, ...settings }, operations }
}

let mutations = 0

function put(key: number, bytes = 20): Operation {
	return { kind: 'write', mutations: [mutation(key, 'put', bytes)], isDurable: true }
}

function mutation(
	key: number,
	kind: 'put' | 'delete',
	bytes = 20,
): (Operation & { kind: 'write' })['mutations'][number] {
	return { id: ++mutations, key, kind, ttlMs: undefined, bytes }
}

const BATCH: Operation = {
	kind: 'batch',
	mutations: [mutation(0, 'put'), mutation(1, 'delete')],
	isDurable: true,
}
const SCAN: Operation = { kind: 'scan', isReverse: false, freshness: 'refreshed' }
const MAINTAIN: Operation = { kind: 'maintain', takeover: 'now' }

export const CRASH_HISTORIES: Readonly<Record<string, HistoryScript>> = {
	'a writer that writes, closes and comes back': script({}, [
		['writer', 0, put(0)],
		['writer', 0, BATCH],
		['writer', 0, { kind: 'flush' }],
		['writer', 0, { kind: 'close' }],
		['writer', 0, put(1)],
		['reader', 0, SCAN],
	]),
	'large values and tables of their own, and a pin': script({ inlineMaxBytes: 0, largeShare: 1 }, [
		['writer', 0, put(0, 1500)],
		['writer', 0, { kind: 'pin', ttlMs: 60_000, isReverse: false }],
		['writer', 0, put(0)],
		['reader', 0, SCAN],
	]),
	'a merge, and its collection without grace': script({ inlineMaxBytes: 0, comesToRest: true }, [
		['writer', 0, put(0)],
		['writer', 0, put(0)],
		['writer', 0, BATCH],
		['maintainer', 0, { kind: 'wait', ms: 1000 }],
		['maintainer', 0, MAINTAIN],
		['maintainer', 0, MAINTAIN],
		['reader', 0, SCAN],
	]),
	'a takeover between commits': script({}, [
		['writer', 0, put(0)],
		['writer', 1, put(0)],
		['writer', 0, put(1)],
		['tail', 0, { kind: 'follow', choice: 0 }],
	]),
}

/** An owner that writes on, two that take over from it, and a collector that merges and deletes without grace. */
export const MEETING: HistoryScript = script({ inlineMaxBytes: 0 }, [
	['writer', 0, put(0)],
	['writer', 0, put(0)],
	['writer', 0, put(0)],
	['writer', 1, put(1)],
	['writer', 2, put(0)],
	['maintainer', 0, MAINTAIN],
])
