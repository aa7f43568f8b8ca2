/** States that are read again later, by anybody: those of the past, and those of pins. */

import { isIsleError } from '../../src/errors.ts'
import type { Database } from '../../src/index.ts'
import { decodePosition } from '../../src/log/log-position-codec.ts'
import type { PastState, WriterLife } from './history-record.ts'
import type { Operation } from './operations.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import { type KnownPin, latestTrustedMs, type ReadingPlan, type Stage, surelyAccepted, TRUST_MS } from './stage.ts'
import { firstBehind } from './truth.ts'

/** Who makes or reads them: a process that reads, or that of a writer. */
interface Place {
	readonly process: SimulatedProcess
	readonly db: Source
	readonly life: WriterLife | undefined
}

type Source = Pick<Database, 'at' | 'pin' | 'openPin' | 'releasePin'>
type OperationOf<Kind extends Operation['kind']> = Operation & { readonly kind: Kind }
export type KeptOperation = OperationOf<'past' | 'pin' | 'open-pin' | 'release-pin'>

/** Times of the past are drawn from so long. */
const PAST_MAX_MS = 7_200_000
const RATE_SLACK = 1.6

export function isKeptOperation(operation: Operation): operation is KeptOperation {
	return ['past', 'pin', 'open-pin', 'release-pin'].includes(operation.kind)
}

export async function runKept(stage: Stage, place: Place, operation: KeptOperation): Promise<void> {
	switch (operation.kind) {
		case 'past':
			return await readPast(stage, place, operation)
		case 'pin':
			return await makePin(stage, place, operation)
		case 'open-pin':
			return await readPin(stage, place, operation)
		case 'release-pin':
			return await releasePin(stage, place, operation)
	}
}

interface KnownPoint {
	readonly point: Parameters<Source['at']>[0]
	readonly past: PastState
	/** True time since when it may be gone. */
	readonly sinceMs: number
}

async function readPast(stage: Stage, { process, db, life }: Place, operation: OperationOf<'past'>): Promise<void> {
	const known = pointOf(stage, process, life, operation)
	if (known === undefined) return
	const calledAt = stage.world.stamp()
	try {
		const snapshot = await process.whileAlive(db.at(known.point))
		if (snapshot === DEAD) return
		// Nobody sees beyond his own clock, which was set back meanwhile.
		if (known.past.kind === 'time' && process.nowMs() < known.past.timeMs) return
		const plan = { what: 'past', life: undefined, isStrong: false, past: known.past, snapshot: undefined, calledAt }
		const read = (): ReturnType<Stage['scan']> => stage.scan(snapshot.entries(), false)
		if ((await stage.reading(process, plan, read)) !== DEAD) await process.whileAlive(snapshot.close())
	} catch (error) {
		const { changeRetentionMs } = stage.settings
		// Changes grow old by the clock of their writer, which may be hours behind.
		const behind = firstBehind(stage.objects, known.past)
		const sinceMs = Math.min(known.sinceMs, behind?.committedAtMs ?? Number.POSITIVE_INFINITY)
		const mayBeGone = (latestTrustedMs(stage.world.nowMs) - sinceMs) * RATE_SLACK >= changeRetentionMs
		if (!mayBeGone || !isIsleError(error, 'ISLE_EXPIRED')) throw error
	}
}

function pointOf(
	stage: Stage,
	process: SimulatedProcess,
	life: WriterLife | undefined,
	{ by, choice }: OperationOf<'past'>,
): KnownPoint | undefined {
	const { world, positions, cursors } = stage
	if (by === 'time') {
		const agoMs = Math.floor(choice * PAST_MAX_MS)
		const timeMs = process.nowMs() - agoMs
		const past: PastState = { kind: 'time', timeMs, writerEpoch: life?.epoch }
		return { point: { timeMs }, past, sinceMs: world.nowMs - agoMs - TRUST_MS }
	}
	const known = by === 'position' ? oneOf(positions, choice) : undefined
	if (known !== undefined) {
		const { position, seenMs } = known
		return { point: position, past: { kind: 'position', position: decodePosition(position) }, sinceMs: seenMs }
	}
	const cursor = oneOf(cursors, choice)
	if (cursor === undefined) return undefined
	return { point: cursor.cursor, past: { kind: 'seq', seq: cursor.seq }, sinceMs: cursor.seenMs }
}

async function makePin(
	stage: Stage,
	{ process, db, life }: Place,
	{ ttlMs, isReverse }: OperationOf<'pin'>,
): Promise<void> {
	const snapshot = stage.nextSnapshot()
	const name = `pin ${snapshot}`
	const nowMs = process.nowMs()
	const isNothingYet = stage.record.lives.length === 0
	try {
		// A writer that was fenced without knowing it pins what it knows.
		const least = {
			isStrong: life === undefined,
			calledAt: stage.world.stamp(),
			leastSeq: life === undefined ? undefined : life.baseSeq + surelyAccepted(life),
		}
		const pin = await process.whileAlive(db.pin(name, { ttlMs }))
		if (pin === DEAD) return
		const { createdMs, expiresMs } = pin
		const known = { name, snapshot, createdMs, expiresMs, isReleased: false }
		stage.pins.push(known)
		await readAndClose(stage, process, pin, known, isReverse, least)
	} catch (error) {
		// There is nothing yet.
		if (isIsleError(error, 'ISLE_NOT_FOUND') && isNothingYet) return
		if (!isIsleError(error, 'ISLE_EXPIRED') || !mayHaveExpired(stage, process, nowMs + ttlMs)) throw error
	}
}

async function readPin(
	stage: Stage,
	{ process, db }: Place,
	{ choice, isReverse }: OperationOf<'open-pin'>,
): Promise<void> {
	const known = oneOf(stage.pins, choice)
	if (known === undefined) return
	try {
		const pin = await process.whileAlive(db.openPin(known.name))
		if (pin !== DEAD) await readAndClose(stage, process, pin, known, isReverse, { isStrong: false })
	} catch (error) {
		const isGone = isIsleError(error, 'ISLE_EXPIRED') || isIsleError(error, 'ISLE_NOT_FOUND')
		if (!isGone || !(known.isReleased || mayHaveExpired(stage, process, known.expiresMs))) throw error
	}
}

async function releasePin(stage: Stage, { process, db }: Place, { choice }: OperationOf<'release-pin'>): Promise<void> {
	const known = oneOf(stage.pins, choice)
	if (known === undefined) return
	known.isReleased = true
	await process.whileAlive(db.releasePin(known.name))
}

async function readAndClose(
	stage: Stage,
	process: SimulatedProcess,
	pin: Pick<Awaited<ReturnType<Source['pin']>>, 'entries' | 'close'>,
	{ snapshot, createdMs }: KnownPin,
	isReverse: boolean,
	least: Pick<ReadingPlan, 'isStrong' | 'calledAt' | 'leastSeq'>,
): Promise<void> {
	const plan = { what: 'pin', life: undefined, ...least, snapshot, nowMs: createdMs }
	const read = (): ReturnType<Stage['scan']> => stage.scan(pin.entries({ reverse: isReverse }), isReverse)
	if ((await stage.reading(process, plan, read)) !== DEAD) await process.whileAlive(pin.close())
}

/** By anybody's clock who may act on it. */
function mayHaveExpired({ world }: Stage, process: SimulatedProcess, expiresMs: number): boolean {
	return Math.max(latestTrustedMs(world.nowMs), process.nowMs()) >= expiresMs
}

function oneOf<Value>(values: readonly Value[], choice: number): Value | undefined {
	return values[Math.floor(choice * values.length)]
}
