/** What a maintainer is told, and what it says of itself: plain data but for its components. */
import type { Host } from '../host/host.ts'
import type { LogPosition } from '../log/log-position.ts'
import type { MaintainerNote } from '../manifest/manifest.ts'
import type { MaintenanceMemory, MaintenanceTrade } from './maintainer-parts.ts'
import type { MaintainerState, MaintenanceEvent, ReportedError } from './maintenance-event.ts'
import type { RunningWork } from './running-work.ts'
import type { WorkTotals } from './work-totals.ts'

/** When a maintainer does what; plain data. */
export interface MaintainerTiming {
	/** Of the writer in whose process it runs; 0: it runs alone. */
	readonly writerEpoch: number
	/** How often one that is alone looks at the logs. */
	readonly pollIntervalMs: number
	readonly takeoverAfterMs: number
	/** What becomes of one that was fenced. */
	readonly onFenced: 'standby' | 'stop'
	/** False: it works only within `runOnce`. */
	readonly isContinuous: boolean
	/** Whether the process goes on for it alone. */
	readonly keepsAlive: boolean
	/** Whoever starts it has seen that there is work and nobody who does it: claim without a look of its own. */
	readonly claimAtOnce: boolean
	/** Until it is told otherwise: what was removed from here on is still read in its process. Undefined: nothing is read there. */
	readonly protectedPosition?: LogPosition | undefined
}

export interface MaintainerOptions extends MaintainerTiming {
	readonly host: Host
	readonly trade: MaintenanceTrade
	/** Works at once. */
	readonly places: number
	/** Inputs from this size on are large. */
	readonly largeBytes: number
	readonly onEvent: (event: MaintenanceEvent) => void
}

/** News from the writer of this process. */
export interface MaintenanceHint {
	/** The writer has committed. */
	readonly hasCommits: boolean
	/** What was removed from here on is still read in this process. */
	readonly protectedPosition: LogPosition
}

export interface MaintainerStatus {
	readonly state: MaintainerState
	/** Of the maintenance log, while it owns one. */
	readonly epoch: number | undefined
	/** What it would do, or does. */
	readonly policies: readonly string[]
	/** What the owner says that it does; undefined while nobody owns the log. */
	readonly owner: MaintainerNote | undefined
	/** Those of `policies` that nobody runs. */
	readonly unserved: readonly string[]
	readonly running: readonly RunningWork[]
	readonly totals: WorkTotals
	/** What it keeps in memory; nothing while it owns no log. Of a database: when it last told something. */
	readonly memory: MaintenanceMemory
	/**
	 * What is damaged or gone, as far as it was read: ids of tables, and object keys of blob packs (they are set aside) and of pins
	 * (nothing is deleted meanwhile).
	 */
	readonly quarantined: readonly string[]
	/** How often somebody else took over. */
	readonly timesFenced: number
	/** The last thing that failed. */
	readonly lastError: ReportedError | undefined
}
