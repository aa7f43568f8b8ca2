/** A writer of the simulation: opens the database when it has something to do, and again after it was fenced, closed or killed. */

import type { IsleErrorCode } from '../../src/errors.ts'
import type { Database } from '../../src/index.ts'
import type { Mutation, WriterLife } from './history-record.ts'
import type { Operation, PlannedMutation, PlannedOperation } from './operations.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Client, Stage } from './stage.ts'

interface Opened {
	readonly process: SimulatedProcess
	readonly db: Database
	readonly life: WriterLife
	isOver: boolean
}

const BLOB_BYTES = 1024
const MEMTABLE_BYTES = 65_536
const WRITE_CODES: readonly IsleErrorCode[] = ['ISLE_FENCED', 'ISLE_INDETERMINATE', 'ISLE_CLOSED']
/** A view outlives its objects when somebody in another process maintains. */
const READ_CODES: readonly IsleErrorCode[] = [...WRITE_CODES, 'ISLE_EXPIRED']

export class WriterClient implements Client {
	readonly #stage: Stage
	readonly #name: string
	#opened: Opened | undefined
	#opening: Promise<Opened | undefined> | undefined
	#batches = 0

	constructor(stage: Stage, slot: number) {
		this.#stage = stage
		this.#name = `writer${slot}`
	}

	async run({ operation }: PlannedOperation): Promise<void> {
		if (operation.kind === 'wait') return await this.#stage.world.sleep(operation.ms)
		if (operation.kind === 'kill') {
			this.#kill()
			return
		}
		if (operation.kind === 'close') return await this.close()
		const opened = await this.#open()
		if (opened === undefined) return
		try {
			await this.#runOn(opened, operation)
		} catch (error) {
			const isRead = operation.kind === 'get' || operation.kind === 'scan' || operation.kind === 'snapshot'
			this.#stage.met(`${opened.process.name} ${operation.kind}`, error, isRead ? READ_CODES : WRITE_CODES)
			if (!isRead) this.#giveUp(opened)
		}
	}

	async close(): Promise<void> {
		const opened = this.#opened
		if (opened === undefined) return
		this.#opened = undefined
		opened.isOver = true
		const { length } = opened.life.mutations
		try {
			if ((await opened.process.whileAlive(opened.db.close())) === DEAD) return
			this.#acknowledge(opened, 0, length)
		} catch (error) {
			this.#stage.met(`${opened.process.name} close`, error, WRITE_CODES)
		}
	}

