/** Carries commands out on a database and on its model, and compares all that is read. */
import { expect } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import {
	type Database,
	type DatabaseReader,
	isIsleError,
	type JobPool,
	type JobPoolStats,
	type ObjectStore,
	open,
	openReader,
	type Snapshot,
} from '../../src/index.ts'
import type { Command, Write } from './database-commands.ts'
import { DatabaseModel, type ModelMutation, type ModelRow, rowsIn } from './database-model.ts'

const BLOB_THRESHOLD_BYTES = 1024

/** The wall clock stands still until a command moves it; spans and timers are the machine's. */
class RunHost implements Host {
	wallMs = 1_700_000_000_000
	readonly random = seededRandom(7)
	readonly clock = { ...systemClock, nowMs: (): number => this.wallMs }
}

interface TakenSnapshot {
	readonly snapshot: Snapshot<string, string>
	readonly rows: readonly ModelRow[]
}

export interface RunOptions {
	readonly location: string | ObjectStore
	readonly newPool: (host: Host) => JobPool
	/** Loses one mutation of the model: the comparison must notice. */
	readonly forgets?: boolean
}

export class DatabaseRun {
	readonly #options: RunOptions
	readonly #host = new RunHost()
	readonly #model = new DatabaseModel()
	#db: Database
	#reader: DatabaseReader
	readonly #snapshots: TakenSnapshot[] = []
	#written = 0

	private constructor(options: RunOptions, db: Database, reader: DatabaseReader, host: RunHost) {
		this.#options = options
		this.#db = db
		this.#reader = reader
		this.#host = host
	}

	static async begin(options: RunOptions): Promise<DatabaseRun> {
		const host = new RunHost()
		const db = await open(options.location, { ...databaseOptions, host, pool: options.newPool(host) })
		const reader = await openReader(options.location, { refreshIntervalMs: 0, host, pool: options.newPool(host) })
		return new DatabaseRun(options, db, reader, host)
	}

	async carryOut(command: Command): Promise<void> {
		switch (command.kind) {
			case 'write':
				return await this.#write(command.write, command.durable)
			case 'batch':
				return await this.#writeBatch(command.writes, command.durable)
			case 'stream':
				return await this.#writeStream(command.key, command.pieces, command.ttlMs)
			case 'bulk':
				for (let i = 0; i < command.count; i++) {
					const key = command.keys[i % command.keys.length] ?? ''
					await this.#write({ kind: 'put', key, valueBytes: command.valueBytes, ttlMs: undefined }, false)
				}
				return
			case 'flush':
				return void (await this.#flush())
			case 'pass-time':
				this.#host.wallMs += command.ms
				return
			case 'take-snapshot':
				this.#snapshots.push({ snapshot: this.#db.snapshot(), rows: this.#rows() })
				return
			case 'drop-snapshot':
				return await this.#snapshots.shift()?.snapshot.close()
			case 'read-keys':
				return await this.#readKeys(command.keys)
			case 'scan':
				return await this.#scan(command)
			case 'reopen':
				await this.#db.close()
				this.#model.durable = this.#model.lastSeq
				return await this.#openAgain()
			case 'take-over':
				return await this.#takeOver()
		}
	}

	/** Everything once more, after all of it, through a reader and through the tail; then closes. */
	async end(): Promise<void> {
		await this.#scan({ kind: 'scan', range: {}, from: 'database' })
		await this.#scan({ kind: 'scan', range: {}, from: 'snapshot' })
		await this.#scan({ kind: 'scan', range: {}, from: 'reader' })
		await this.#compareTail()
		const { openIterators, openSnapshots } = this.#db.stats()
		expect({ openIterators, openSnapshots }).toEqual({ openIterators: 0, openSnapshots: this.#snapshots.length })
		await this.close()
	}

	/** Jobs that the database, as it is open now, has handed to its pool. */
	get jobs(): JobPoolStats {
		return this.#db.stats().pool
	}

	async close(): Promise<void> {
		await this.#reader.close()
		await this.#db.close()
	}

	#rows(): ModelRow[] {
		return this.#model.rows(this.#host.wallMs)
	}

	#remember(mutation: ModelMutation): void {
		if (this.#options.forgets !== true || this.#model.lastSeq !== 3) this.#model.add(mutation)
		else this.#model.add({ ...mutation, value: mutation.value === undefined ? 'lost' : undefined })
	}

	/** What a write comes to, and its value. */
	#mutation(write: Write): ModelMutation & { readonly ttlMs: number | undefined } {
		if (write.kind === 'delete') return { key: write.key, value: undefined, expiresAtMs: 0, ttlMs: undefined }
		const { key, valueBytes, ttlMs } = write
		const expiresAtMs = ttlMs === undefined ? 0 : this.#host.wallMs + ttlMs
		return { key, value: this.#value(valueBytes), expiresAtMs, ttlMs }
	}

	/** Different each time, of exactly so many bytes, some of them beyond ASCII. */
	#value(bytes: number): string {
		const text = `${this.#written++} é `.repeat(Math.ceil(bytes / 4) + 1)
		return Buffer.from(text)
			.subarray(0, bytes)
			.toString('latin1')
			.replaceAll(/[^ -~]/g, '~')
	}

	async #write(write: Write, durable: boolean): Promise<void> {
		const { ttlMs, ...mutation } = this.#mutation(write)
		const { key, value } = mutation
		const accepted =
			value === undefined ? this.#db.delete(key, { durable }) : this.#db.put(key, value, { ttlMs, durable })
		this.#remember(mutation)
		await accepted
		if (durable) this.#model.durable = this.#model.lastSeq
	}

