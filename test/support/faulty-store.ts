/**
 * A store that fails as a test tells it to. Without faults it behaves as the store in it.
 *
 *   const store = new FaultyStore(new MemoryStore())
 *   store.fail({ operation: 'createIfAbsent', key: 'log/' }, loseReply())          // the next such call
 *   store.fail({ operation: 'get', times: 3 }, failBefore())                       // the next three
 *   const held = store.hold({ operation: 'put' })                                  // stops before its effect …
 *   await held.reached; held.release()                                             // … until told
 *   store.before = call => call.index === 7 ? flipBit(12) : undefined              // any rule at all
 *   store.failAtRandom(seededRandom(seed), 0.2, [failBefore(), loseReply(), deliverLater()])
 *   store.crashAt(5, 'after-effect')                                               // the sixth call is the last
 *   await store.deliverLate()                                                      // what was on its way arrives now
 *
 * A call's fate is, in this order: the crash, `before`, the first rule of `fail` that matches, the random fault. Every
 * call is in `calls` with its fate, in the order in which they began.
 */
import { unreachable } from '../../src/errors.ts'
import { type Host, systemHost } from '../../src/host/host.ts'
import type { Random } from '../../src/host/random.ts'
import { joinBody } from '../../src/object-store/body.ts'
import { withLimits } from '../../src/object-store/deadline.ts'
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
import type { RequestKind } from '../../src/object-store/prices.ts'
import {
	type CallMatch,
	type Crash,
	damageBody,
	damageStream,
	type Fault,
	type FaultyCall,
	type Held,
	type HoldPoint,
	type HoldRule,
	matches,
	outage,
	type Rule,
	settlement,
} from './faults.ts'

export {
	type CallMatch,
	cutBody,
	deliverLater,
	duplicateLater,
	type Fault,
	type FaultyCall,
	failBefore,
	flipBit,
	type Held,
	type HoldPoint,
	loseReply,
	refuse,
} from './faults.ts'

/** How one operation is carried out. */
interface Operation<T> {
	readonly operation: RequestKind
	readonly key: string
	readonly options: RequestOptions | undefined
	/** The real call, without the caller's limits: an abort must not stop what was sent. */
	readonly run: () => Promise<T>
	/** What the caller is told when the reply does not come; rejects when absent. */
	readonly lost?: (cause: unknown) => T
	readonly isWrite?: boolean
	readonly damage?: (value: T, fault: Fault) => T
}

export class FaultyStore implements ObjectStore {
	readonly url: string
	readonly inner: ObjectStore
	/** Every call since the start. */
	readonly calls: FaultyCall[] = []
	/** Called as each call begins; may delay it, and names its fault. */
	before: ((call: FaultyCall) => Fault | undefined | Promise<Fault | undefined>) | undefined
	readonly #host: Host
	readonly #rules: Rule[] = []
	readonly #holds: HoldRule[] = []
	readonly #late: (() => Promise<unknown>)[] = []
	#random: { readonly random: Random; readonly rate: number; readonly faults: readonly Fault[] } | undefined
	#crash: Crash | undefined
	#isCrashed = false

	constructor(inner: ObjectStore, options: { readonly host?: Host } = {}) {
		this.inner = inner
		this.url = `faulty+${inner.url}`
		this.#host = options.host ?? systemHost
	}

	/** The next `match.times` calls that match get `fault`. Rules are tried in the order in which they were made. */
	fail(match: CallMatch, fault: Fault): this {
		this.#rules.push({ match, fault, left: match.times ?? 1 })
		return this
	}

	/** From now on each call gets, with probability `rate`, one of `faults`; a rate of 0 ends it. */
	failAtRandom(random: Random, rate: number, faults: readonly Fault[]): this {
		this.#random = rate > 0 ? { random, rate, faults } : undefined
		return this
	}

	/** Forgets rules, random faults and `before`; what is held stays held, what is late stays late. */
	heal(): this {
		this.#rules.length = 0
		this.#random = undefined
		this.before = undefined
		return this
	}

	/** The next call that matches stands still before its effect, or after it and before the reply. */
	hold(match: CallMatch, point: HoldPoint = 'before-effect'): Held {
		const reached = settlement<FaultyCall>()
		const gate = settlement<void>()
		this.#holds.push({ match, point, reach: reached.resolve, gate: gate.promise, isUsed: false })
		return { reached: reached.promise, release: () => gate.resolve() }
	}

	/**
	 * The process dies at call `index`, before or after it took effect: that call and all that follow have no effect
	 * and no answer but `ISLE_UNAVAILABLE` or `unknown`. Look at what is left through `inner`.
	 */
	crashAt(index: number, point: HoldPoint): this {
		this.#crash = { index, point }
		return this
	}

	get isCrashed(): boolean {
		return this.#isCrashed
	}

	/** Writes that are still on their way. */
	get lateCount(): number {
		return this.#late.length
	}

	/** Delivers them: all, in order, or the one at `index`. Their outcomes go nowhere. */
	async deliverLate(index?: number): Promise<void> {
		const due = index === undefined ? this.#late.splice(0) : this.#late.splice(index, 1)
		for (const deliver of due) await deliver().catch(() => {})
	}

	/** How many calls of `operation` began, of any when it is absent, with keys that match. */
	count(operation?: RequestKind, key?: string | RegExp): number {
		return this.calls.filter(call => matches({ operation, key }, call)).length
	}

	get(key: string, options?: RequestOptions): Promise<Uint8Array | undefined> {
		const run = (): Promise<Uint8Array | undefined> => this.inner.get(key)
		return this.#call({ operation: 'get', key, options, run, damage: damageBody })
	}

