/** What a soak says in the end: what it did, whether memory and openings stayed as they were, and what is wrong. */
import { medianOf, trendOf } from './memory.ts'
import type { SoakReport } from './soak-run.ts'

const MIB = 1_048_576
/**
 * The collector is exact, but what lives when it runs is not always the same: how full the caches (2 MiB each) and the commits that the tail
 * keeps are, how many tables L0 has, what is under way. Growth beyond this in a third of the run is a leak. What the allocator
 * keeps of freed memory is seen in `rss` alone.
 */
const TOLERATED_BYTES = { heapBytes: 4 * MIB, externalBytes: 6 * MIB, rssBytes: 16 * MIB } as const
/**
 * A writer opens behind a checkpoint and at most 224 records of both logs (`policy-checkpoint.ts`): 248 slots of one log and 120 of the other,
 * in windows that double; 17 behind the end of each; LISTs, seals and the look at what was never there are 45 more. That is what
 * an opening may cost, however long the database has lived; the median, because a maintainer that got no processor time writes its
 * checkpoint late.
 */
const OPENING_MAX_REQUESTS = 450
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
	const show = (what: string, samples: readonly number[], unit: number, tolerated: number): void => {
		const { before, after, isFlat } = trendOf(samples, tolerated)
		isSound &&= isFlat
		const [from, to] = [before, after].map(value => (value / unit).toFixed(1))
		lines.push(`${what.padEnd(28)} ${from} → ${to}${isFlat ? '' : '   GROWS'}`)
	}
	lines.push('medians of the second and of the last third:')
	for (const who of ['writer, open', 'writer, closed', 'reader'] as const) {
		for (const kind of ['heapBytes', 'externalBytes', 'rssBytes'] as const) {
			const samples = report.memory[who].map(sample => sample[kind])
			show(`${who}: ${kind.replace('Bytes', '')}, MiB`, samples, MIB, TOLERATED_BYTES[kind])
		}
	}
	const requests = report.openings.map(opening => opening.requests)
	// For people: where in the cycle of checkpoints openings fell is chance, and a busy machine is no fault.
	show('opening: requests', requests, 1, Number.POSITIVE_INFINITY)
	show(
		'opening: milliseconds',
		report.openings.map(({ ms }) => ms),
		1,
		Number.POSITIVE_INFINITY,
	)
	const median = medianOf(requests)
	if (median > OPENING_MAX_REQUESTS) {
		isSound = false
		lines.push(`the median opening took ${median} requests, which should be ${OPENING_MAX_REQUESTS} at most`)
	}
	lines.push(`${(storedBytes / MIB).toFixed(1)} MiB on the store at rest`)
	lines.push(...faults.slice(0, FAULTS_SHOWN).map(fault => `WRONG ${fault}`))
	lines.push(isSound ? 'sound' : `NOT SOUND, ${faults.length} faults`)
	return { text: lines.join('\n'), isSound }
}
