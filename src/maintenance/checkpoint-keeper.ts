/**
 * Writes checkpoints when the policy says so, and knows what has happened since the last one.
 *
 * Invariant: looking whether one is due costs no request.
 */
import type { Host } from '../host/host.ts'
import { comparePositions, LOG_START, type LogPosition } from '../log/log-position.ts'
import type { CheckpointPositions, Manifest } from '../manifest/manifest.ts'
import type { MaintenanceSettings } from './options.ts'
import type { OwnedState } from './owned-state.ts'
import { chooseCheckpoint, nextCheckpointMs, type SinceCheckpoint } from './policy-checkpoint.ts'

/** A table reference with two keys of 24 bytes; a pack, a mark or a removed object is less. */
const ESTIMATED_BYTES_PER_TABLE = 150
const ESTIMATED_BYTES_PER_OTHER = 50

export interface CheckpointKeeperOptions {
	readonly state: OwnedState
	readonly host: Host
	readonly settings: MaintenanceSettings
}

export class CheckpointKeeper {
	readonly #options: CheckpointKeeperOptions
	#sinceMs: number

	constructor(options: CheckpointKeeperOptions) {
		this.#options = options
		this.#sinceMs = options.host.clock.nowMs()
	}

	/** Writes one if it is due. @throws what `checkpoint` of the owner throws. */
	async keep(isClosing: boolean): Promise<CheckpointPositions | undefined> {
		const { state, host, settings } = this.#options
		const nowMs = host.clock.nowMs()
		if (chooseCheckpoint(state.manifest, nowMs, settings, this.#since(), isClosing) === undefined) return undefined
		const positions = await state.checkpoint()
		this.#sinceMs = host.clock.nowMs()
		return positions
	}

	/** When time alone makes one due, by the wall clock. */
	nextDueMs(): number | undefined {
		return nextCheckpointMs(this.#options.state.manifest, this.#options.settings, this.#since())
	}

	#since(): SinceCheckpoint {
		return sinceAnnounced(this.#options.state.manifest, this.#sinceMs)
	}
}

/** What has happened in `manifest` since its announced checkpoint, which was announced at `sinceMs`, about. */
export function sinceAnnounced(manifest: Manifest, sinceMs: number): SinceCheckpoint {
	const { announced, writerPosition, maintenancePosition } = manifest
	return {
		commits: recordsBetween(announced?.writerPosition ?? LOG_START, writerPosition),
		edits: recordsBetween(announced?.maintenancePosition ?? LOG_START, maintenancePosition),
		sinceMs,
		manifestBytes: estimatedBytes(manifest),
	}
}

/** Of epochs in between nothing is known but that they end in a seal: at least as many as this. */
function recordsBetween(from: LogPosition, to: LogPosition): number {
	if (comparePositions(from, to) >= 0) return 0
	return from.epoch === to.epoch ? to.slot - from.slot : to.slot
}

function estimatedBytes({ l0, runs, blobPacks, removed, marks }: Manifest): number {
	const tables = runs.reduce((sum, run) => sum + run.tables.length, l0.length)
	return (
		tables * ESTIMATED_BYTES_PER_TABLE + (blobPacks.length + removed.length + marks.length) * ESTIMATED_BYTES_PER_OTHER
	)
}
