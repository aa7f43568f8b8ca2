/** A store that answers one request at a time, whichever it is told to, and names the state in which it and its clients are. */

import { createHash } from 'node:crypto'
import { NO_BYTES } from '../../src/bytes/no-bytes.ts'
import { joinBody } from '../../src/object-store/body.ts'
import type { Body, CreateOutcome, ListPage, ObjectStore } from '../../src/object-store/object-store.ts'
import type { Doubt } from './orders.ts'

export interface OrderedRequest {
	readonly actor: string
	readonly kind: 'get' | 'create' | 'list' | 'delete'
	/** Of a list: the prefix. */
	readonly key: string
}

interface Waiting extends OrderedRequest {
	/** Of those of its actor. */
	readonly number: number
	/** What is created. */
	readonly bytes: Uint8Array
	readonly doubt: Doubt | undefined
	readonly resolve: (answer: Answer) => void
}

/** What is told, what is written of it, and the object that is there afterwards. */
interface Effect {
	readonly answer: Answer
	readonly shown: string
	readonly after: Uint8Array | undefined
}

type Answer = Uint8Array | ListPage | CreateOutcome | undefined

export interface OrderedStoreOptions {
	/** Those for whom it matters which of several answers came first. */
	readonly ordered: ReadonlySet<string>
	/** `actor:number` of creates. */
	readonly doubts: ReadonlyMap<string, Doubt>
}

/** Parts of states as numbers: a state is all of its parts, in any order. */
const numbers = new Map<string, bigint>()

export class OrderedStore {
	/** Everything is answered at once, and is no part of a state. */
	isDirect = true
	readonly told: string[] = []
	/** What came first under each key. */
	readonly firsts: Map<string, Uint8Array> = new Map()
	readonly #options: OrderedStoreOptions
	readonly #objects = new Map<string, Uint8Array>()
	readonly #waiting: Waiting[] = []
	readonly #sent = new Map<string, number>()
	readonly #answered = new Map<string, number>()
	#state = 0n

	constructor(options: OrderedStoreOptions) {
		this.#options = options
	}

	get waiting(): readonly Waiting[] {
		return this.#waiting
	}

	get state(): bigint {
		return this.#state
	}

	contentOf(key: string): Uint8Array | undefined {
		return this.#objects.get(key)
	}

	/** Of `waiting`. */
	putFirst(request: Waiting): void {
		this.#waiting.splice(this.#waiting.indexOf(request), 1)
		this.#waiting.unshift(request)
	}

	/** The state in which the answer leaves all, whatever its actor then asks for. */
	stateAfter(request: Waiting): bigint {
		const { actor, number, key } = request
		const { shown, after } = this.#effectOf(request)
		const before = this.#objects.get(key)
		let state = this.#state ^ numberOf(`${actor} ${this.#turnOf(actor)} ${number} ${request.kind} ${key} ${shown}`)
		if (after === before) return state
		if (before !== undefined) state ^= numberOf(`object ${key} ${nameOf(before)}`)
		if (after !== undefined) state ^= numberOf(`object ${key} ${nameOf(after)}`)
		const isFirst = after !== undefined && !this.firsts.has(key)
		return isFirst ? state ^ numberOf(`first ${key} ${nameOf(after)}`) : state
	}

	answer(index: number): void {
		const [request] = this.#waiting.slice(index, index + 1)
		if (request === undefined) throw new Error('nobody waits for that')
		this.#state = this.stateAfter(request)
		this.#waiting.splice(index, 1)
		const { actor, kind, key, doubt, resolve } = request
		const { answer, shown } = this.#effectOf(request)
		this.#answered.set(actor, (this.#answered.get(actor) ?? 0) + 1)
		this.told.push(`${actor}: ${kind} ${key} ${shown}`)
		this.#perform(request)
		if (doubt === 'arrives-late') {
			this.#waiting.push({ ...request, actor: `late ${actor}`, doubt: undefined, resolve: () => undefined })
		}
		resolve(answer)
	}

	/** As `actor` sees it. */
	of(actor: string): ObjectStore {
		const refuse = (): Promise<never> => Promise.reject(new Error('not for actors'))
		// Each kind of request has its answer: see `#effectOf`.
		return {
			url: 'orders:',
			get: async key => (await this.#send(actor, 'get', key)) as Uint8Array | undefined,
			createIfAbsent: async (key, body) => (await this.#send(actor, 'create', key, body)) as CreateOutcome,
			list: async options => (await this.#send(actor, 'list', options?.prefix ?? '')) as ListPage,
			delete: async key => void (await this.#send(actor, 'delete', key)),
			getRange: refuse,
			put: refuse,
			deleteMany: refuse,
			getStream: refuse,
			createFromStream: refuse,
			close: async () => undefined,
		}
	}

	#send(actor: string, kind: OrderedRequest['kind'], key: string, body: Body = NO_BYTES): Promise<Answer> {
		const number = this.#sent.get(actor) ?? 0
		const bytes = joinBody(body)
		return new Promise(resolve => {
			if (this.isDirect) {
				const request = { actor, kind, key, number, bytes, doubt: undefined, resolve }
				const { answer } = this.#effectOf(request)
				this.#perform(request)
				resolve(answer)
				return
			}
			this.#sent.set(actor, number + 1)
			this.#waiting.push({
				actor,
				kind,
				key,
				number,
				bytes,
				doubt: this.#options.doubts.get(`${actor}:${number}`),
				resolve,
			})
		})
	}

	#effectOf({ kind, key, bytes, doubt }: Waiting): Effect {
		const before = this.#objects.get(key)
		switch (kind) {
			case 'get':
				return { answer: before, shown: before === undefined ? 'nothing' : nameOf(before), after: before }
			case 'delete':
				return { answer: undefined, shown: '', after: undefined }
			case 'list': {
				const keys = [...this.#objects.keys()].filter(other => other.startsWith(key)).sort()
				const objects = keys.map(other => ({ key: other, bytes: 0, lastModifiedMs: 0 }))
				return { answer: { objects, isTruncated: false }, shown: keys.join(), after: before }
			}
			case 'create': {
				const created = before ?? bytes
				if (doubt !== undefined) {
					const answer: CreateOutcome = { kind: 'unknown', cause: new Error('no answer') }
					return { answer, shown: doubt, after: doubt === 'reply-lost' ? created : before }
				}
				const outcome = before === undefined ? 'created' : 'exists'
				return { answer: { kind: outcome }, shown: outcome, after: created }
			}
		}
	}

	#perform(request: Waiting): void {
		const { key } = request
		const { after } = this.#effectOf(request)
		if (after === undefined) this.#objects.delete(key)
		else this.#objects.set(key, after)
		if (after !== undefined && !this.firsts.has(key)) this.firsts.set(key, after)
	}

	#turnOf(actor: string): number {
		return this.#options.ordered.has(actor) ? (this.#answered.get(actor) ?? 0) : 0
	}
}

function nameOf(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function numberOf(part: string): bigint {
	let number = numbers.get(part)
	if (number === undefined) {
		number = createHash('sha1').update(part).digest().readBigUInt64LE()
		numbers.set(part, number)
	}
	return number
}
