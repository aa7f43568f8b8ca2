/** What the engine takes from the machine, in one argument. */
import { type Clock, systemClock } from './clock.ts'
import { type Random, systemRandom } from './random.ts'

export interface Host {
	readonly clock: Clock
	readonly random: Random
}

export const systemHost: Host = { clock: systemClock, random: systemRandom }
