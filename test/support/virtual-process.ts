/**
 * A process that a test starts, stops at any request to the store, lets go on, and kills. Many of them share one store
 * and one clock that is driven by hand; each has a wall clock that may be wrong, and randomness of its own.
 *
 *   const process = new VirtualProcess(store, clock, 7)
 *   process.allow(5)                     // the sixth request from now on stands still before it is sent
 *   const work = doSomething(process.store, process.host)
 *   await process.untilStill(work)       // it has ended, or stands still
 *   process.kill(random)                 // what was on its way may or may not arrive; nothing is ever answered
 */
import type { Timer } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RequestOptions,
} from '../../src/object-store/object-store.ts'
import type { ManualClock } from './manual-clock.ts'
import { PassThroughStore } from './pass-through-store.ts'

interface StillRequest {
	readonly send: () => unknown
	/** Sends it, and nobody hears of its answer. */
	readonly deliver: () => void
}

/** Work that is neither done nor at the store after so many macrotasks waits for something that never comes. */
const TURNS_MAX = 20_000
/** Turns without a change after which requests that wait for leave are all there is. */
const STILL_TURNS = 8
const NEVER: Promise<never> = new Promise(() => undefined)

export class VirtualProcess {
	readonly host: Host
	readonly store: ObjectStore
	#leave = Number.POSITIVE_INFINITY
	#still: StillRequest[] = []
	#sent = 0
	#isDead = false

	/** `skewMs` is how far its wall clock is ahead of `clock`. */
	constructor(store: ObjectStore, clock: ManualClock, seed: number, skewMs = 0) {
		this.store = new LeashedStore(store, send => this.#request(send))
		this.host = {
			random: seededRandom(seed),
			clock: {
				nowMs: () => clock.nowMs() + skewMs,
				monotonicMs: () => clock.monotonicMs(),
				schedule: (delayMs, fire, options): Timer =>
					clock.schedule(
						delayMs,
						() => {
							if (!this.#isDead) fire()
						},
						options,
					),
				yieldToIo: () => clock.yieldToIo(),
			},
		}
	}

	/** Requests that were sent so far. */
	get sent(): number {
		return this.#sent
	}

	get isDead(): boolean {
		return this.#isDead
	}

	/** So many more requests are sent; then they stand still. */
	allow(requests: number): void {
		this.#leave = requests
		while (this.#leave > 0 && this.#still.length > 0) this.#still.shift()?.send()
	}

	/** Resolves once `work` has ended, with true, or every request of it stands still, with false. */
	async untilStill(work: Promise<unknown>): Promise<boolean> {
		let isOver = false
		const end = (): void => {
			isOver = true
		}
		work.then(end, end)
		let [still, sent, quietTurns] = [0, 0, 0]
		for (let turn = 0; turn < TURNS_MAX; turn++) {
			await this.host.clock.yieldToIo()
			if (isOver) return true
			quietTurns = this.#still.length === still && this.#sent === sent ? quietTurns + 1 : 0
			;[still, sent] = [this.#still.length, this.#sent]
			if (still > 0 && quietTurns >= STILL_TURNS) return false
		}
		throw new Error('work waits for something that is neither the store nor a job')
	}

	/** Nothing of it happens any more. Each request that stands still was on its way or not, as `random` says; or none was. */
	kill(random: Random | undefined): void {
		this.#isDead = true
		for (const request of this.#still.splice(0)) if (random !== undefined && random.next() < 0.5) request.deliver()
	}

	#request<Value>(send: () => Promise<Value>): Promise<Value> {
		if (this.#isDead) return NEVER
		const answered = (): Promise<Value> => {
			this.#leave--
			this.#sent++
			return send().then(
				value => (this.#isDead ? NEVER : value),
				error => (this.#isDead ? NEVER : Promise.reject(error)),
			)
		}
		if (this.#leave > 0) return answered()
		return new Promise((resolve, reject) => {
			this.#still.push({
				send: () => answered().then(resolve, reject),
				deliver: () => void send().catch(() => undefined),
			})
		})
	}
}

/** Asks for leave before each call. */
class LeashedStore extends PassThroughStore {
	readonly #request: <Value>(send: () => Promise<Value>) => Promise<Value>

	constructor(inner: ObjectStore, request: <Value>(send: () => Promise<Value>) => Promise<Value>) {
		super(inner)
		this.#request = request
	}

	override get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#request(() => this.inner.get(key, options))
	}

	override getRange(key: string, range: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
		return this.#request(() => this.inner.getRange(key, range, options))
	}

	override put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		return this.#request(() => this.inner.put(key, body, options))
	}

	override createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		return this.#request(() => this.inner.createIfAbsent(key, body, options))
	}

	override list(options?: ListOptions): Promise<ListPage> {
		return this.#request(() => this.inner.list(options))
	}

	override delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#request(() => this.inner.delete(key, options))
	}

	override deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		return this.#request(() => this.inner.deleteMany(keys, options))
	}

	override getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		return this.#request(() => this.inner.getStream(key, range, options))
	}

	override createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		return this.#request(() => this.inner.createFromStream(key, body, options))
	}

	/** The store is everybody's. */
	override async close(): Promise<void> {}
}
