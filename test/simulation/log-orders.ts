/** Every order in which an owner, claimers and a collector meet in a log, and the mistakes that this must find. */

import type { SourcePatch } from '../support/patched-modules.ts'
import { LogMeeting, loadLogCode, type MeetingPlan } from './log-meeting.ts'
import { searchOrders } from './orders.ts'

interface LogBug {
	readonly name: string
	/** It is looked for here. */
	readonly plan: MeetingPlan
	readonly patch: SourcePatch
}

function plan(what: string, others: string, append: Partial<MeetingPlan>): MeetingPlan {
	const claimers = others.includes('two claimers') ? 2 : others.includes('a claimer') ? 1 : 0
	const readers = others.includes('a reader') ? 1 : 0
	return {
		what: `${others}, an owner: ${what}`,
		claimers,
		readers,
		appends: 2,
		isPipelined: false,
		doubt: undefined,
		...append,
	}
}

const ONE = 'a collector, a claimer'
const TWO = 'a collector, two claimers'
const PLAIN: MeetingPlan = plan('two appends', ONE, {})
const LOST: MeetingPlan = plan('two appends, the reply of one is lost', ONE, { doubt: 'reply-lost' })
const LATE: MeetingPlan = plan('two appends, one arrives late', ONE, { doubt: 'arrives-late' })
const AT_ONCE: MeetingPlan = plan('two appends at once', ONE, { isPipelined: true })
const LATE_AT_ONCE: MeetingPlan = plan('two appends at once, one arrives late', ONE, {
	isPipelined: true,
	doubt: 'arrives-late',
})
const READ: MeetingPlan = plan('two appends', 'a collector, a reader', {})
const TWO_PLAIN: MeetingPlan = plan('one append', TWO, { appends: 1 })
const TWO_LOST: MeetingPlan = plan('one append, its reply is lost', TWO, { appends: 1, doubt: 'reply-lost' })

const SHORT: readonly MeetingPlan[] = [PLAIN, LOST, LATE, AT_ONCE, READ]
const MORE: readonly MeetingPlan[] = [LATE_AT_ONCE, TWO_PLAIN]
/** Minutes. */
const WHOLE: readonly MeetingPlan[] = [TWO_LOST]
/** 64 bits of each are kept. */
const STATES_MAX = 8_000_000

const LOG_BUGS: readonly LogBug[] = [
	{
		name: 'believe-every-seal',
		plan: LOST,
		patch: {
			file: 'src/log/log-owner.ts',
			find: 'if (doubt !== undefined && (await this.#options.log.isBelowCheckpoint(position))) {',
			replace: 'if (doubt === null && (await this.#options.log.isBelowCheckpoint(position))) {',
		},
	},
	{
		name: 'claimer-does-not-look',
		plan: PLAIN,
		patch: {
			file: 'src/log/claim.ts',
			find: 'const isConfirmed = (await log.confirm(end, { signal })) &&',
			replace: 'const isConfirmed =',
		},
	},
	{
		name: 'reader-does-not-look',
		plan: READ,
		patch: { file: 'src/log/claim.ts', find: 'if (!(await log.confirm(end, options))) continue', replace: '' },
	},
	{
		name: 'look-behind-the-last-seal',
		plan: TWO_PLAIN,
		patch: {
			file: 'src/log/claim.ts',
			find: 'firstSeal: before.firstSeal ?? end.firstSeal',
			replace: 'firstSeal: undefined',
		},
	},
	{
		name: 'claim-without-seal',
		plan: PLAIN,
		patch: {
			file: 'src/log/claim.ts',
			find: 'if (!(await createSeal(options, end.position, owner))) {',
			replace: 'if (!(await createSeal(options, end.position, owner)) && end.position.epoch < 0) {',
		},
	},
	{
		name: 'exists-is-ours',
		plan: PLAIN,
		patch: {
			file: 'src/log/log-owner.ts',
			find: "if (outcome.kind === 'created') return",
			replace: "if (outcome.kind !== 'unknown') return",
		},
	},
	{
		name: 'acknowledge-out-of-order',
		plan: LATE_AT_ONCE,
		patch: {
			file: 'src/log/log-owner.ts',
			find: 'const committed = earlier.then(() => written)',
			replace: 'const committed = written',
		},
	},
]

/** `extent` 0: seconds; 1: half a minute; 2: all. Tells each search by `print`. False: something is wrong, or not all was searched. */
export async function searchLogOrders(extent: number, print: (line: string) => void): Promise<boolean> {
	const plans = [...SHORT, ...(extent >= 1 ? MORE : []), ...(extent >= 2 ? WHOLE : [])]
	const code = await loadLogCode('sound')
	let isFine = true
	for (const meeting of plans) {
		const { states, ends, isComplete, wrong } = await searchOrders(
			() => new LogMeeting(code, meeting),
			STATES_MAX,
			false,
		)
		print(`${states} states, ${isComplete ? 'all there are' : 'AND MORE'}, ${ends} of them ends: ${meeting.what}`)
		for (const fault of wrong) print(`WRONG ${fault}`)
		isFine &&= isComplete && wrong.length === 0
	}
	for (const bug of LOG_BUGS) isFine = (await isFound(bug, print)) && isFine
	return isFine
}

async function isFound({ name, plan: meeting, patch }: LogBug, print: (line: string) => void): Promise<boolean> {
	const code = await loadLogCode(name, [patch])
	const { states, wrong } = await searchOrders(() => new LogMeeting(code, meeting), STATES_MAX, true)
	const [fault] = wrong
	print(
		fault === undefined
			? `NOT FOUND ${name} in ${states} states`
			: `found ${name} in ${states} states: ${fault.split('\n')[0]}`,
	)
	return fault !== undefined
}
