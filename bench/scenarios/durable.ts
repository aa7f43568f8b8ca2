/**
 * What being durable costs over a network: puts of many clients against one bare PUT, and a bulk load against as many
 * bytes in bare PUTs. `--store ceph --rtt 25` is what it is made for.
 *
 * Both sides meet the same link in turns, round by round, in one run: first the clients, each putting one record after
 * another; then bare PUTs, one after another, of as many bytes as the commits of that round had on average.
 */
import type { Engine, Session } from '../engine.ts'
import type { Case, Column, Figures, Plan, Scenario, Target, Task } from '../scenario.ts'
import { percentile } from '../statistics.ts'
import { timed } from '../timed.ts'
import { Workload } from '../workload.ts'

const PUTS = 'durable puts of one record'
const BULK = 'bulk load'

const CLIENTS: readonly number[] = [1, 10, 64, 256, 1_000, 4_000]
const ROUNDS = 4
/** Puts of one client in one round, and bare PUTs in one round, unless fewer records are asked for. */
const ROUND_PUTS = 25
/** Records of the bulk load for each record asked for: a put over a network is slow, a load is not. */
const BULK_FACTOR = 20
/** As many tables as a writer uploads at once with its defaults. */
const BARE_AT_ONCE = 8
/** What a table of a full memtable has, about, with codec none. */
const TABLE_BYTES = 12 * 1024 * 1024

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	const codec = plan.codecs[0] ?? 'none'
	return engines.flatMap(({ name }) => [
		...(plan.clients ?? CLIENTS).map(clients => ({
			engine: name,
			label: labelOf(clients),
			table: PUTS,
			settings: { clients, codec },
		})),
		{ engine: name, label: `batches of ${plan.batch}`, table: BULK, settings: { clients: 0, codec } },
	])
}

function labelOf(clients: number): string {
	return `${clients} ${clients === 1 ? 'client' : 'clients'}`
}

async function measure(task: Task): Promise<Figures> {
	const { engine, directory, plan, settings } = task
	const clients = Number(settings['clients'])
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const workload = new Workload(plan.seed, plan.valueBytes, Math.max(plan.batch, clients))
	const session = await engine.open({ directory, store: plan.store, codec, form: 'bytes', isLatencyBound: clients > 0 })
	const figures = await (clients === 0
		? measureBulk(session, workload, task)
		: measurePuts(session, workload, task, clients))
	await session.close()
	return figures
}

async function measurePuts(session: Session, workload: Workload, task: Task, clients: number): Promise<Figures> {
	const { plan, progress } = task
	const perClient = Math.max(1, Math.min(ROUND_PUTS, Math.floor(plan.records / ROUNDS)))
	let next = 0
	const put = (): Promise<void> => {
		const i = next++
		return session.putDurably(workload.key(i), workload.value(i))
	}
	const round = async (latencies: number[]): Promise<void> => {
		await Promise.all(
			Array.from({ length: clients }, async () => {
				for (let i = 0; i < perClient; i++) latencies.push(await timed(put))
			}),
		)
	}
	await round([])
	await session.barePut?.(1000)
	const putMs: number[] = []
	const bareMs: number[] = []
	let [requests, sentBytes, usd, elapsedMs, cpuUs] = [0, 0, 0, 0, 0]
	for (let index = 0; index < ROUNDS; index++) {
		const before = session.requests?.()
		const cpu = process.cpuUsage()
		elapsedMs += await timed(() => round(putMs))
		const { user, system } = process.cpuUsage(cpu)
		cpuUs += user + system
		const after = session.requests?.()
		const commits = (after?.requests ?? 0) - (before?.requests ?? 0)
		const bytes = (after?.sentBytes ?? 0) - (before?.sentBytes ?? 0)
		requests += commits
		sentBytes += bytes
		usd += (after?.estimatedUsd ?? 0) - (before?.estimatedUsd ?? 0)
		for (let i = 0; i < perClient; i++) bareMs.push(await timed(() => session.barePut?.(Math.round(bytes / commits))))
		progress((index + 1) / ROUNDS)
	}
	const puts = putMs.length
	const figures = {
		p50Ms: percentile(putMs, 50),
		p99Ms: percentile(putMs, 99),
		putsPerSecond: (puts / elapsedMs) * 1000,
		cpuUsPerPut: cpuUs / puts,
	}
	// An engine that says nothing of its requests has nothing to compare with.
	if (session.requests === undefined) return figures
	return {
		...figures,
		bareP50Ms: percentile(bareMs, 50),
		bareP99Ms: percentile(bareMs, 99),
		ratio: percentile(putMs, 50) / percentile(bareMs, 50),
		ratioP99: percentile(putMs, 99) / percentile(bareMs, 99),
		requests,
		putsPerRequest: puts / requests,
		sentBytes,
		objectBytes: sentBytes / requests,
		usdPerMillion: (usd / puts) * 1e6,
	}
}

