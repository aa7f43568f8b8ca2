/**
 * What one process sees of the virtual store. Each request is a task that takes effect at once when its turn comes, and meets the
 * fault that the plan has for it; the answer comes with it, or later. Keeps the store contract (`object-store.ts`): aborts and deadlines
 * answer at once, whatever becomes of the request.
 */
import { IsleError } from '../../src/errors.ts'
import { joinBody } from '../../src/object-store/body.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RequestOptions,
} from '../../src/object-store/object-store.ts'
import type { FaultKind, FaultPlan } from './faults.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import { type Request, SimulatedRequest } from './simulated-request.ts'
import { copyOf, type VirtualObjects } from './virtual-objects.ts'
import type { World } from './world.ts'

interface Ground {
	readonly world: World
	readonly objects: VirtualObjects
	readonly faults: FaultPlan
}

const PIECE_BYTES = 700

export class SimulatedStore implements ObjectStore {
	readonly url = 'virtual:'
	readonly #process: SimulatedProcess
	readonly #ground: Ground
	#requests = 0

	constructor(process: SimulatedProcess, ground: Ground) {
		this.#process = process
		this.#ground = ground
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		const { objects } = this.#ground
		return this.#send({ what: `get ${key}`, effect: () => copyOf(objects.bytesOf(key)) }, options)
	}

	getRange(key: string, { offset, bytes }: ByteRange, options?: RequestOptions): Promise<Uint8Array | undefined> {
		const effect = (): Uint8Array | undefined => {
			const whole = this.#ground.objects.bytesOf(key)
			if (whole === undefined) return undefined
			if (offset + bytes > whole.length) throw new IsleError('ISLE_CORRUPT', `a range past the end: key=\`${key}\``)
			return copyOf(whole.subarray(offset, offset + bytes))
		}
		return this.#send({ what: `getRange ${key}`, effect }, options)
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		const bytes = joinBody(body)
		const { objects } = this.#ground
		const effect = (): void => objects.put(key, bytes)
		return this.#send({ what: `put ${key}`, effect, repeat: () => objects.put(key, bytes, true) }, options)
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const bytes = joinBody(body)
		const { objects } = this.#ground
		const effect = (): CreateOutcome => ({ kind: objects.create(key, bytes) ? 'created' : 'exists' })
		const repeat = (): void => void objects.create(key, bytes, true)
		return this.#send(
			{ what: `create ${key}`, effect, repeat, unknown: cause => ({ kind: 'unknown', cause }) },
			options,
		)
	}

	list(options: ListOptions = {}): Promise<ListPage> {
		const effect = (): ListPage => this.#ground.objects.page(options)
		return this.#send({ what: `list ${options.prefix ?? ''}`, effect }, options)
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.deleteMany([key], options)
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		const own = [...keys]
		const effect = (): void => {
			for (const key of own) this.#ground.objects.delete(key)
		}
		return this.#send({ what: `delete ${own[0]}`, effect }, options)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const { objects } = this.#ground
		const end = range === undefined ? undefined : range.offset + range.bytes
		const effect = (): Uint8Array | undefined => copyOf(objects.bytesOf(key)?.subarray(range?.offset ?? 0, end))
		const bytes = await this.#send({ what: `stream ${key}`, effect }, options)
		return bytes === undefined ? undefined : this.#pieces(key, bytes, options)
	}

	async createFromStream(
		key: string,
		body: AsyncIterable<Uint8Array>,
		options?: RequestOptions,
	): Promise<CreateOutcome> {
		const pieces: Uint8Array[] = []
		for await (const piece of body) {
			options?.signal?.throwIfAborted()
			pieces.push(joinBody(piece))
		}
		return await this.createIfAbsent(key, pieces, options)
	}

	/** The store is everybody's. */
	async close(): Promise<void> {}

	async *#pieces(key: string, bytes: Uint8Array, options: RequestOptions | undefined): AsyncGenerator<Uint8Array> {
		for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
			const effect = (): Uint8Array => bytes.slice(at, at + PIECE_BYTES)
			yield await this.#send({ what: `piece ${key}`, effect, isStream: true }, options)
		}
	}

	#send<Value>(request: Request<Value>, options: RequestOptions | undefined): Promise<Value> {
		const process = this.#process
		if (process.isDead) return new Promise(() => undefined)
		const signal = options?.signal
		if (signal?.aborted) {
			return request.unknown === undefined
				? Promise.reject(signal.reason)
				: Promise.resolve(request.unknown(signal.reason))
		}
		const fault = this.#ground.faults.of(process.name, this.#requests++, kind => canMeet(request, kind))
		return new Promise((resolve, reject) => {
			const call = new SimulatedRequest(request, process, this.#ground.world, resolve, reject)
			call.limit(options)
			call.begin(fault)
		})
	}
}

function canMeet(request: Request<unknown>, kind: FaultKind): boolean {
	if (kind === 'cut-body') return request.isStream === true
	if (request.isStream === true) return kind === 'kill-before' || kind === 'pause'
	return kind !== 'duplicate' || request.repeat !== undefined
}
