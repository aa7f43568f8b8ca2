/**
 * Tails as RxJS Observables, and `mapAsync`. The only file that knows RxJS.
 *
 * RxJS is a peer dependency, loaded when the first Observable is made: who uses `changes()` alone need not install it, and
 * does not pay for loading it (40 to 110 ms). It is required and not imported, because `tail()` answers at once; for Node
 * both give the same copy.
 *
 * - An Observable is cold: every subscription is a tail of its own, and holds all of its state.
 * - A batch is emitted synchronously, in slices that leave the event loop free; the next one is not fetched before the
 *   last one is consumed.
 * - A `next` handler that throws is reported as RxJS does (an uncaught exception), and ends the subscription: RxJS alone
 *   would go on emitting. This holds for `subscribe` on the Observable and on what `pipe` makes of it.
 * - `mapAsync` stops the tails that it is subscribed to while it has enough to do. It tells them by a gate that stands
 *   open to whoever is subscribed to in the same call stack, so that synchronous operators between do not matter.
 */
import { createRequire } from 'node:module'
import type { Observable, Observer, OperatorFunction, Subscriber, Subscription } from 'rxjs'
import { integerOption } from '../arguments.ts'
import { IsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import type { Change } from './change.ts'
import { type Gate, OrderedWindow } from './ordered-window.ts'
import type { Tail } from './tail.ts'

export type { Observable } from 'rxjs'

type Rxjs = typeof import('rxjs')
type Next<Value> = (value: Value) => void
type ObservableClass = new <Value>(subscribe?: (subscriber: Subscriber<Value>) => void) => Observable<Value>

/** The longest time that a slice of a batch holds the event loop, in milliseconds. */
const SLICE_MS = 1.5
/** Changes between two looks at the clock, at the most. */
const STRIDE_MAX = 64
/** Values that wait in `mapAsync` when its source cannot be stopped. */
const DEFAULT_MAX_BUFFERED = 10_000

let loaded: ObservableClass | undefined
/** Of the `mapAsync` that is subscribing right now. */
let ambientGate: Gate | undefined

/** @throws ISLE_UNSUPPORTED naming the install command when RxJS is not there. */
export function loadRxjs(load: (name: string) => unknown = createRequire(import.meta.url)): Rxjs {
	try {
		// `load` is `require`, of which TypeScript knows no types.
		return load('rxjs') as Rxjs
	} catch (error) {
		const isMissing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND'
		if (!isMissing || !error.message.includes("'rxjs'")) throw error
		throw new IsleError(
			'ISLE_UNSUPPORTED',
			'tail() and mapAsync() need the package `rxjs`: run `npm install rxjs@7` (changes() works without it)',
			{ cause: error },
		)
	}
}

/** A cold Observable of the changes of the tails that `openTail` makes. @throws as `loadRxjs`. */
export function observeTail<Key, Value>(openTail: () => Tail, clock: Clock): Observable<Change<Key, Value>> {
	const TailObservable = tailObservable()
	return new TailObservable<Change<Key, Value>>(subscriber => {
		const gate = ambientGate
		const tail = openTail()
		subscriber.add(() => tail.close())
		// It never rejects: what goes wrong is told to the subscriber.
		void emit(tail, subscriber as Subscriber<Change>, gate, clock)
	})
}

async function emit(tail: Tail, subscriber: Subscriber<Change>, gate: Gate | undefined, clock: Clock): Promise<void> {
	try {
		let stride = 1
		for (;;) {
			const { changes } = await tail.next()
			let startMs = clock.monotonicMs()
			let lookAt = stride
			for (let i = 0; i < changes.length; i++) {
				if (gate !== undefined && !gate.isOpen) {
					await gate.opened()
					startMs = clock.monotonicMs()
				}
				if (subscriber.closed) return
				subscriber.next(changes[i] as Change)
				if (i + 1 < lookAt) continue
				const elapsedMs = clock.monotonicMs() - startMs
				stride = elapsedMs < SLICE_MS / 4 ? Math.min(STRIDE_MAX, stride * 2) : Math.max(1, stride >> 1)
				lookAt = i + 1 + stride
				if (elapsedMs < SLICE_MS) continue
				await clock.yieldToIo()
				startMs = clock.monotonicMs()
			}
			if (subscriber.closed) return
		}
	} catch (error) {
		subscriber.error(error)
	}
}

/** Made once RxJS is there: its own class cannot be extended before. */
function tailObservable(): ObservableClass {
	if (loaded !== undefined) return loaded
	const rxjs = loadRxjs()

	class TailObservable<Value> extends rxjs.Observable<Value> {
		/** What operators make of it keeps the promise about handlers that throw. */
		override lift<Result>(operator?: Observable<Result>['operator']): Observable<Result> {
			const lifted = new TailObservable<Result>()
			lifted.source = this
			lifted.operator = operator
			return lifted
		}

		override subscribe(
			observerOrNext?: Partial<Observer<Value>> | Next<Value> | null,
			error?: ((error: unknown) => void) | null,
			complete?: (() => void) | null,
		): Subscription {
			// Operators subscribe with subscribers: those deal with errors themselves.
			if (observerOrNext instanceof rxjs.Subscriber) return super.subscribe(observerOrNext)
			const observer = typeof observerOrNext === 'function' ? { next: observerOrNext } : { ...bound(observerOrNext) }
			if (error) observer.error = error
			if (complete) observer.complete = complete
			const { next } = observer
			if (next === undefined) return super.subscribe(observer)
			let subscription: Subscription | undefined
			let hasThrown = false
			// Named before it is assigned: D-098.
			const nextOnce = (value: Value): void => {
				if (hasThrown) return
				try {
					next(value)
				} catch (thrown) {
					hasThrown = true
					subscription?.unsubscribe()
					throw thrown
				}
			}
			observer.next = nextOnce
			subscription = super.subscribe(observer)
			// A source that emits while it is subscribed to: the handler threw before there was anything to unsubscribe.
			if (hasThrown) subscription.unsubscribe()
			return subscription
		}
	}

	loaded = TailObservable
	return loaded
}

/** The methods of an observer, bound to it; absent ones stay absent, because RxJS reports errors that nobody handles. */
function bound<Value>(observer: Partial<Observer<Value>> | null | undefined): Partial<Observer<Value>> {
	return {
		...(observer?.next && { next: value => observer.next?.(value) }),
		...(observer?.error && { error: error => observer.error?.(error) }),
		...(observer?.complete && { complete: () => observer.complete?.() }),
	}
}

export interface MapAsyncOptions {
	/** Calls of the function at the same time, results that wait for an earlier one included. Default 16; 1 to 10,000. */
	readonly concurrency?: number | undefined
	/**
	 * Values that may wait when the source is not a tail, or sends many for one change: one more ends the Observable with
	 * ISLE_BACKPRESSURE. A tail is stopped instead. Default 10,000.
	 */
	readonly maxBuffered?: number | undefined
}

/**
 * Calls `fn` for each value, several at a time, and emits what it gives in the order of the values. A tail upstream does
 * not go on while `concurrency` calls are under way. The first failure, in that order, is the error of the Observable;
 * nothing is started after it. `signal` aborts when nobody wants the result any more.
 */
export function mapAsync<In, Out>(
	fn: (value: In, context: { readonly signal: AbortSignal }) => PromiseLike<Out> | Out,
	options: MapAsyncOptions = {},
): OperatorFunction<In, Out> {
	if (typeof fn !== 'function') throw new TypeError(`Expected \`fn\` to be a function, got ${typeof fn}`)
	const concurrency = integerOption('concurrency', options.concurrency, 16, 1, 10_000)
	const maxBuffered = integerOption('maxBuffered', options.maxBuffered, DEFAULT_MAX_BUFFERED, 0, 100_000_000)
	const TailObservable = tailObservable()
	return source =>
		new TailObservable<Out>(subscriber => {
			const window = new OrderedWindow<In, Out>({
				fn,
				concurrency,
				maxBuffered,
				downstream: ambientGate,
				onResult: value => subscriber.next(value),
				onError: error => subscriber.error(error),
				onEnd: () => subscriber.complete(),
			})
			subscriber.add(() => window.close())
			const outer = ambientGate
			ambientGate = window.gate
			try {
				subscriber.add(
					source.subscribe({
						next: value => window.add(value),
						error: (error: unknown) => subscriber.error(error),
						complete: () => window.end(),
					}),
				)
			} finally {
				ambientGate = outer
			}
		})
}
