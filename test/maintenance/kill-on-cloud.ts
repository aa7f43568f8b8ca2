/**
 * A writer, a maintainer and a reader on a real server, behind a wire that fails in every way in turn, and SIGKILL of each of them.
 *
 *     ISLE_KILL_MINUTES=10 TEST_SEED=1 npm test -- test/maintenance/kill-on-s3
 *
 * No process may end by itself or meet an error; what is judged is what kill.test.ts judges. The judge sees the server itself.
 */
import { expect, test } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'
import { testSeed } from '../support/seed.ts'
import {
	answerAfter,
	answerInstead,
	cutBody,
	type FaultyProxy,
	type FixedAnswer,
	loseReply,
	pass,
	resetBefore,
	stallBody,
	startFaultyProxy,
	type WireFault,
} from '../support/servers/faulty-proxy.ts'
import { judgeStage, KillStage, ROLES, someLines } from './kill-stage.ts'

export interface KilledCloud {
	readonly endpoint: string
	/** A database of these tests alone, reached over `endpoint`; credentials are in the environment. */
	readonly urlAt: (endpoint: string) => string
	readonly serverError: FixedAnswer
	readonly serverBusy: FixedAnswer
}

/** And each role once more in the end. */
const KILLS = 4
const MINUTES = Number(process.env['ISLE_KILL_MINUTES'] ?? 0)
const seed = testSeed()
const FAULTS_SHOWN = 20
/** A quarter of a minute to a whole one, as the seed has it. What hangs is found, not what is slow. */
const TIMEOUT_MS = 60_000 * (10 + MINUTES)
/**
 * Requests that a storm of 503 answers in a row. When nobody else asks they are all of one process, which may try ten times: a longer
 * outage would rightly end it.
 */
const STORM_REQUESTS = 6
/** What is sent and not answered is given up after that: well above what a busy machine takes. */
const ANSWER_DEADLINE_MS = 4000

/** The weather on the wire: what happens to requests that come next. */
function spoilSome(proxy: FaultyProxy, { serverError, serverBusy }: KilledCloud, random: Random): void {
	const once: readonly WireFault[] = [
		resetBefore(),
		loseReply(),
		answerAfter(serverError),
		answerAfter(serverBusy),
		cutBody(7),
		stallBody(20),
	]
	proxy.heal()
	// Each at some moment, in any order: behind so many requests that pass.
	const first = Math.floor(random.next() * once.length)
	for (const fault of [...once.slice(first), ...once.slice(0, first)]) {
		proxy.spoil({ times: 1 + Math.floor(random.next() * 7) }, pass())
		proxy.spoil({ times: 1 }, fault)
	}
	if (random.next() < 0.5) proxy.spoil({ times: STORM_REQUESTS }, answerInstead(serverBusy))
	// A slow line, now and then.
	proxy.delayMs = random.next() < 0.3 ? 25 : 0
}

/** Registers the tests. */
export function killTests(cloud: KilledCloud): void {
	const many = MINUTES === 0 ? `${KILLS} deaths` : `${MINUTES} minutes of deaths`
	test(`survive ${many} (TEST_SEED=${seed})`, { timeout: TIMEOUT_MS }, async () => {
		const random = seededRandom(seed)
		const proxy = await startFaultyProxy(cloud.endpoint)
		const spoilt = cloud.urlAt(cloud.endpoint.replace(/\/\/[^/]+/, `//${new URL(proxy.endpoint).host}`))
		const stage = new KillStage(`${spoilt}&answerDeadlineMs=${ANSWER_DEADLINE_MS}`, seed)
		const beganMs = systemClock.monotonicMs()
		const isLongEnough = (kills: number): boolean =>
			MINUTES === 0 ? kills >= KILLS : systemClock.monotonicMs() - beganMs >= 60_000 * MINUTES
		try {
			for (const role of ROLES) stage.start(role)
			for (let kills = 0; !isLongEnough(kills) && stage.faults.length === 0; kills++) {
				spoilSome(proxy, cloud, random)
				const role = ROLES[kills % ROLES.length] ?? 'writer'
				await stage.kill(role, someLines(role, random))
				stage.start(role)
			}
			for (const role of ROLES) await stage.kill(role, 5)
		} finally {
			await stage.end()
			await proxy.stop()
		}
		const { operations, tailed, faults } = await judgeStage(stage, seed, cloud.urlAt(cloud.endpoint))
		const hit = proxy.exchanges.filter(({ fault }) => fault !== 'none' && fault !== 'pass')
		const told = `${operations} operations, ${tailed} tailed, ${hit.length} of ${proxy.exchanges.length} requests spoilt`
		console.log(`TEST_SEED=${seed}: ${told}, ${JSON.stringify(stage.counts)}`)
		// A probe that was cut short by a death stays: it is known as what it is, and harms nobody.
		const real = faults.filter(fault => !fault.startsWith('probe/'))
		expect(real.slice(0, FAULTS_SHOWN)).toEqual([])
		expect(operations).toBeGreaterThan(0)
		expect(tailed + stage.counts.reads).toBeGreaterThan(0)
		expect(new Set(hit.map(({ fault }) => fault)).size).toBeGreaterThan(2)
	})
}