	#kill(): void {
		this.#opened?.process.kill()
		this.#opened = undefined
	}

	/** It has failed: its process lives on for a while, and another one comes. */
	#giveUp(opened: Opened): void {
		if (opened.isOver) return
		opened.isOver = true
		if (this.#opened === opened) this.#opened = undefined
		opened.process
			.whileAlive(opened.db.close())
			.catch((error: unknown) => this.#stage.met(`${opened.process.name} close`, error, WRITE_CODES))
	}

	#open(): Promise<Opened | undefined> {
		if (this.#opened !== undefined && !this.#opened.process.isDead) return Promise.resolve(this.#opened)
		this.#opened = undefined
		this.#opening ??= this.#openAnother().finally(() => {
			this.#opening = undefined
		})
		return this.#opening
	}

	async #openAnother(): Promise<Opened | undefined> {
		const { engine, settings, record } = this.#stage
		const process = this.#stage.start(this.#name)
		const { host } = process
		const { compaction, retention, gracePeriodMs, changeRetentionMs } = settings
		try {
			const db = await process.whileAlive(
				engine.open(process.store, {
					host,
					pool: engine.createInlinePool(host),
					codec: settings.codec,
					inlineMaxBytes: settings.inlineMaxBytes,
					blockCacheBytes: settings.cacheBytes,
					tableCacheBytes: settings.cacheBytes,
					blobThresholdBytes: BLOB_BYTES,
					memtableMaxBytes: MEMTABLE_BYTES,
					flushIntervalMs: settings.flushIntervalMs,
					maxCommitsInFlight: settings.maxCommitsInFlight,
					...(settings.isMaintained
						? { compaction, retention, gracePeriodMs, changeRetentionMs }
						: { maintenance: false }),
				}),
			)
			if (db === DEAD) return undefined
			const { epoch, lastSeq } = db.stats()
			const life = { process: process.name, epoch, baseSeq: lastSeq, mutations: [] }
			record.lives.push(life)
			this.#stage.trace(() => `${process.name} opened epoch ${epoch} at ${lastSeq}`)
			this.#opened = { process, db, life, isOver: false }
			return this.#opened
		} catch (error) {
			this.#stage.met(`${process.name} open`, error, ['ISLE_FENCED', 'ISLE_INDETERMINATE'])
			return undefined
		}
	}

	async #runOn(opened: Opened, operation: Operation): Promise<void> {
		const { db, process, life } = opened
		const stage = this.#stage
		switch (operation.kind) {
			case 'write':
				return await this.#write(opened, operation.mutations, operation.isDurable)
			case 'batch':
				return await this.#batch(opened, operation.mutations, operation.isDurable)
			case 'flush': {
				const { length } = life.mutations
				if ((await process.whileAlive(db.flush())) !== DEAD) this.#acknowledge(opened, 0, length)
				return
			}
			case 'get': {
				const read = (): ReturnType<Stage['get']> => stage.get(db, operation)
				await stage.reading(process, { what: 'get', life, isStrong: false, snapshot: undefined }, read)
				return
			}
			case 'scan': {
				const { isReverse } = operation
				const read = (): ReturnType<Stage['scan']> => stage.scan(db.entries({ reverse: isReverse }), isReverse)
				await stage.reading(process, { what: 'scan', life, isStrong: false, snapshot: undefined }, read)
				return
			}
			case 'snapshot':
				return await this.#snapshot(opened, operation.waitMs, operation.isReverse)
			default:
				throw new Error(`a writer cannot ${operation.kind}`)
		}
	}

	async #write(opened: Opened, planned: readonly PlannedMutation[], isDurable: boolean): Promise<void> {
		const { db, process } = opened
		const calls = planned.map(one => {
			const mutation = this.#accept(opened, one, 0)
			const call =
				mutation.value === undefined
					? db.delete(mutation.key, { durable: isDurable })
					: db.put(mutation.key, mutation.value, { durable: isDurable, ttlMs: one.ttlMs })
			return process.whileAlive(call).then(answer => {
				if (isDurable && answer !== DEAD) this.#acknowledgeOne(mutation)
			})
		})
		const failed = (await Promise.allSettled(calls)).find(result => result.status === 'rejected')
		if (failed !== undefined) throw failed.reason
	}

	async #batch(opened: Opened, planned: readonly PlannedMutation[], isDurable: boolean): Promise<void> {
		const { db, process } = opened
		const batch = db.batch()
		const number = ++this.#batches
		const mutations = planned.map(one => {
			const mutation = this.#accept(opened, one, number)
			if (mutation.value === undefined) batch.delete(mutation.key)
			else batch.put(mutation.key, mutation.value, { ttlMs: one.ttlMs })
			return mutation
		})
		const answer = await process.whileAlive(db.write(batch, { durable: isDurable }))
		if (isDurable && answer !== DEAD) for (const mutation of mutations) this.#acknowledgeOne(mutation)
	}

	async #snapshot({ db, process, life }: Opened, waitMs: number, isReverse: boolean): Promise<void> {
		const stage = this.#stage
		const snapshot = db.snapshot()
		const kept = { what: 'snapshot', life, isStrong: false, snapshot: stage.nextSnapshot(), nowMs: process.nowMs() }
		const read = (): ReturnType<Stage['scan']> => stage.scan(snapshot.entries({ reverse: isReverse }), isReverse)
		if ((await stage.reading(process, kept, read)) === DEAD) return
		await stage.world.sleep(waitMs)
		if (process.isDead) return
		if ((await stage.reading(process, kept, read)) === DEAD) return
		await process.whileAlive(snapshot.close())
	}

	/** To be called in the tick in which it is written: its number is the next one. */
	#accept({ process, life }: Opened, { id, key, kind, ttlMs, bytes }: PlannedMutation, batch: number): Mutation {
		const writtenAtMs = process.nowMs()
		const mutation: Mutation = {
			id,
			key: this.#stage.key(key),
			value: kind === 'delete' ? undefined : `${id}:`.padEnd(bytes, `${id} `),
			expiresAtMs: ttlMs === undefined ? 0 : writtenAtMs + ttlMs,
			writtenAtMs,
			seq: life.baseSeq + life.mutations.length + 1,
			batch,
			calledAt: this.#stage.world.stamp(),
			durableAt: Number.POSITIVE_INFINITY,
		}
		life.mutations.push(mutation)
		return mutation
	}

	#acknowledge({ life }: Opened, from: number, to: number): void {
		for (const mutation of life.mutations.slice(from, to)) this.#acknowledgeOne(mutation)
	}

	#acknowledgeOne(mutation: Mutation): void {
		if (mutation.durableAt === Number.POSITIVE_INFINITY) mutation.durableAt = this.#stage.world.stamp()
	}
}
