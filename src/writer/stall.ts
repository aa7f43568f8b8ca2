/**
 * What happens beside it when writes wait: they look for the end of it, and it is told: on the diagnostics channel `isledb:stall`, and, when nothing has shrunk L0 for a while, as a
 * warning of the process. A program that stands still because nobody maintains its database must not do so in silence.
 */
import { channel } from 'node:diagnostics_channel'
import type { Clock, Timer } from '../host/clock.ts'
import type { L0Depth, L0Listener, L0Stall } from './l0-pressure.ts'
import { StallWatch } from './stall-watch.ts'

/** Why writes wait. */
export type WriterStall =
	/** Earlier commits have not freed their memory yet. */
	| { readonly cause: 'memory'; readonly isStopped: true }
	/** L0 is too deep: writes are slower, or, stopped, wait until it has been merged. */
	| {
			readonly cause: 'l0'
			readonly isStopped: boolean
			readonly forMs: number
			/** Commits that wait, too. */
			readonly heldCommits: number
	  }

/** What is published on `isledb:stall`. */
export interface StallEvent extends L0Depth {
	readonly channel: 'isledb:stall'
	readonly stall: L0Stall
}

/** Merging L0 takes seconds; who has waited this long waits for nobody. */
const WARN_AFTER_MS = 30_000

const stalls = channel('isledb:stall')

export interface StallHelpers {
	/** Asks whether somebody elsewhere has shrunk L0. */
	readonly look: () => Promise<void>
	/** Whether this process is merging just now. */
	readonly isMerging: () => boolean
}

/** Tells of stalls, and looks for their end. */
export function stallListener(clock: Clock, { look, isMerging }: StallHelpers): L0Listener {
	const watch = new StallWatch(clock, look)
	const report = reportStall(clock, isMerging)
	return {
		onChange(stall, l0) {
			watch.set(stall !== 'none')
			report(stall, l0)
		},
		onAwaited: () => watch.awaited(),
	}
}

function reportStall(clock: Clock, isMerging: () => boolean): (stall: L0Stall, l0: L0Depth) => void {
	let warning: Timer | undefined
	let hasWarned = false
	return (stall, l0) => {
		warning?.cancel()
		warning = undefined
		if (stall === 'stopped' && !hasWarned) {
			const warn = (): void => {
				hasWarned = true
				const why = isMerging()
					? 'this process merges, and more is written than it can keep up with'
					: 'does anybody maintain this database?'
				const text = `writes have waited ${WARN_AFTER_MS / 1000} s for L0 to be merged: ${why} tables=\`${l0.l0Tables}\``
				process.emitWarning(text, { code: 'ISLE_STALL' })
			}
			warning = clock.schedule(WARN_AFTER_MS, warn, { background: true })
		}
		if (!stalls.hasSubscribers) return
		const event: StallEvent = { channel: 'isledb:stall', stall, ...l0 }
		stalls.publish(event)
	}
}