	getRange(key: string, range: ByteRange, options?: RangeRequestOptions): Promise<Uint8Array | undefined> {
		const run = (): Promise<Uint8Array | undefined> => this.inner.getRange(key, range, { into: options?.into })
		return this.#call({ operation: 'getRange', key, options, run, damage: damageBody })
	}

	async put(key: string, body: Body, options?: RequestOptions): Promise<void> {
		const bytes = joinBody(body)
		await this.#call({ operation: 'put', key, options, isWrite: true, run: () => this.inner.put(key, bytes) })
	}

	async createIfAbsent(key: string, body: Body, options?: RequestOptions): Promise<CreateOutcome> {
		const bytes = joinBody(body)
		const run = (): Promise<CreateOutcome> => this.inner.createIfAbsent(key, bytes)
		return this.#call({ operation: 'createIfAbsent', key, options, isWrite: true, run, lost: unknown })
	}

	list(options?: ListOptions): Promise<ListPage> {
		const { prefix, startAfter, limit } = options ?? {}
		const run = (): Promise<ListPage> => this.inner.list({ prefix, startAfter, limit })
		return this.#call({ operation: 'list', key: prefix ?? '', options, run })
	}

	delete(key: string, options?: RequestOptions): Promise<void> {
		return this.#call({ operation: 'delete', key, options, isWrite: true, run: () => this.inner.delete(key) })
	}

	deleteMany(keys: readonly string[], options?: RequestOptions): Promise<void> {
		const copy = [...keys]
		const run = (): Promise<void> => this.inner.deleteMany(copy)
		return this.#call({ operation: 'deleteMany', key: copy[0] ?? '', options, isWrite: true, run })
	}

	getStream(key: string, range?: ByteRange, options?: RequestOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
		const run = (): Promise<AsyncIterable<Uint8Array> | undefined> =>
			this.inner.getStream(key, range, { signal: options?.signal })
		return this.#call({ operation: 'getStream', key, options, run, damage: damageStream })
	}

	createFromStream(key: string, body: AsyncIterable<Uint8Array>, options?: RequestOptions): Promise<CreateOutcome> {
		// The source can be consumed once, while the call lasts: its limits are the inner store's, and it is never late.
		const run = (): Promise<CreateOutcome> => this.inner.createFromStream(key, body, options)
		return this.#call({ operation: 'createFromStream', key, options: undefined, run, lost: unknown })
	}

	close(): Promise<void> {
		return this.inner.close()
	}

	#call<T>(operation: Operation<T>): Promise<T> {
		const { operation: kind, key, options, lost } = operation
		const call: FaultyCall = { index: this.calls.length, operation: kind, key, fault: undefined }
		this.calls.push(call)
		return withLimits(
			this.#host.clock,
			{ operation: kind, key },
			options,
			Infinity,
			async scope => {
				const point = this.#crashPoint(call)
				if (point === 'before-effect') return this.#lost(operation, outage('the process has crashed'))
				call.fault = (await this.before?.(call)) ?? this.#faultOf(call)
				await this.#standStill(call, 'before-effect')
				scope.throwIfOver()
				const value = await this.#carryOut(operation, call.fault)
				await this.#standStill(call, 'after-effect')
				if (point === 'after-effect') return this.#lost(operation, outage('the process has crashed'))
				return value
			},
			lost,
		)
	}

	async #carryOut<T>(operation: Operation<T>, fault: Fault | undefined): Promise<T> {
		if (fault === undefined) return operation.run()
		switch (fault.kind) {
			case 'fail-before':
				return this.#lost(operation, fault.cause)
			case 'lose-reply':
				await operation.run()
				return this.#lost(operation, fault.cause)
			case 'deliver-later':
				if (operation.isWrite) this.#late.push(operation.run)
				return this.#lost(operation, fault.cause)
			case 'duplicate-later':
				if (operation.isWrite) this.#late.push(operation.run)
				return operation.run()
			case 'refuse':
				throw fault.cause
			case 'cut-body':
			case 'flip-bit': {
				const value = await operation.run()
				return operation.damage === undefined ? value : operation.damage(value, fault)
			}
			default:
				return unreachable(fault)
		}
	}

	#lost<T>(operation: Operation<T>, cause: unknown): T {
		if (operation.lost === undefined) throw cause
		return operation.lost(cause)
	}

	/** Where this call dies, if it does; all after it die before their effect. */
	#crashPoint(call: FaultyCall): HoldPoint | undefined {
		if (this.#isCrashed) return 'before-effect'
		if (this.#crash?.index !== call.index) return undefined
		this.#isCrashed = true
		return this.#crash.point
	}

	#faultOf(call: FaultyCall): Fault | undefined {
		const rule = this.#rules.find(candidate => candidate.left > 0 && matches(candidate.match, call))
		if (rule !== undefined) {
			rule.left--
			return rule.fault
		}
		if (this.#random === undefined) return undefined
		const { random, rate, faults } = this.#random
		if (random.next() >= rate) return undefined
		return faults[Math.floor(random.next() * faults.length)]
	}

	async #standStill(call: FaultyCall, point: HoldPoint): Promise<void> {
		const hold = this.#holds.find(rule => !rule.isUsed && rule.point === point && matches(rule.match, call))
		if (hold === undefined) return
		hold.isUsed = true
		hold.reach(call)
		await hold.gate
	}
}

function unknown(cause: unknown): CreateOutcome {
	return { kind: 'unknown', cause }
}
