/**
 * A virtual store on which a scheduler decides whose operation happens next: every call waits for its turn and then takes
 * effect at once. Replies may be lost (before or after the effect), and a PUT may come a second time, much later.
 */
import { IsleError } from '../../src/errors.ts'
import type { Clock } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'
import type { Body, CreateOutcome, ListPage, ObjectStore } from '../../src/object-store/object-store.ts'

interface Turn {
	readonly process: string
	readonly take: () => void
}

export class Scheduler {
	readonly objects: Map<string, Uint8Array> = new Map()
	readonly random: Random
	readonly #turns: Turn[] = []
	readonly #late: [string, Uint8Array][] = []
	readonly #crashed = new Set<string>()
	#running = 0
	#steps = 0

	constructor(seed: number) {
		this.random = seededRandom(seed)
	}

	/** Virtual time: one millisecond a step. */
	get elapsedMs(): number {
		return this.#steps
	}

	chance(probability: number): boolean {
		return this.random.next() < probability
	}

	pick(count: number): number {
		return Math.floor(this.random.next() * count)
	}

	/** Starts a process; what it rejects with, other than a crash, is passed to `onError`. */
	start(process: string, main: () => Promise<void>, onError: (error: unknown) => void): void {
		this.#running++
		main()
			.catch(onError)
			.finally(() => {
				if (!this.#crashed.has(process)) this.#running--
			})
	}

	/** The process never gets another turn: what it waits for never comes. */
	crash(process: string): Promise<never> {
		if (!this.#crashed.has(process)) {
			this.#crashed.add(process)
			this.#running--
		}
		return new Promise(() => undefined)
	}

	turn(process: string): Promise<void> {
		return new Promise(take => this.#turns.push({ process, take }))
	}

	later(key: string, bytes: Uint8Array): void {
		this.#late.push([key, bytes])
	}

	/** Runs until every process has ended. */
	async run(maxSteps: number): Promise<void> {
		for (let step = 0; step < maxSteps; step++) {
			await macrotask()
			if (this.#running === 0) return
			this.#steps++
			if (this.#late.length > 0 && this.chance(0.05)) {
				const [late] = this.#late.splice(this.pick(this.#late.length), 1)
				if (late !== undefined && !this.objects.has(late[0])) this.objects.set(late[0], late[1])
				continue
			}
			const alive = this.#turns.filter(turn => !this.#crashed.has(turn.process))
			const chosen = alive[this.pick(alive.length)]
			if (chosen === undefined) throw new Error('every process waits for something else than the store')
			this.#turns.splice(this.#turns.indexOf(chosen), 1)
			chosen.take()
		}
		throw new Error(`no end after ${maxSteps} steps`)
	}

	/** What one process sees of the store. */
	storeOf(process: string, faults: { readonly lostReplies: number; readonly lateDuplicates: number }): ObjectStore {
		return scheduledStore(this, process, faults)
	}

	/** A host whose timers fire as soon as the process has its turn, and whose clock runs at `rate`: 0 stands still. */
	hostOf(process: string, rate = 0): Host {
		const clock: Clock = {
			nowMs: () => this.#steps * rate,
			monotonicMs: () => this.#steps * rate,
			schedule: (_delayMs, fire) => {
				let isCancelled = false
				void this.turn(process).then(() => {
					if (!isCancelled) fire()
				})
				return {
					cancel: () => {
						isCancelled = true
					},
				}
			},
			yieldToIo: () => this.turn(process),
		}
		return { clock, random: this.random }
	}
}

function macrotask(): Promise<void> {
	return new Promise(resolve => setImmediate(resolve))
}

function scheduledStore(
	scheduler: Scheduler,
	process: string,
	faults: { readonly lostReplies: number; readonly lateDuplicates: number },
): ObjectStore {
	const { objects } = scheduler
	const unavailable = (): IsleError => new IsleError('ISLE_UNAVAILABLE', 'reply lost')
	const refuse = (): Promise<never> => Promise.reject(new Error('not part of the protocol under test'))
	return {
		url: 'scheduled:',
		async get(key) {
			await scheduler.turn(process)
			if (scheduler.chance(faults.lostReplies)) throw unavailable()
			return objects.get(key)?.slice()
		},
		async createIfAbsent(key, body): Promise<CreateOutcome> {
			await scheduler.turn(process)
			const bytes = joined(body)
			if (scheduler.chance(faults.lateDuplicates)) scheduler.later(key, bytes)
			if (scheduler.chance(faults.lostReplies)) return { kind: 'unknown', cause: unavailable() }
			if (objects.has(key)) return { kind: 'exists' }
			objects.set(key, bytes)
			if (scheduler.chance(faults.lostReplies)) return { kind: 'unknown', cause: unavailable() }
			return { kind: 'created' }
		},
		async list({ prefix = '', startAfter = '' } = {}): Promise<ListPage> {
			await scheduler.turn(process)
			const keys = [...objects.keys()].filter(key => key.startsWith(prefix) && key > startAfter).sort()
			return {
				objects: keys.map(key => ({ key, bytes: objects.get(key)?.length ?? 0, lastModifiedMs: 0 })),
				isTruncated: false,
			}
		},
		async delete(key) {
			await scheduler.turn(process)
			objects.delete(key)
		},
		put: refuse,
		getRange: refuse,
		deleteMany: refuse,
		getStream: refuse,
		createFromStream: refuse,
		close: () => Promise.resolve(),
	}
}

function joined(body: Body): Uint8Array {
	return body instanceof Uint8Array ? body.slice() : new Uint8Array(Buffer.concat(body))
}

/** An object that is uploaded before a record names it: the same bytes again until it stands there. */
export async function createUntilThere(store: ObjectStore, key: string): Promise<void> {
	while ((await store.createIfAbsent(key, new Uint8Array(1))).kind === 'unknown');
}
