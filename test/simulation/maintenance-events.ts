/** What maintainers tell, told to the history that runs: one at a time in a thread. */
import { subscribe } from 'node:diagnostics_channel'
import type { MaintenanceEvent } from '../../src/maintenance/maintenance-event.ts'

const CHANNELS = [
	'isledb:maintenance',
	'isledb:compaction',
	'isledb:retention',
	'isledb:collection',
	'isledb:quarantine',
]

let listener: ((event: MaintenanceEvent) => void) | undefined
let isSubscribed = false

/** Until the next call; subscriptions stay, because each of them and each end of one gives its channel another prototype. */
export function hearMaintenance(hear: ((event: MaintenanceEvent) => void) | undefined): void {
	listener = hear
	if (isSubscribed) return
	isSubscribed = true
	// The channels carry `MaintenanceEvent`s.
	for (const channel of CHANNELS) subscribe(channel, message => listener?.(message as MaintenanceEvent))
}
