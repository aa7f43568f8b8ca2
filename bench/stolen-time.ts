/**
 * What the host of a virtual machine took from it: time that a core was ready to run and was not run. The largest delays of a
 * run can be of the host, which no other figure of the process shows.
 */
import { readFileSync } from 'node:fs'

/** Of a clock tick: what Linux counts in, on every architecture that Node.js runs on. */
const TICK_MS = 10
/** Of the numbers behind "cpu": user, nice, system, idle, iowait, irq, softirq, steal. */
const STEAL = 7

/** Milliseconds of all cores together since the machine began; undefined where the system does not tell. */
export function stolenMs(): number | undefined {
	try {
		return parseStolenMs(readFileSync('/proc/stat', 'latin1'))
	} catch {
		// No Linux: nobody tells.
		return undefined
	}
}

/** Of the text of `/proc/stat`, whose first line is the sum of all cores. */
export function parseStolenMs(stat: string): number | undefined {
	const [name, ...ticks] = stat.slice(0, stat.indexOf('\n')).split(/\s+/)
	const steal = ticks[STEAL]
	return name === 'cpu' && steal !== undefined ? Number(steal) * TICK_MS : undefined
}