async function measureBulk(session: Session, workload: Workload, { plan, progress }: Task): Promise<Figures> {
	const records = plan.records * BULK_FACTOR
	const before = session.requests?.()
	const elapsedMs = await timed(async () => {
		for (let i = 0; i < records; i += plan.batch) {
			const keys: Uint8Array[] = []
			const values: Uint8Array[] = []
			for (let j = i; j < Math.min(records, i + plan.batch); j++) {
				keys.push(workload.key(j))
				values.push(workload.value(j))
			}
			await session.writeBatch(keys, values, false)
		}
		await session.commit()
	})
	progress(0.5)
	const after = session.requests?.()
	const rate = { putsPerSecond: (records / elapsedMs) * 1000, elapsedMs }
	if (after === undefined) return rate
	const sentBytes = after.sentBytes - (before?.sentBytes ?? 0)
	const bodies = Math.max(1, Math.round(sentBytes / TABLE_BYTES))
	let left = bodies
	const bareMs = await timed(async () => {
		await Promise.all(
			Array.from({ length: BARE_AT_ONCE }, async () => {
				while (left-- > 0) await session.barePut?.(Math.round(sentBytes / bodies))
			}),
		)
	})
	progress(1)
	return {
		...rate,
		bytesPerSecond: (sentBytes / elapsedMs) * 1000,
		bareBytesPerSecond: (sentBytes / bareMs) * 1000,
		share: bareMs / elapsedMs,
		requests: after.requests - (before?.requests ?? 0),
		sentBytes,
		usdPerMillion: ((after.estimatedUsd - (before?.estimatedUsd ?? 0)) / records) * 1e6,
	}
}

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
	[PUTS]: [
		{ title: 'p50 ms', figure: 'p50Ms', digits: 1, better: 'less' },
		{ title: 'p99 ms', figure: 'p99Ms', digits: 1 },
		{ title: 'bare p50', figure: 'bareP50Ms', digits: 1 },
		{ title: 'bare p99', figure: 'bareP99Ms', digits: 1 },
		{ title: 'p50 ÷ bare', figure: 'ratio', digits: 2 },
		{ title: 'p99 ÷ bare', figure: 'ratioP99', digits: 2 },
		{ title: 'puts/s', figure: 'putsPerSecond', digits: 0, better: 'more' },
		{ title: 'µs CPU/put', figure: 'cpuUsPerPut', digits: 1 },
		{ title: 'requests', figure: 'requests', digits: 0 },
		{ title: 'puts/request', figure: 'putsPerRequest', digits: 1 },
		{ title: 'bytes/request', figure: 'objectBytes', digits: 0 },
		{ title: 'US$/million', figure: 'usdPerMillion', digits: 3 },
	],
	[BULK]: [
		{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000, better: 'more' },
		{ title: 'seconds', figure: 'elapsedMs', digits: 2, unit: 1000 },
		{ title: 'MB/s', figure: 'bytesPerSecond', digits: 1, unit: 1e6 },
		{ title: `bare MB/s, ${BARE_AT_ONCE} at once`, figure: 'bareBytesPerSecond', digits: 1, unit: 1e6 },
		{ title: '÷ bare', figure: 'share', digits: 2 },
		{ title: 'requests', figure: 'requests', digits: 0 },
		{ title: 'MB sent', figure: 'sentBytes', digits: 0, unit: 1e6 },
		{ title: 'US$/million', figure: 'usdPerMillion', digits: 4 },
	],
}

function targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[] {
	return (plan.clients ?? CLIENTS).map(clients => ({
		name: `${labelOf(clients)}: p50, times one bare PUT`,
		isAtLeast: false,
		required: 1.3,
		actual: of('isledb', labelOf(clients))?.['ratio'],
		digits: 2,
	}))
}

export const scenario: Scenario = {
	name: 'durable',
	summary: 'durable puts of closed loops of clients, and a bulk load, beside bare PUTs of as many bytes',
	records: 100_000,
	repeat: 1,
	engines: ['isledb', 'slatedb'],
	cases,
	measure,
	columns: COLUMNS,
	targets,
	notes: [
		'A bare PUT is one create-if-absent by the same adapter over the same link, one at a time, between the rounds.',
		`The bulk load has ${BULK_FACTOR} times the records. CPU is of all threads of the run, not of the server. US$ as on S3.`,
	],
}
