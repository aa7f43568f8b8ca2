/**
 * Starts the maintainer of a writer: in a thread of its own when the store can be opened again there, so that what it moves
 * does not pass through the application's event loop; on this thread otherwise.
 *
 * A store can be opened again when it was opened from a URL that means the same in another thread: all but `memory:`. A
 * clock, a pool or a store of the caller's own stays on its thread, and so does the maintainer.
 */
import { IsleError, isIsleError } from '../errors.ts'
import type { ObjectStore } from '../object-store/object-store.ts'
import {
	type MaintenanceActor,
	type MaintenanceGround,
	type MaintenancePlan,
	openResidentHere,
	type ThreadSetup,
} from './maintenance-actor.ts'
import type { MaintenanceNotice, StartResident } from './resident-maintenance.ts'

export interface ResidentHome {
	/** What `open` was given. */
	readonly location: string | URL | ObjectStore
	readonly prefix: string | undefined
	/** Whether clock and pool are those of the process. */
	readonly isOwnMachine: boolean
	/** What a maintainer on this thread stands on. */
	readonly ground: MaintenanceGround
	readonly plan: Omit<MaintenancePlan, 'claimAtOnce' | 'protectedPosition'>
}

let hasWarned = false

export function residentStarter(home: ResidentHome): StartResident {
	const url = home.isOwnMachine ? reopenableUrl(home.location) : undefined
	/** Once a thread could not even begin, there is no use in trying again. */
	let isThreadless = url === undefined
	let hasBegun = false
	return async ({ claimAtOnce, protectedPosition, onNotice, onDeath }) => {
		const plan = { ...home.plan, claimAtOnce, protectedPosition }
		if (url !== undefined && !isThreadless) {
			try {
				const door = await startThread({ url, prefix: home.prefix, plan }, onNotice, onDeath)
				hasBegun = true
				return door
			} catch (error) {
				if (hasBegun || !isThreadDeath(error)) throw error
				isThreadless = true
				warnOnce(error)
			}
		}
		return openResidentHere(home.ground, plan, onNotice)
	}
}

/** The URL of `location` for another thread; undefined when there is none. */
function reopenableUrl(location: string | URL | ObjectStore): string | undefined {
	if (typeof location !== 'string' && !(location instanceof URL)) return undefined
	const url = String(location)
	return /^memory:/i.test(url) ? undefined : url
}

async function startThread(
	setup: ThreadSetup,
	onNotice: (notice: MaintenanceNotice) => void,
	onDeath: (error: unknown) => void,
): ReturnType<StartResident> {
	const { startActorThread } = await import('../runtime/actor-thread.ts')
	const thread = await startActorThread<MaintenanceActor>({
		moduleUrl: threadUrl(),
		setup,
		onFailure: onDeath,
		// Notices are sent by `MaintenanceActor` alone.
		onNotice: notice => onNotice(notice as MaintenanceNotice),
	})
	return {
		hint: hint => thread.call('hint', hint),
		close: () => thread.close(),
	}
}

/** Beside this file, `.ts` in the sources and `.js` in `dist`. Not one literal `new URL`: bundlers would fail on that. */
function threadUrl(): URL {
	const here = import.meta.url
	return new URL(`${'./'}maintenance-thread${here.slice(here.lastIndexOf('.'))}`, here)
}

function isThreadDeath(error: unknown): boolean {
	return isIsleError(error, 'ISLE_UNAVAILABLE') && error.message === 'the actor thread died'
}

function warnOnce(error: unknown): void {
	if (hasWarned) return
	hasWarned = true
	const cause = error instanceof IsleError ? error.cause : error
	const reason = cause instanceof Error ? cause.message : String(cause)
	process.emitWarning(`isledb maintains on the main thread, without a thread for it: ${reason}`, {
		type: 'IsleWarning',
		code: 'ISLE_MAINTENANCE_HERE',
		detail: 'Mark `isledb` as external if a bundler moved its files.',
	})
}