	async #writeBatch(writes: readonly Write[], durable: boolean): Promise<void> {
		const batch = this.#db.batch()
		const mutations = writes.map(write => this.#mutation(write))
		for (const { key, value, ttlMs } of mutations) {
			if (value === undefined) batch.delete(key)
			else batch.put(key, value, ttlMs === undefined ? {} : { ttlMs })
		}
		const accepted = this.#db.write(batch, { durable })
		for (const { ttlMs: _, ...mutation } of mutations) this.#remember(mutation)
		await accepted
		if (durable && writes.length > 0) this.#model.durable = this.#model.lastSeq
	}

	async #writeStream(key: string, pieces: readonly number[], ttlMs: number | undefined): Promise<void> {
		const values = pieces.map(bytes => this.#value(bytes))
		await this.#db.putStream(key, streamOf(values), { ttlMs })
		const expiresAtMs = ttlMs === undefined ? 0 : this.#host.wallMs + ttlMs
		this.#remember({ key, value: values.join(''), expiresAtMs })
	}

	async #flush(): Promise<string> {
		const position = await this.#db.flush()
		this.#model.durable = this.#model.lastSeq
		return position
	}

	async #readKeys(keys: readonly string[]): Promise<void> {
		const rows = new Map(this.#rows())
		const expected = keys.map(key => rows.get(key))
		expect(await this.#db.getMany(keys)).toEqual(expected)
		for (const [index, key] of keys.entries()) {
			expect(await this.#db.get(key)).toBe(expected[index])
			expect(await this.#db.has(key)).toBe(expected[index] !== undefined)
			expect(await textOf(await this.#db.getStream(key))).toBe(expected[index])
		}
		const position = await this.#flush()
		for (const [index, key] of keys.entries()) {
			expect(await this.#reader.get(key, { atLeast: position })).toBe(expected[index])
		}
	}

	async #scan({ range, from }: Extract<Command, { kind: 'scan' }>): Promise<void> {
		if (from === 'snapshot') {
			for (const { snapshot, rows } of this.#snapshots) {
				expect(await collect(snapshot.entries(range))).toEqual(rowsIn(rows, range))
			}
			return
		}
		const expected = rowsIn(this.#rows(), range)
		if (from === 'reader') {
			await this.#flush()
			await this.#reader.refresh()
		}
		const source = from === 'reader' ? this.#reader : this.#db
		expect(await collect(source.entries(range))).toEqual(expected)
		expect(await collect(source.keys(range))).toEqual(expected.map(([key]) => key))
		const batches = await collect(source.values(range).batches())
		expect(batches.flat()).toEqual(expected.map(([, value]) => value))
	}

	/** The first writer is told that it is fenced; the second stands where something was committed, and goes on from there. */
	async #takeOver(): Promise<void> {
		const fenced = this.#db
		await this.#openAgain()
		await expectFenced(fenced.put('a', 'by the fenced writer', { durable: true }))
		await expectFenced(fenced.flush())
		await expectFenced(fenced.delete('a'))
		// What it knew it still answers.
		await fenced.get('b')
		await expectFenced(fenced.close())
	}

	async #openAgain(): Promise<void> {
		const host = this.#host
		this.#snapshots.length = 0
		const { location, newPool } = this.#options
		this.#db = await open(location, { ...databaseOptions, host, pool: newPool(host) })
		expect(this.#model.cutTo(this.#db.stats().lastSeq)).toBeUndefined()
		this.#model.durable = this.#model.lastSeq
	}

	/** Every mutation that was committed, once and in order, whoever wrote it. */
	async #compareTail(): Promise<void> {
		const expected = this.#model.mutations.map(({ key, value, expiresAtMs }, index) => ({
			kind: value === undefined ? 'delete' : 'put',
			seq: index + 1,
			key,
			value,
			expiresAtMs,
		}))
		const seen: unknown[] = []
		if (expected.length > 0) {
			for await (const changes of this.#reader.changes({ from: { timeMs: 0 } })) {
				for (const { kind, seq, key, value, expiresAtMs } of changes) seen.push({ kind, seq, key, value, expiresAtMs })
				if (seen.length >= expected.length) break
			}
		}
		expect(seen).toEqual(expected)
	}
}

const databaseOptions = {
	memtableMaxBytes: 262_144,
	inlineMaxBytes: 8_192,
	blobThresholdBytes: BLOB_THRESHOLD_BYTES,
	flushIntervalMs: 0,
} as const

async function expectFenced(call: Promise<unknown>): Promise<void> {
	const error: unknown = await call.then(
		() => undefined,
		(failure: unknown) => failure,
	)
	expect(isIsleError(error, 'ISLE_FENCED'), String(error)).toBe(true)
}

async function collect<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
	const collected: Row[] = []
	for await (const row of rows) collected.push(row)
	return collected
}

async function* streamOf(values: readonly string[]): AsyncGenerator<Uint8Array> {
	for (const value of values) yield Buffer.from(value)
}

async function textOf(pieces: AsyncIterable<Uint8Array> | undefined): Promise<string | undefined> {
	return pieces === undefined ? undefined : Buffer.concat(await collect(pieces)).toString()
}
