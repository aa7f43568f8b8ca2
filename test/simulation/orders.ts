/**
 * Every order in which the requests of a few actors can reach one store.
 *
 * An actor is a function of the answers that it gets. So a state of the whole is what lies in the store, what came first under each key,
 * and which answers each actor has had; whatever order has led there, the same can follow. The search goes on from each state once,
 * depth first; to come back to one it does again what had led there. What a request leads to is known before it is answered, and
 * requests of different keys commute: most lead to states that are known. A state is known by 64 bits.
 *
 * Where nobody can change the answer to a request any more, and the request changes nothing, it is answered at once: then it commutes with
 * all that can follow (a persistent set of one: Godefroid, "Partial-order methods for the verification of concurrent systems", 1996).
 */
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { type OrderedRequest, OrderedStore } from './ordered-store.ts'

/** What becomes of a create whose caller is not told: it has taken effect, or does so at any time later. */
export type Doubt = 'reply-lost' | 'arrives-late'

/** Some actors, from their beginning to their end. Made anew for each order. */
export interface Meeting {
	readonly actors: ReadonlyMap<string, (store: ObjectStore) => Promise<void>>
	/** Before anybody begins: what an actor asks for is answered at once. */
	prepare(storeOf: (actor: string) => ObjectStore): Promise<void>
	/** Those for whom it matters which of several answers came first. */
	readonly ordered: ReadonlySet<string>
	/** `actor:number` of creates. */
	readonly doubts: ReadonlyMap<string, Doubt>
	/** Whether nobody can change the answer, and it changes nothing; `others` have not ended. */
	isSettled(request: OrderedRequest, content: Uint8Array | undefined, others: ReadonlySet<string>): boolean
	/** What is wrong when all have ended; `firsts` is what was created first under each key. */
	judge(store: ObjectStore, firsts: ReadonlyMap<string, Uint8Array>): Promise<string[]>
}

export interface OrdersResult {
	readonly states: number
	/** States in which everybody had come to the end. */
	readonly ends: number
	/** False: there are more states than `statesMax`. */
	readonly isComplete: boolean
	/** What was wrong, and the requests that lead to it. */
	readonly wrong: readonly string[]
}

const WRONG_MAX = 5
/** Nobody sends so many requests. */
const STEPS_MAX = 1000

/** Ends with the first thing that is wrong, if one `isEnough`. */
export async function searchOrders(make: () => Meeting, statesMax: number, isEnough: boolean): Promise<OrdersResult> {
	const known = new Set<bigint>()
	const wrong: string[] = []
	let ends = 0
	/** Choices that lead to states from which nothing was tried. */
	const open: (readonly number[])[] = [[]]
	for (let path = open.pop(); path !== undefined; path = open.pop()) {
		const run = new Run(make())
		await run.begin()
		for (const choice of path) await run.step(choice)
		const taken = [...path]
		for (;;) {
			const choices = run.choices()
			if (choices.length === 0) {
				ends++
				wrong.push(...(await run.judge()))
				break
			}
			let next: number | undefined
			for (const [choice, state] of choices.entries()) {
				if (known.has(state)) continue
				known.add(state)
				if (next === undefined) next = choice
				else open.push([...taken, choice])
			}
			if (next === undefined) break
			taken.push(next)
			await run.step(next)
		}
		if (wrong.length > (isEnough ? 0 : WRONG_MAX) || known.size > statesMax) break
	}
	// And the one at the beginning.
	return { states: known.size + 1, ends, isComplete: open.length === 0, wrong }
}

/** One order. */
class Run {
	readonly #meeting: Meeting
	readonly #store: OrderedStore
	readonly #alive = new Set<string>()
	readonly #faults: string[] = []

	constructor(meeting: Meeting) {
		this.#meeting = meeting
		this.#store = new OrderedStore(meeting)
	}

	async begin(): Promise<void> {
		await this.#meeting.prepare(actor => this.#store.of(actor))
		this.#store.isDirect = false
		for (const [name, run] of this.#meeting.actors) {
			this.#alive.add(name)
			run(this.#store.of(name)).then(
				() => void this.#alive.delete(name),
				(error: unknown) => {
					this.#alive.delete(name)
					this.#faults.push(`${name}: ${String(error)}`)
				},
			)
		}
		await rest()
	}

	/** The states to which the requests lead of which one is next. */
	choices(): readonly bigint[] {
		const store = this.#store
		const settled = store.waiting.find(request => this.#isSettled(request))
		if (settled !== undefined) store.putFirst(settled)
		const tried = settled === undefined ? store.waiting : [settled]
		return tried.map(request => store.stateAfter(request))
	}

	async step(choice: number): Promise<void> {
		// Puts first what is settled, as it did before.
		this.choices()
		const expected = this.choices()[choice]
		this.#store.answer(choice)
		await rest()
		if (expected !== this.#store.state || this.#store.told.length > STEPS_MAX) {
			throw new Error('an actor depends on more than its answers')
		}
	}

	async judge(): Promise<string[]> {
		this.#store.isDirect = true
		const stuck = [...this.#alive].map(name => `${name} waits for nothing`)
		const judged = await this.#meeting.judge(this.#store.of('judge'), this.#store.firsts)
		return [...this.#faults, ...stuck, ...judged].map(fault => `${fault}\n  ${this.#store.told.join('\n  ')}`)
	}

	#isSettled(request: OrderedRequest): boolean {
		const others = new Set([...this.#alive, ...this.#store.waiting.map(({ actor }) => actor)])
		others.delete(request.actor)
		return this.#meeting.isSettled(request, this.#store.contentOf(request.key), others)
	}
}

/** Resolves once no promise has anything left to do. */
function rest(): Promise<void> {
	return new Promise(resolve => process.nextTick(resolve))
}
