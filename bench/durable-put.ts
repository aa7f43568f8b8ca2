/**
 * What a durable put of one record takes: alone, each followed by a bare PUT of as many bytes to the same store, so that
 * both meet the same disk in the same moments; then among many clients that share commits.
 */
import { closedLoops } from './closed-loops.ts'
import type { Session } from './engine.ts'
import type { Figures, Task } from './scenario.ts'
import { percentile } from './statistics.ts'
import { timed } from './timed.ts'
import type { Workload } from './workload.ts'

/** Durable puts, one after another; each is followed by a bare PUT of as many bytes. */
const DURABLE_PUTS = 1_000
const DURABLE_WARM_UP = 100
/** Clients that each put one record after another, and how many puts they make together. */
const GROUPS = [
	{ clients: 64, puts: 12_800 },
	{ clients: 1_024, puts: 51_200 },
] as const
export async function measureDurable(session: Session, workload: Workload, { plan, progress }: Task): Promise<Figures> {
	const puts = Math.min(DURABLE_PUTS, plan.records)
	const warmUp = Math.min(DURABLE_WARM_UP, puts)
	let next = 0
	const put = (): Promise<void> => {
		const i = next++
		return session.putDurably(workload.key(i), workload.value(i))
	}
	const maxMs = plan.seconds * 500
	await closedLoops({ clients: 1, count: warmUp, maxMs: maxMs / 10, perLook: 1 }, put)
	const sentBefore = session.requests?.().sentBytes ?? 0
	await put()
	// The size of the one object that a durable put of one record sends.
	const objectBytes = (session.requests?.().sentBytes ?? 0) - sentBefore
	for (let i = 0; i < warmUp; i++) await session.barePut?.(objectBytes)
	const putMs: number[] = []
	const bareMs: number[] = []
	await closedLoops({ clients: 1, count: puts, maxMs, perLook: 1 }, async i => {
		if (i % 50 === 0) progress((0.5 * i) / puts)
		putMs.push(await timed(put))
		if (session.barePut !== undefined) bareMs.push(await timed(() => session.barePut?.(objectBytes)))
	})
	const figures: Record<string, number> = { p50Ms: percentile(putMs, 50), p99Ms: percentile(putMs, 99) }
	if (bareMs.length > 0) {
		figures['objectBytes'] = objectBytes
		figures['bareP50Ms'] = percentile(bareMs, 50)
		figures['bareP99Ms'] = percentile(bareMs, 99)
		figures['ratio'] = percentile(putMs, 50) / percentile(bareMs, 50)
	}
	for (const { clients, puts: most } of GROUPS) {
		const total = Math.min(most, Math.max(clients, plan.records))
		const requestsBefore = session.requests?.().requests
		const latencies: number[] = []
		const { done, perSecond } = await closedLoops({ clients, count: total, maxMs }, async () => {
			latencies.push(await timed(put))
		})
		figures[`per${clients}`] = perSecond
		figures[`p50Ms${clients}`] = percentile(latencies, 50)
		figures[`p99Ms${clients}`] = percentile(latencies, 99)
		const requests = session.requests?.().requests
		if (requests !== undefined) figures[`putsPerRequest${clients}`] = done / (requests - (requestsBefore ?? 0))
		progress(clients === 64 ? 0.75 : 1)
	}
	await session.close()
	return figures
}
