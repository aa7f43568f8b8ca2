/**
 * What one process sees of the virtual store. Each request is a task that takes effect at once when its turn comes, and meets the
 * fault that the plan has for it; the answer comes with it, or later. Keeps the store contract (`object-store.ts`): aborts and deadlines
 * answer at once, whatever becomes of the request.
 */
import { IsleError } from '../../src/errors.ts'
import { joinBody, rangeTarget } from '../../src/object-store/body.ts'
import type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from '../../src/object-store/object-store.ts'
import { TRUSTED_URL } from './engine.ts'
import { FAULT_KINDS, type FaultKind, type FaultPlan, textHash } from './faults.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import { type Request, SimulatedRequest } from './simulated-request.ts'
import { copyOf, type VirtualObjects } from './virtual-objects.ts'
import type { World } from './world.ts'

interface Ground {
	readonly world: World
	readonly objects: VirtualObjects
	readonly faults: FaultPlan
	/** Whether bits of what is read may be others than those that were written. */
	readonly hasFlips: boolean
	/** Whether it is taken for a sound one. */
	readonly isTrusted: boolean
}

/** How many requests a process has sent so far. */
export interface RequestCounts {
	reads: number
	lists: number
	writes: number
}

const WRITE_ONLY: readonly FaultKind[] = ['duplicate', 'arrive-late-twice', 'conflict']
const READ_ONLY: readonly FaultKind[] = ['cut-body', 'flip-bit']
const EVERY_REQUEST = FAULT_KINDS.filter(kind => !WRITE_ONLY.includes(kind) && !READ_ONLY.includes(kind))
const LISTS = EVERY_REQUEST.filter(kind => kind !== 'arrive-late')
const READS: readonly FaultKind[] = [...LISTS, 'cut-body']
const FLIPPED_READS: readonly FaultKind[] = [...READS, 'flip-bit']
const DELETES = EVERY_REQUEST
const PUTS: readonly FaultKind[] = [...EVERY_REQUEST, 'duplicate', 'arrive-late-twice']
const CREATES: readonly FaultKind[] = [...PUTS, 'conflict']
const PIECES: readonly FaultKind[] = ['cut-body', 'kill-before', 'pause']

const PIECE_BYTES = 700
/** A body whose object is deleted meanwhile goes on in some stores, and in others it does not. */
const ENDS_WITH_ITS_OBJECT = 0.5

export class SimulatedStore implements ObjectStore {
	readonly url: string
	readonly #process: SimulatedProcess
	readonly #ground: Ground
	readonly #processHash: number
	#requests = 0
	/** Each request takes so long, when that is to be told by the clock. */
	latencyMs = 0
	readonly counts: RequestCounts = { reads: 0, lists: 0, writes: 0 }

	constructor(process: SimulatedProcess, ground: Ground) {
		this.#process = process
		this.#ground = ground
		this.#processHash = textHash(process.name)
		this.url = ground.isTrusted ? TRUSTED_URL : 'virtual:'
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		const { objects } = this.#ground
		return this.#read(`get ${key}`, () => copyOf(objects.bytesOf(key)), options)
	}

	getRange(key: string, { offset, bytes }: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		const effect = (): Uint8Array | undefined => {
			const whole = this.#ground.objects.bytesOf(key)
			if (whole === undefined) return undefined
			if (offset + bytes > whole.length) throw new IsleError('ISLE_CORRUPT', `a range past the end: key=\`${key}\``)
			const target = rangeTarget({ offset, bytes }, options)
			target.set(whole.subarray(offset, offset + bytes))
			return target
		}
		return this.#read(`getRange ${key}`, effect, options)
	}

	put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		const bytes = joinBody(body)
		const { objects } = this.#ground
		const effect = (): void => objects.put(key, bytes)
		const repeat = (): void => objects.put(key, bytes, true)
		this.counts.writes++
		return this.#send({ what: `put ${key}`, effect, repeat, possible: PUTS }, options)
	}

	createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const bytes = joinBody(body)
		const { objects } = this.#ground
		const effect = (): CreateOutcome => ({ kind: objects.create(key, bytes) ? 'created' : 'exists' })
		const repeat = (): void => void objects.create(key, bytes, true)
		const unknown = (cause: unknown): CreateOutcome => ({ kind: 'unknown', cause })
		this.counts.writes++
		return this.#send({ what: `create ${key}`, effect, repeat, unknown, possible: CREATES }, options)
	}

	list(options: ListOptions = {}): Promise<ListPage> {
		const effect = (): ListPage => this.#ground.objects.page(options)
		this.counts.lists++
		return this.#send({ what: `list ${options.prefix ?? ''}`, effect, possible: LISTS }, options)
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.deleteMany([key], options)
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		const own = [...keys]
		const effect = (): void => {
			for (const key of own) this.#ground.objects.delete(key)
		}
		this.counts.writes++
		return this.#send({ what: `delete ${own[0]}`, effect, possible: DELETES }, options)
	}

	async getStream(
		key: string,
		range?: ByteRange,
		options?: RequestOptions,
	): Promise<AsyncIterable<Uint8Array> | undefined> {
		const { objects } = this.#ground
		const end = range === undefined ? undefined : range.offset + range.bytes
		const effect = (): Uint8Array | undefined => copyOf(objects.bytesOf(key)?.subarray(range?.offset ?? 0, end))
		const bytes = await this.#read(`stream ${key}`, effect, options)
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
		const { objects, world } = this.#ground
		for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
			const effect = (): Uint8Array => {
				if (objects.bytesOf(key) === undefined && world.chance(ENDS_WITH_ITS_OBJECT)) {
					throw new IsleError('ISLE_UNAVAILABLE', `the body broke off: key=\`${key}\``)
				}
				return bytes.slice(at, at + PIECE_BYTES)
			}
			yield await this.#send({ what: `piece ${key}`, effect, possible: PIECES }, options)
		}
	}

	#read(
		what: string,
		effect: () => Uint8Array | undefined,
		options: RequestOptions | undefined,
	): Promise<Uint8Array | undefined> {
		this.counts.reads++
		const possible = this.#ground.hasFlips ? FLIPPED_READS : READS
		return this.#send({ what, effect, flip: withFlippedBit, possible }, options)
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
		const fault = this.#ground.faults.of(process.name, this.#processHash, this.#requests++, request.possible)
		return new Promise((resolve, reject) => {
			const call = new SimulatedRequest(request, process, this.#ground.world, resolve, reject)
			call.limit(options)
			call.begin(fault, this.latencyMs)
		})
	}
}

/** Bytes that nobody else has. */
function withFlippedBit(bytes: Uint8Array | undefined, amount: number): Uint8Array | undefined {
	const bit = Math.floor(amount * 8 * (bytes?.length ?? 0))
	const byte = bytes?.[bit >> 3]
	if (bytes !== undefined && byte !== undefined) bytes[bit >> 3] = byte ^ (1 << (bit & 7))
	return bytes
}
