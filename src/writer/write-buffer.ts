/**
 * The memory of a writer: the active memtable, the frozen ones whose commits are on their way, and the bound of both.
 *
 * While the frozen ones hold more than half of `writeBufferMaxBytes`, `room` is a promise to wait for; at the whole
 * `assertBelowHardLimit` refuses. Memory counts until the commit is durable, copies that travel to workers and large values
 * included.
 */
import { IsleError, invariant } from '../errors.ts'
import type { LogPosition } from '../log/log-position.ts'
import { ArenaPool } from '../memtable/arena-pool.ts'
import { Memtable } from '../memtable/memtable.ts'
import { toSeq } from '../sst/entry.ts'
import { newRoom, type Room } from './room.ts'

export interface WriteBufferLimits {
	readonly memtableMaxBytes: number
	readonly writeBufferMaxBytes: number
}

interface Pending {
	readonly memtable: Memtable
	/** As counted when it was frozen. */
	readonly bytes: number
	/** Resolves when it is committed, with the position behind its commit. */
	readonly done: Promise<LogPosition>
}

export class WriteBuffer {
	readonly arenas: ArenaPool = new ArenaPool()
	readonly #limits: WriteBufferLimits
	#active: Memtable
	/** Oldest first. */
	readonly #frozen: Pending[] = []
	#frozenBytes = 0
	#memtables: readonly Memtable[]
	#room: Room | undefined

	constructor(limits: WriteBufferLimits, lastSeq: number) {
		this.#limits = limits
		this.#active = this.#newMemtable(lastSeq)
		this.#memtables = [this.#active]
	}

	get active(): Memtable {
		return this.#active
	}

	/** Newest first, the active one included: what a read of this process looks at before the tables. */
	get memtables(): readonly Memtable[] {
		return this.#memtables
	}

	get frozenCount(): number {
		return this.#frozen.length
	}

	/** The commit of the memtable that was frozen first, or last, of those that are not committed. */
	get oldestCommit(): Promise<LogPosition> | undefined {
		return this.#frozen[0]?.done
	}

	get newestCommit(): Promise<LogPosition> | undefined {
		return this.#frozen.at(-1)?.done
	}

	get bytes(): number {
		return this.#active.bytes + this.#frozenBytes
	}

	/** What to wait for before writing more; `undefined` while there is room. */
	get room(): Promise<void> | undefined {
		return this.#room?.promise
	}

	/** @throws ISLE_BACKPRESSURE when memory, `openBytes` of large values included, is at its bound. */
	assertBelowHardLimit(openBytes: number): void {
		const bytes = this.bytes + openBytes
		const { writeBufferMaxBytes } = this.#limits
		if (bytes < writeBufferMaxBytes) return
		throw new IsleError(
			'ISLE_BACKPRESSURE',
			`the write buffer is full and earlier writes were not awaited: bytes=\`${bytes}\` writeBufferMaxBytes=\`${writeBufferMaxBytes}\``,
		)
	}

	/** Freezes the active memtable, which has entries, begins its commit, and puts an empty one in its place. */
	freeze(packBytes: number, beginCommit: (memtable: Memtable) => Promise<LogPosition>): void {
		const memtable = this.#active
		memtable.freeze()
		const bytes = memtable.bytes + packBytes
		this.#active = this.#newMemtable(memtable.lastSeq)
		this.#memtables = [this.#active, ...this.#memtables]
		this.#frozenBytes += bytes
		this.#frozen.push({ memtable, bytes, done: beginCommit(memtable) })
		if (this.#room === undefined && this.#isOverSoftLimit()) this.#room = newRoom()
	}

	/** Takes the oldest frozen memtable out of sight: its commit is in the manifest. Answers it, to be recycled. */
	retire(lastSeq: number): Memtable {
		const pending = this.#frozen.shift()
		invariant(pending !== undefined && pending.memtable.lastSeq === lastSeq, 'commits are published in order')
		this.#memtables = this.#memtables.filter(memtable => memtable !== pending.memtable)
		this.#frozenBytes -= pending.bytes
		if (!this.#isOverSoftLimit()) {
			this.#room?.resolve()
			this.#room = undefined
		}
		return pending.memtable
	}

	/** Nothing will be freed any more. */
	fail(error: unknown): void {
		this.#room?.reject(error)
		this.#room = undefined
	}

	#isOverSoftLimit(): boolean {
		return this.#frozenBytes > this.#limits.writeBufferMaxBytes / 2
	}

	#newMemtable(lastSeq: number): Memtable {
		return new Memtable({ baseSeq: toSeq(lastSeq + 1), pool: this.arenas, maxBytes: this.#limits.memtableMaxBytes })
	}
}
