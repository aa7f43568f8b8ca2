/** What a soak says in the end: what it did, whether memory and openings stayed as they were, and what is wrong. */
import { trendOf } from './memory.ts'
import type { SoakReport } from './soak-run.ts'

const MIB = 1_048_576
/**
 * The collector and the allocator are not exact, and slots of tables that are gone are swept a thousand at a time, some 4 MiB of heap for
 * each database: growth beyond this in a third of the run is a leak.
 */
const TOLERATED_BYTES_SHARE = 0.1
const TOLERATED_BYTES = { heapBytes: 10 * MIB, externalBytes: 6 * MIB, rssBytes: 24 * MIB } as const
/**
 * An opening reads what was committed behind the newest checkpoint, a few seconds' work, in windows that double: a few slots more may be
 * twice the requests.
 */
const TOLERATED_REQUESTS = 60
const TOLERATED_REQUESTS_SHARE = 1
const FAULTS_SHOWN = 20

export interface Verdict {
	readonly text: string
	readonly isSound: boolean
}

export function verdictOf(report: SoakReport): Verdict {
	const { turns, operations, tailed, reads, expired, works, storedBytes, faults } = report
	const lines = [
		`${turns.close} takeovers in good order, ${turns.fence} of a living writer, ${turns.kill} after a kill`,
		`${operations} operations, ${tailed} changes tailed, ${reads} rounds of reads, ${expired} times expired, ${works} works of maintenance`,
	]
	let isSound = faults.length === 0
	const show = (what: string, samples: readonly number[], unit: number, tolerated: number, share: number): void => {
		const { before, after, isFlat } = trendOf(samples, tolerated, share)
		isSound &&= isFlat
		const [from, to] = [before, after].map(value => (value / unit).toFixed(1))
		lines.push(`${what.padEnd(28)} ${from} → ${to}${isFlat ? '' : '   GROWS'}`)
	}
	lines.push('medians of the second and of the last third:')
	for (const who of ['writer', 'reader'] as const) {
		for (const kind of ['heapBytes', 'externalBytes', 'rssBytes'] as const) {
			const samples = report.memory[who].map(sample => sample[kind])
			show(`${who}: ${kind.replace('Bytes', '')}, MiB`, samples, MIB, TOLERATED_BYTES[kind], TOLERATED_BYTES_SHARE)
		}
	}
	show(
		'opening: requests',
		report.openings.map(({ requests }) => requests),
		1,
		TOLERATED_REQUESTS,
		TOLERATED_REQUESTS_SHARE,
	)
	// For people: a busy machine is no fault.
	show(
		'opening: milliseconds',
		report.openings.map(({ ms }) => ms),
		1,
		Number.POSITIVE_INFINITY,
		0,
	)
	lines.push(`${(storedBytes / MIB).toFixed(1)} MiB on the store at rest`)
	lines.push(...faults.slice(0, FAULTS_SHOWN).map(fault => `WRONG ${fault}`))
	lines.push(isSound ? 'sound' : `NOT SOUND, ${faults.length} faults`)
	return { text: lines.join('\n'), isSound }
}
