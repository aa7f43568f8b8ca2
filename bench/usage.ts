/**
 * What a measurement uses of the machine: processor time of all threads, peak memory, how long the main thread keeps
 * others waiting, and requests by kind.
 */
import type { Requests, Session } from './engine.ts'
import { Heartbeat, type LoopDelay } from './heartbeat.ts'
import type { Column, Figures } from './scenario.ts'
import { stolenMs } from './stolen-time.ts'

const BEAT_MS = 1

export class Usage {
	readonly #session: Pick<Session, 'requests'>
	readonly #heartbeat: Heartbeat
	readonly #requests: Requests | undefined
	readonly #cpu = process.cpuUsage()
	readonly #stolenMs = stolenMs()
	readonly #started = performance.now()

	private constructor(session: Pick<Session, 'requests'>, heartbeat: Heartbeat) {
		this.#session = session
		this.#heartbeat = heartbeat
		this.#requests = session.requests?.()
	}

	/** Measures from when it resolves on. Requests from before do not count. */
	static async start(session: Pick<Session, 'requests'>): Promise<Usage> {
		return new Usage(session, await Heartbeat.start(BEAT_MS))
	}

	/** Ends the measurement of so many operations; the session may be closed by then. */
	async stop(operations: number): Promise<Figures> {
		const elapsedMs = performance.now() - this.#started
		const { user, system } = process.cpuUsage(this.#cpu)
		const stolen = stolenMs()
		const requests = this.#session.requests?.()
		const delay = await this.#heartbeat.stop()
		// The beats are the benchmark's own.
		const cpuUs = user + system - this.#heartbeat.cpuUs
		return {
			elapsedMs,
			cpuSeconds: cpuUs / 1e6,
			cpuUsPerOperation: cpuUs / operations,
			peakRssBytes: process.resourceUsage().maxRSS * 1024,
			...delayFigures(delay),
			...(stolen === undefined ? {} : { stolenMs: stolen - (this.#stolenMs ?? stolen) }),
			...(requests === undefined ? {} : requestFigures(requests, this.#requests)),
		}
	}
}

/** A tenth of the beats that should have come: fewer are not enough for a percentile. */
const BEATS_SHARE_MIN = 0.1

/** A line for each measurement whose delays say little, because the thread that beats did not get its turn. */
export function beatWarnings(results: readonly MeasuredCase[]): string[] {
	return results.flatMap(({ engine, label, medians }) => {
		const [samples, elapsedMs] = [medians['loopDelaySamples'], medians['elapsedMs']]
		if (samples === undefined || elapsedMs === undefined) return []
		const expected = elapsedMs / BEAT_MS
		if (samples >= expected * BEATS_SHARE_MIN) return []
		return [`Few beats: ${engine}, ${label}, ${samples} of ${Math.round(expected)}: its delays say little.`]
	})
}

interface MeasuredCase {
	readonly engine: string
	readonly label: string
	readonly medians: Figures
}

/** None where no beat came, which is not the same as no delay. */
export function delayFigures(delay: LoopDelay | undefined): Figures {
	if (delay === undefined) return {}
	const { samples, p50Ms, p99Ms, maxMs } = delay
	return { loopDelaySamples: samples, loopDelayP50Ms: p50Ms, loopDelayP99Ms: p99Ms, loopDelayMaxMs: maxMs }
}

/** Since `before`: totals, and `requests/<kind>/<what>` of each kind that occurred. */
export function requestFigures(after: Requests, before: Requests | undefined): Record<string, number> {
	const figures: Record<string, number> = {}
	for (const name of ['requests', 'sentBytes', 'receivedBytes', 'estimatedUsd'] as const) {
		figures[name] = after[name] - (before?.[name] ?? 0)
	}
	for (const [kind, count] of Object.entries(after.byKind)) {
		const earlier = before?.byKind[kind]
		const requests = count.requests - (earlier?.requests ?? 0)
		if (requests === 0) continue
		figures[`requests/${kind}/requests`] = requests
		for (const name of ['sentBytes', 'receivedBytes', 'estimatedUsd'] as const) {
			figures[`requests/${kind}/${name}`] = count[name] - (earlier?.[name] ?? 0)
		}
	}
	return figures
}

export const USAGE_COLUMNS: readonly Column[] = [
	{ title: 'CPU s', figure: 'cpuSeconds', digits: 2 },
	{ title: 'µs CPU/op', figure: 'cpuUsPerOperation', digits: 2, better: 'less' },
	{ title: 'peak MiB', figure: 'peakRssBytes', digits: 0, unit: 1_048_576, better: 'less' },
	{ title: 'delay p50', figure: 'loopDelayP50Ms', digits: 2 },
	{ title: 'delay p99', figure: 'loopDelayP99Ms', digits: 1, better: 'less' },
	{ title: 'delay max ms', figure: 'loopDelayMaxMs', digits: 1 },
	{ title: 'host ms', figure: 'stolenMs', digits: 0 },
	{ title: 'beats', figure: 'loopDelaySamples', digits: 0 },
	{ title: 'requests', figure: 'requests', digits: 0 },
	{ title: 'MB sent', figure: 'sentBytes', digits: 0, unit: 1e6 },
	{ title: 'US$', figure: 'estimatedUsd', digits: 5 },
]
