/** A writer of the simulation: opens the database when it has something to do, and again after it was fenced, closed or killed. */

import { type IsleErrorCode, isIsleError } from '../../src/errors.ts'
import type { Database } from '../../src/index.ts'
import type { Mutation, WriterLife } from './history-record.ts'
import { isKeptOperation, runKept } from './kept-states.ts'
import { judgeWriterMemory } from './memory-budgets.ts'
import { type Operation, type PlannedMutation, type PlannedOperation, piecesOf } from './operations.ts'
import { BLOB_BYTES, openSimulatedDatabase } from './simulated-database.ts'
import { DEAD, type SimulatedProcess } from './simulated-process.ts'
import type { Client, Stage } from './stage.ts'

interface Opened {
	readonly process: SimulatedProcess
	readonly db: Database
	readonly life: WriterLife
	/** Its views are not older. */
	readonly openedMs: number
	/** While a value comes piece by piece, what else is written waits: so each mutation has the number that follows. */
	streaming: Promise<unknown> | undefined
	isOver: boolean
}

const WRITE_CODES: readonly IsleErrorCode[] = ['ISLE_FENCED', 'ISLE_INDETERMINATE', 'ISLE_CLOSED']
/** A place of the past may be in a log that another writer has gone on with. */
const KEPT_CODES: readonly IsleErrorCode[] = [...WRITE_CODES, 'ISLE_UNAVAILABLE']
const READS: ReadonlySet<string> = new Set(['get', 'scan', 'snapshot'])

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
			const isRead = READS.has(operation.kind)
			const isKept = isKeptOperation(operation)
			// A view outlives its objects when somebody in another process maintains: the maintainer of this one knows of it.
			const { record, settings } = this.#stage
			const isAlone = settings.maintainers === 0 && record.lives.length === 1
			const mayExpire = isRead && !isAlone && operation.kind !== 'get' && this.#stage.mayHaveExpired(opened.openedMs)
			const codes: readonly IsleErrorCode[] = mayExpire ? [...WRITE_CODES, 'ISLE_EXPIRED'] : WRITE_CODES
			this.#stage.judgeFenced(opened.life, error)
			this.#stage.met(`${opened.process.name} ${operation.kind}`, error, isKept ? KEPT_CODES : codes)
			if (!isRead && !isKept) this.#giveUp(opened)
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
		const { record } = this.#stage
		const process = this.#stage.start(this.#name)
		const openedMs = this.#stage.world.nowMs
		try {
			const db = await process.whileAlive(openSimulatedDatabase(this.#stage, process))
			if (db === DEAD) return undefined
			const { epoch, lastSeq } = db.stats()
			const life = { process: process.name, epoch, baseSeq: lastSeq, mutations: [], isLastUnsure: false }
			record.lives.push(life)
			this.#stage.trace(() => `${process.name} opened epoch ${epoch} at ${lastSeq}`)
			this.#opened = { process, db, life, openedMs, streaming: undefined, isOver: false }
			return this.#opened
		} catch (error) {
			this.#stage.met(`${process.name} open`, error, ['ISLE_FENCED', 'ISLE_INDETERMINATE'])
			return undefined
		}
	}

	async #runOn(opened: Opened, operation: Operation): Promise<void> {
		const { db, process, life } = opened
		const stage = this.#stage
		if (isKeptOperation(operation)) return await runKept(stage, { process, db, life }, operation)
		if (isMutating(operation)) while (opened.streaming !== undefined && !process.isDead) await opened.streaming
		if (opened.isOver || process.isDead) return
		switch (operation.kind) {
			case 'write':
				return await this.#write(opened, operation.mutations, operation.isDurable)
			case 'batch':
				return await this.#batch(opened, operation.mutations, operation.isDurable)
			case 'stream':
				return await this.#stream(opened, operation)
			case 'flush': {
				const length = life.mutations.length - (life.isLastUnsure ? 1 : 0)
				const position = await process.whileAlive(db.flush())
				if (position === DEAD) return
				this.#acknowledge(opened, 0, length)
				stage.positions.push({ position, seenMs: stage.world.nowMs })
				return
			}
			case 'get': {
				const read = (): ReturnType<Stage['get']> => stage.get(db, operation, () => opened.openedMs)
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
		const { db, process, life } = opened
		const calls = planned.map(one => {
			const mutation = this.#accept(opened, one, 0)
			const call =
				mutation.value === undefined
					? db.delete(mutation.key, { durable: isDurable })
					: db.put(mutation.key, mutation.value, { durable: isDurable, ttlMs: one.ttlMs })
			// Refused at once for want of memory: it has no number.
			const isRefused = this.#stage.settings.hugeShare > 0 && db.stats().lastSeq < mutation.seq
			if (isRefused) life.mutations.pop()
			return process.whileAlive(call).then(
				answer => {
					if (isDurable && answer !== DEAD) this.#acknowledgeOne(mutation)
				},
				(error: unknown) => {
					if (!isRefused || !isIsleError(error, 'ISLE_BACKPRESSURE')) throw error
				},
			)
		})
		judgeWriterMemory(this.#stage, opened)
		const failed = (await Promise.allSettled(calls)).find(result => result.status === 'rejected')
		if (failed !== undefined) throw failed.reason
	}

	async #stream(
		opened: Opened,
		{ mutation: planned, pieces, isDurable }: Operation & { readonly kind: 'stream' },
	): Promise<void> {
		const { db, process, life } = opened
		const mutation = this.#accept(opened, planned, 0, true)
		life.isLastUnsure = true
		const end = (): void => {
			life.isLastUnsure = false
			opened.streaming = undefined
		}
		const call = process.whileAlive(
			db.putStream(mutation.key, piecesOf(mutation.value ?? '', pieces), { durable: isDurable }),
		)
		const settled = call.then(
			answer => {
				if (isDurable && answer !== DEAD) this.#acknowledgeOne(mutation)
				// Whoever has died leaves it unsure.
				if (answer !== DEAD) end()
			},
			(error: unknown) => {
				if (db.stats().lastSeq < mutation.seq) life.mutations.pop()
				end()
				// Others have filled the memory of the writer without waiting.
				if (this.#stage.settings.hugeShare === 0 || !isIsleError(error, 'ISLE_BACKPRESSURE')) throw error
			},
		)
		opened.streaming = settled.catch(() => undefined)
		await settled
	}

	async #batch(opened: Opened, planned: readonly PlannedMutation[], isDurable: boolean): Promise<void> {
		const { db, process, life } = opened
		const batch = db.batch()
		const number = ++this.#batches
		const mutations = planned.map(one => {
			const mutation = this.#accept(opened, one, number)
			if (mutation.value === undefined) batch.delete(mutation.key)
			else batch.put(mutation.key, mutation.value, { ttlMs: one.ttlMs })
			return mutation
		})
		const call = db.write(batch, { durable: isDurable })
		judgeWriterMemory(this.#stage, opened)
		if (this.#stage.settings.hugeShare > 0 && db.stats().lastSeq < (mutations[0]?.seq ?? 0)) {
			life.mutations.length -= mutations.length
			await call.catch((error: unknown) => {
				if (!isIsleError(error, 'ISLE_BACKPRESSURE')) throw error
			})
			return
		}
		const answer = await process.whileAlive(call)
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
	#accept(
		{ process, life }: Opened,
		{ id, key, kind, ttlMs, bytes }: PlannedMutation,
		batch: number,
		isStream = false,
	): Mutation {
		const writtenAtMs = process.nowMs()
		const mutation: Mutation = {
			id,
			key: this.#stage.key(key),
			value: kind === 'delete' ? undefined : `${id}:`.padEnd(bytes, `${id} `),
			isApart: isStream || bytes >= BLOB_BYTES,
			expiresAtMs: ttlMs === undefined ? 0 : writtenAtMs + ttlMs,
			writtenAtMs,
			seq: life.baseSeq + life.mutations.length + 1,
			batch,
			calledAt: this.#stage.world.stamp(),
			durableAt: Number.POSITIVE_INFINITY,
			durableMs: Number.POSITIVE_INFINITY,
		}
		life.mutations.push(mutation)
		return mutation
	}

	#acknowledge({ life }: Opened, from: number, to: number): void {
		for (const mutation of life.mutations.slice(from, to)) this.#acknowledgeOne(mutation)
	}

	#acknowledgeOne(mutation: Mutation): void {
		if (mutation.durableAt !== Number.POSITIVE_INFINITY) return
		mutation.durableAt = this.#stage.world.stamp()
		mutation.durableMs = this.#stage.world.nowMs
	}
}

function isMutating({ kind }: Operation): boolean {
	return kind === 'write' || kind === 'batch' || kind === 'stream'
}
