/**
 * Bringing a history to rest, and what may be left in the store then: nothing but what is known to stay, see the limits in README.md.
 */
import { checkpointKey } from '../../src/manifest/checkpoint.ts'
import type { Manifest } from '../../src/manifest/manifest.ts'
import { type Audit, auditStore } from '../support/store-audit.ts'
import { openSimulatedCompactor } from './maintainer-client.ts'
import { DEAD } from './simulated-process.ts'
import { latestTrustedMs, type Stage } from './stage.ts'
import { missingObjects, sealsOf } from './standing-state.ts'
import { WriterClient } from './writer-client.ts'

/** Runs the world until `work` has ended. */
export type Finish = <Value>(what: string, work: Promise<Value>) => Promise<Value>

const ROUNDS_MAX = 10
const HOUR_MS = 3_600_000

export async function bringToRest(stage: Stage, finish: Finish): Promise<void> {
	const writer = new WriterClient(stage, 9)
	// Epochs that have ended are swept; that of whoever closed in good order has nothing to be swept.
	const flush = { index: -1, role: 'writer', slot: 9, client: 0, operation: { kind: 'flush' } } as const
	await finish('the last writer', writer.run(flush))
	await finish('the last writer', writer.close())
	// One whose clock is wrong deletes nothing that waits for time.
	const process = stage.start('last-maintainer', true)
	const compactor = await openSimulatedCompactor(stage, process, true)
	let audit: Audit | undefined
	for (let round = 0; round < ROUNDS_MAX; round++) {
		const run = process.whileAlive(compactor.runOnce({ deadlineMs: HOUR_MS }))
		if ((await finish('the last maintainer', run)) === DEAD) break
		await finish('hours', stage.world.sleep(3 * HOUR_MS))
		audit = await auditHistory(stage)
		if (leftOver(stage, audit).length === 0) break
	}
	stage.trace(() => `at rest: ${JSON.stringify(compactor.status())}`)
	if (audit !== undefined) judgeAudit(stage, audit)
	await finish('closing', compactor.close())
}

/** Nothing that the state needs may be missing. */
export function judgeMissing(stage: Stage): void {
	for (const key of missingObjects(stage.objects, lastingPins(stage))) stage.fault(`missing: ${key}`)
}

function auditHistory(stage: Stage): Promise<Audit> {
	return auditStore(stage.objects.direct, lastingPins(stage))
}

/** Of pins only those count of which their makers were told, and which last: the PUT of one that has ended may come again. */
function lastingPins({ pins, world }: Stage): (name: string) => boolean {
	const lasting = pins.filter(({ isReleased, expiresMs }) => !isReleased && latestTrustedMs(world.nowMs) < expiresMs)
	return name => lasting.some(pin => pin.name === name)
}

function judgeAudit(stage: Stage, audit: Audit): void {
	for (const key of audit.missing) stage.fault(`missing: ${key}`)
	const why = (key: string): string => (audit.waiting.includes(key) ? 'never deleted' : 'nobody knows of')
	for (const key of leftOver(stage, audit)) stage.fault(`${why(key)}: ${key}`)
	for (const key of unusedPacks(audit.manifest)) stage.fault(`no table uses it any more: ${key}`)
}

/** Of which no value is live. */
function unusedPacks({ l0, runs, blobPacks }: Manifest): string[] {
	const tables = [...l0, ...runs.flatMap(run => run.tables)]
	const used = new Set(tables.flatMap(({ meta }) => meta.blobUses.map(use => use.packId)))
	return blobPacks.filter(({ id }) => !used.has(id)).map(({ objectKey }) => objectKey)
}

function leftOver(stage: Stage, { orphans, waiting, manifest: { announced } }: Audit): string[] {
	// A checkpoint that its maintainer did not live to announce goes when a later one is announced.
	const announcedKey = announced === undefined ? '' : checkpointKey(announced)
	const isUnannounced = (key: string): boolean => key.startsWith('checkpoints/') && key > announcedKey
	return [...orphans, ...waiting].filter(key => !isKnownLeak(stage, key) && !isUnannounced(key))
}

function isKnownLeak({ objects }: Stage, key: string): boolean {
	// A repeated PUT came after the object was deleted; a probe was cut short.
	if (objects.revived.has(key) || key.startsWith('probe/')) return true
	const [, log, epoch] = /^(?:sst|blobs)\/([wsm])(\d+)-/.exec(key) ?? []
	if (log === undefined || epoch === undefined) return false
	// Whoever was fenced without knowing it uploads when the orphans of its epoch have been collected.
	const created = objects.creations.get(key)?.stamp ?? 0
	return sealsOf(objects, log === 'm' ? 'maintenance' : 'log', Number(epoch)).some(({ stamp }) => stamp < created)
}
