/**
 * What of the state has been known to everybody for the grace period: announced checkpoints, floors of changes, epochs of the
 * writer log that have ended.
 */
import type { Clock } from '../host/clock.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { CheckpointPositions, Manifest } from '../manifest/manifest.ts'
import { GraceWatch } from './grace-watch.ts'

export class Ripeness {
	readonly #clock: Clock
	readonly #graceMs: number
	readonly #announcements: GraceWatch<CheckpointPositions>
	readonly #floors: GraceWatch<LogPosition>
	readonly #writerEpochs: GraceWatch<number>
	#announced: CheckpointPositions | undefined
	#floor: LogPosition = LOG_START
	#writerEpoch = 0

	constructor(clock: Clock, graceMs: number) {
		this.#clock = clock
		this.#graceMs = graceMs
		this.#announcements = new GraceWatch(graceMs)
		this.#floors = new GraceWatch(graceMs)
		this.#writerEpochs = new GraceWatch(graceMs)
	}

	/** Takes note of what is new in the state. Answers a checkpoint that was not known to be announced. */
	observe({ announced, changeFloor, writerPosition }: Manifest): CheckpointPositions | undefined {
		const nowMs = this.#clock.monotonicMs()
		const isNew = announced !== undefined && announced !== this.#announced
		if (isNew) this.#announcements.see(announced, nowMs)
		this.#announced = announced
		if (comparePositions(changeFloor, this.#floor) > 0) this.#floors.see(changeFloor, nowMs)
		this.#floor = changeFloor
		if (writerPosition.epoch > this.#writerEpoch) this.#writerEpochs.see(writerPosition.epoch, nowMs)
		this.#writerEpoch = writerPosition.epoch
		return isNew ? announced : undefined
	}

	/** `checkpoint`, and what its state said, have been known for long: the store's clock shows it. */
	known(checkpoint: CheckpointPositions, changeFloor: LogPosition): void {
		const sinceMs = this.#clock.monotonicMs() - this.#graceMs
		this.#announcements.known(checkpoint, sinceMs)
		this.#floors.known(changeFloor, sinceMs)
		this.#writerEpochs.known(checkpoint.writerPosition.epoch, sinceMs)
	}

	/** The newest announced checkpoint: what was removed before it may be deleted, as far as the grace period goes. */
	get checkpoint(): CheckpointPositions | undefined {
		return this.#announcements.ripe(this.#clock.monotonicMs())
	}

	/** No tail begins before it any more. */
	get floor(): LogPosition | undefined {
		return this.#floors.ripe(this.#clock.monotonicMs())
	}

	/** All epochs of the writer log before it have ended. It was seen by this owner: so have those of earlier owners. */
	get writerEpoch(): number | undefined {
		return this.#writerEpochs.ripe(this.#clock.monotonicMs())
	}

	/** Until time makes something ripe. */
	get nextInMs(): number | undefined {
		const nowMs = this.#clock.monotonicMs()
		const waits = [this.#announcements, this.#floors, this.#writerEpochs].flatMap(watch => watch.nextInMs(nowMs) ?? [])
		return waits.length === 0 ? undefined : Math.min(...waits)
	}
}
