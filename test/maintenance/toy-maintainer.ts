/** A maintainer on a world of toys, with what it says; all of them are closed after each test. */
import { afterEach } from 'vitest'
import { Maintainer } from '../../src/maintenance/maintainer.ts'
import type { MaintainerTiming } from '../../src/maintenance/maintainer-status.ts'
import type { MaintenanceEvent } from '../../src/maintenance/maintenance-event.ts'
import type { ManualHost } from '../support/manual-clock.ts'
import { type ToyWork, type ToyWorld, toyTrade } from './toy-trade.ts'

export const LARGE_BYTES = 1000
export const HOUR_MS = 3_600_000
const opened: Maintainer[] = []

afterEach(async () => {
	for (const maintainer of opened.splice(0)) await maintainer.close()
})

export interface Staged {
	readonly maintainer: Maintainer
	readonly events: MaintenanceEvent[]
	/** `from → to` of each change of state. */
	readonly states: () => string[]
}

export function stage(
	world: ToyWorld,
	host: ManualHost,
	policies: readonly string[] = ['merge'],
	timing: Partial<MaintainerTiming> & { readonly places?: number } = {},
): Staged {
	const events: MaintenanceEvent[] = []
	const maintainer = new Maintainer({
		host,
		trade: toyTrade(world, policies, timing.writerEpoch ?? 0),
		writerEpoch: 0,
		pollIntervalMs: 10_000,
		takeoverAfterMs: 60_000,
		places: 2,
		largeBytes: LARGE_BYTES,
		onFenced: 'standby',
		isContinuous: true,
		keepsAlive: false,
		claimAtOnce: false,
		onEvent: event => events.push(event),
		...timing,
	})
	opened.push(maintainer)
	const states = (): string[] =>
		events.flatMap(event => (event.kind === 'state' ? [`${event.from} → ${event.to}`] : []))
	return { maintainer, events, states }
}

/** A promise that is resolved by hand. */
export function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
	let open: () => void = () => undefined
	const promise = new Promise<void>(resolve => {
		open = resolve
	})
	return { promise, open: () => open() }
}

export const work = (name: string, bytes = 10, policy = 'merge'): ToyWork => ({ name, policy, bytes })
