/**
 * Lets the calling thread, and all threads that it starts, give way when there are more threads than cores.
 *
 * On Linux each thread has a nice value of its own and hands it on; elsewhere it is the whole process's, so nothing happens.
 */
import { getPriority, setPriority } from 'node:os'

/** Against a thread of nice value 0 this one gets a tenth of a core (weights 110 and 1,024), and all of it when that sleeps. */
const BACKGROUND_NICE = 10
/** The calling thread, on Linux. */
const THIS_THREAD = 0

/** Cannot be undone without privileges: for threads that do background work all their life. */
export function giveWay(): void {
	if (process.platform !== 'linux') return
	try {
		if (getPriority(THIS_THREAD) < BACKGROUND_NICE) setPriority(THIS_THREAD, BACKGROUND_NICE)
	} catch {
		// A sandbox may forbid it. It is a courtesy, and no work depends on it.
	}
}
