/**
 * YCSB, workloads A to F: closed loops of clients on a database that holds the records.
 *
 * Steps: load; open again with default caches; once through a tenth of the time unmeasured; then as many requests as fit.
 * Every read must find its record, and every scan at least one row.
 */
import { seededRandom } from '../../src/host/random.ts'
import { closedLoops } from '../closed-loops.ts'
import type { Engine, Session } from '../engine.ts'
import type { Case, Column, Figures, Plan, Scenario, Task } from '../scenario.ts'
import { percentile } from '../statistics.ts'
import { USAGE_COLUMNS, Usage } from '../usage.ts'
import { Workload } from '../workload.ts'
import { drawRequests, YCSB_WORKLOADS, type YcsbOperation, type YcsbRequest, ycsbKey } from '../ycsb.ts'

const TABLE = 'YCSB, closed loops of clients'
const CLIENTS = 16
const LOAD_BATCH = 1_000
/** Requests of one measurement, if time allows. */
const REQUESTS_MAX = 400_000
const REQUESTS_OF_RECORD = 10
const WARM_UP_SHARE = 0.1

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.flatMap(codec =>
			YCSB_WORKLOADS.map(({ name, summary }) => ({
				engine: engine.name,
				label: `${name}, ${engine.codecName(codec)}: ${summary}`,
				group: `${name}${codec === 'none' ? ', uncompressed' : ''}`,
				table: TABLE,
				settings: { codec, workload: name },
			})),
		),
	)
}

async function measure({ engine, plan, settings, directory, progress }: Task): Promise<Figures> {
	const workload = YCSB_WORKLOADS.find(({ name }) => name === settings['workload'])
	if (workload === undefined) throw new Error(`there is no workload ${settings['workload']} of YCSB`)
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const values = new Workload(plan.seed, plan.valueBytes, 1)
	const options = { directory, store: plan.store, codec, form: 'text' } as const
	const loading = await engine.open({ ...options, isBulkLoad: true })
	await loadRecords(loading, plan.records, values, done => progress(done * 0.5))
	await loading.close()

	const session = await engine.open(options)
	const random = seededRandom(plan.seed)
	const client = new YcsbClient(session, plan.records, values)
	const clients = plan.clients?.[0] ?? CLIENTS
	const maxMs = plan.seconds * 1000
	const count = Math.min(REQUESTS_MAX, REQUESTS_OF_RECORD * plan.records)
	const warmUp = drawRequests(workload, plan.records, count * WARM_UP_SHARE, random)
	await closedLoops({ clients, count: warmUp.length, maxMs: maxMs * WARM_UP_SHARE }, i => client.do(warmUp[i]))
	progress(0.6)
	const requests = drawRequests(workload, plan.records, count, random)
	client.latencies.clear()
	const usage = await Usage.start(session)
	const { done, perSecond } = await closedLoops({ clients, count: requests.length, maxMs }, i => client.do(requests[i]))
	const used = await usage.stop(done)
	await session.close()
	return { ...used, operations: done, operationsPerSecond: perSecond, ...latencyFigures(client.latencies) }
}

async function loadRecords(
	session: Session,
	records: number,
	values: Workload,
	progress: (done: number) => void,
): Promise<void> {
	for (let i = 0; i < records; i += LOAD_BATCH) {
		const numbers = Array.from({ length: Math.min(LOAD_BATCH, records - i) }, (_, j) => i + j)
		await session.writeBatch(
			numbers.map(ycsbKey),
			numbers.map(number => values.value(number)),
			false,
		)
		progress(i / records)
	}
	await session.commit()
}

/** What all clients share: the database, and how far the inserts have come. */
class YcsbClient {
	/** Milliseconds, by operation. */
	readonly latencies = new Map<YcsbOperation, number[]>()
	readonly #session: Session
	readonly #values: Workload
	#next: number
	/** Of all records below it is known that they are there. */
	#present: number
	readonly #done = new Set<number>()

	constructor(session: Session, records: number, values: Workload) {
		this.#session = session
		this.#values = values
		this.#next = records
		this.#present = records
	}

	async do(request: YcsbRequest | undefined): Promise<void> {
		if (request === undefined) return
		const started = performance.now()
		await this.#do(request)
		const ms = performance.now() - started
		const list = this.latencies.get(request.operation)
		if (list === undefined) this.latencies.set(request.operation, [ms])
		else list.push(ms)
	}

	async #do({ operation, record, rows }: YcsbRequest): Promise<void> {
		switch (operation) {
			case 'insert':
				return await this.#insert()
			case 'scan': {
				const found = await this.#session.firstRows(ycsbKey(record), rows)
				if (found === 0) throw new Error(`a scan from record ${record} on found nothing`)
				return
			}
			case 'update':
				return await this.#put(record)
			case 'read':
				return await this.#read(record)
			case 'read-modify-write':
				await this.#read(record)
				return await this.#put(record)
		}
	}

	async #read(record: number): Promise<void> {
		const value = await this.#session.get(ycsbKey(record))
		if (value === undefined) throw new Error(`record ${record} is missing`)
	}

	async #put(record: number): Promise<void> {
		await this.#session.put(ycsbKey(record), this.#values.value(record + 1))
	}

	async #insert(): Promise<void> {
		const record = this.#next++
		await this.#session.put(ycsbKey(record), this.#values.value(record))
		this.#done.add(record)
		while (this.#done.delete(this.#present)) this.#present++
	}
}

function latencyFigures(latencies: ReadonlyMap<YcsbOperation, readonly number[]>): Figures {
	const figures: Record<string, number> = {}
	for (const [operation, samples] of latencies) {
		figures[`${operation}P50Us`] = percentile(samples, 50) * 1000
		figures[`${operation}P99Us`] = percentile(samples, 99) * 1000
	}
	return figures
}

const LATENCIES: readonly Column[] = (['read', 'update', 'insert', 'scan', 'read-modify-write'] as const).flatMap(
	operation => [
		{ title: `${operation} p50 µs`, figure: `${operation}P50Us`, digits: 0 },
		{ title: 'p99', figure: `${operation}P99Us`, digits: 0 },
	],
)

export const scenario: Scenario = {
	name: 'ycsb',
	summary: 'workloads A to F of YCSB on records of a kilobyte',
	records: 200_000,
	repeat: 1,
	valueBytes: 1_000,
	engines: ['isledb', 'slatedb', 'classic-level', 'lmdb'],
	cases,
	measure,
	columns: {
		[TABLE]: [
			{ title: 'k op/s', figure: 'operationsPerSecond', digits: 1, unit: 1000, better: 'more' },
			{ title: 'k ops', figure: 'operations', digits: 0, unit: 1000 },
			...LATENCIES,
			...USAGE_COLUMNS,
		],
	},
	targets: () => [],
	notes: [
		`${CLIENTS} clients (--clients), each one request after another; writes are accepted, not waited for until they are durable (lmdb: committed).`,
		'Zipfian keys are scrambled, theta 0.99; D reads the latest; E scans 1 to 100 rows. Latencies are of the client, queueing',
		'behind the other clients included. Caches are as each engine has them by default.',
	],
}
