/**
 * An actor in a thread of its own, behind Comlink: it has its own event loop and its own connections.
 *
 * 1. `startActorThread` starts one long-lived Worker whose entry is the module of the actor; that calls `serveActor`, which
 *    makes the actor from its set-up and exposes its methods.
 * 2. Each call crosses as plain data and comes back in an envelope, because Comlink drops the codes of errors.
 * 3. Each call is raced with the end of the thread: Comlink itself never answers a call to a dead one.
 * 4. What the actor has to say unasked comes as notices, over a port of their own that keeps no process alive.
 * 5. `close` closes the actor, then ends the thread.
 *
 * The thread keeps the process alive while a call is under way, and not in between. What `wrap` returns is kept as long
 * as the thread: a call whose proxy is collected is never answered. Comlink's global `transferHandlers` stay untouched.
 */
import {
	isMainThread,
	MessageChannel,
	type MessagePort,
	parentPort,
	receiveMessageOnPort,
	Worker,
	workerData,
} from 'node:worker_threads'
import { type Endpoint, expose, type Remote, transfer, wrap } from 'comlink'
import { fromWire, IsleError, invariant, toWire, type WireError } from '../errors.ts'

/** What lives in the thread: methods of one plain-data argument, and what ends it. */
export interface ThreadActor {
	/** Called once, last; the calls before it have been answered. */
	close(): Promise<void>
}

/** Names of the methods that can be called from outside. */
export type MethodOf<Actor> = {
	[Name in keyof Actor]: Actor[Name] extends (input: never) => Promise<unknown> ? Name : never
}[Exclude<keyof Actor, 'close'>] &
	string

type InputOf<Method> = Method extends (input: infer Input) => Promise<unknown> ? Input : never
type OutputOf<Method> = Method extends (input: never) => Promise<infer Output> ? Output : never

export interface ActorThreadOptions {
	/** Module of the actor; it calls `serveActor`. */
	readonly moduleUrl: URL | string
	/** Plain data, handed to what `serveActor` was given. */
	readonly setup: unknown
	/** Told once when the thread ends without having been asked to. Must not throw. */
	readonly onFailure?: ((error: unknown) => void) | undefined
	/** What the actor says unasked, in order: plain data. Those of a call arrive before its answer. Must not throw. */
	readonly onNotice?: ((notice: unknown) => void) | undefined
}

/** What the thread is given. */
interface ThreadData {
	readonly setup: unknown
	readonly notices: MessagePort
}

type Envelope = { readonly ok: unknown } | { readonly error: WireError }

/** What crosses the thread boundary. */
interface ActorHost {
	/** Answers when the actor exists. */
	ready(): Promise<Envelope>
	call(method: string, input: unknown): Promise<Envelope>
	close(): Promise<Envelope>
}

export class ActorThread<Actor extends ThreadActor> {
	readonly #worker: Worker
	readonly #host: Remote<ActorHost>
	readonly #onFailure: ((error: unknown) => void) | undefined
	/** One for each call under way: rejects it. */
	readonly #losers = new Set<(reason: unknown) => void>()
	/** Where notices arrive. */
	readonly #notices: MessagePort
	readonly #onNotice: ((notice: unknown) => void) | undefined
	#death: IsleError | undefined
	#closing: Promise<void> | undefined

	/** Use `startActorThread`. */
	constructor(worker: Worker, notices: MessagePort, options: Pick<ActorThreadOptions, 'onFailure' | 'onNotice'>) {
		const { onFailure, onNotice } = options
		this.#worker = worker
		this.#notices = notices
		this.#onNotice = onNotice
		notices.on('message', notice => onNotice?.(notice))
		notices.unref()
		this.#onFailure = onFailure
		this.#host = wrap<ActorHost>(endpointOf(worker))
		worker.on('error', error => this.#die(error))
		worker.on('exit', code => this.#die(new Error(`the thread exited with code ${code}`)))
		worker.unref()
	}

	/**
	 * Calls a method of the actor. The buffers of `buffers` are moved, whole, and not copied.
	 *
	 * @throws what the method threw, code and cause included; ISLE_UNAVAILABLE when the thread dies before it answers, or
	 * has died; ISLE_CLOSED after `close`.
	 */
	async call<Method extends MethodOf<Actor>>(
		method: Method,
		input: InputOf<Actor[Method]>,
		buffers: readonly ArrayBuffer[] = [],
	): Promise<OutputOf<Actor[Method]>> {
		if (this.#closing !== undefined) throw new IsleError('ISLE_CLOSED', 'the actor thread is closed')
		const moved = buffers.length === 0 ? input : transfer(input as object, [...buffers])
		// The method's own type says what it returns; the envelope cannot.
		return (await this.#raced(() => this.#host.call(method, moved))) as OutputOf<Actor[Method]>
	}

	/** Resolves when the actor exists. @throws what kept it from being made. */
	async ready(): Promise<void> {
		await this.#raced(() => this.#host.ready())
	}

	/** Waits for calls under way, closes the actor, ends the thread. Idempotent. @throws what the actor's `close` threw. */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #close(): Promise<void> {
		try {
			if (this.#death === undefined) await this.#raced(() => this.#host.close())
		} finally {
			this.#death ??= new IsleError('ISLE_CLOSED', 'the actor thread is closed')
			await this.#worker.terminate()
			this.#notices.close()
		}
	}

	#raced(begin: () => Promise<Envelope>): Promise<unknown> {
		return new Promise((resolve, reject) => {
			if (this.#death !== undefined) throw this.#death
			const leave = (): void => {
				this.#losers.delete(lose)
				if (this.#losers.size === 0) this.#worker.unref()
			}
			const lose = (reason: unknown): void => {
				leave()
				reject(reason)
			}
			this.#losers.add(lose)
			this.#worker.ref()
			begin().then(envelope => {
				this.#readNotices()
				leave()
				if ('ok' in envelope) resolve(envelope.ok)
				else reject(fromWire(envelope.error))
			}, lose)
		})
	}

	/** Two ports keep no order between them: what was said before an answer is heard before it. */
	#readNotices(): void {
		for (let next = receiveMessageOnPort(this.#notices); next !== undefined; ) {
			this.#onNotice?.(next.message)
			next = receiveMessageOnPort(this.#notices)
		}
	}

	#die(cause: unknown): void {
		if (this.#death !== undefined) return
		const death = new IsleError('ISLE_UNAVAILABLE', 'the actor thread died', { cause })
		this.#death = death
		this.#notices.close()
		for (const lose of this.#losers) lose(death)
		this.#onFailure?.(death)
	}
}

/**
 * Starts the thread and waits until its actor exists.
 *
 * @throws what the module or its `createActor` threw; ISLE_UNAVAILABLE when the thread dies first.
 */
export async function startActorThread<Actor extends ThreadActor>(
	options: ActorThreadOptions,
): Promise<ActorThread<Actor>> {
	const { moduleUrl, setup, onFailure, onNotice } = options
	const { NODE_OPTIONS: _, ...env } = process.env
	const { port1, port2 } = new MessageChannel()
	const data: ThreadData = { setup, notices: port2 }
	const worker = new Worker(new URL(moduleUrl), { workerData: data, transferList: [port2], execArgv: [], env })
	let isStarted = false
	const onDeath = (error: unknown): void => {
		if (isStarted) onFailure?.(error)
	}
	const thread = new ActorThread<Actor>(worker, port1, { onFailure: onDeath, onNotice })
	try {
		await thread.ready()
	} catch (error) {
		await thread.close().catch(() => undefined)
		throw error
	}
	isStarted = true
	return thread
}

/**
 * Called by the module of an actor, in its thread: makes the actor from the set-up of `startActorThread` and serves it.
 * `notify` sends plain data to whoever started the thread.
 */
export function serveActor(
	createActor: (setup: unknown, notify: (notice: unknown) => void) => Promise<ThreadActor>,
): void {
	const port = parentPort
	invariant(!isMainThread && port !== null, 'an actor is served outside of a thread of its own')
	const { setup, notices }: ThreadData = workerData
	const made = Promise.resolve().then(() => createActor(setup, notice => notices.postMessage(notice)))
	// Whoever calls is told; until somebody does, a failure must not end the thread as an unhandled rejection.
	made.catch(() => undefined)
	const underWay = new Set<Promise<Envelope>>()
	const callMethod = async (method: string, input: unknown): Promise<unknown> => {
		const actor = await made
		const member: unknown = Reflect.get(actor, method)
		if (typeof member !== 'function') throw new TypeError(`Expected \`method\` to be one of the actor, got ${method}`)
		return Reflect.apply(member, actor, [input])
	}
	const host: ActorHost = {
		ready: () => enveloped(made.then(() => undefined)),
		async call(method, input) {
			const result = enveloped(callMethod(method, input))
			underWay.add(result)
			const envelope = await result
			underWay.delete(result)
			return envelope
		},
		async close() {
			await Promise.all(underWay)
			return enveloped(callMethod('close', undefined))
		},
	}
	expose(host, endpointOf(port))
}

async function enveloped(result: Promise<unknown>): Promise<Envelope> {
	try {
		return { ok: await result }
	} catch (error) {
		return { error: toWire(error) }
	}
}

/** Comlink's view of a thread or port; its own node adapter does not type-check under nodenext. */
function endpointOf(port: Worker | MessagePort): Endpoint {
	const listeners = new WeakMap<object, (data: unknown) => void>()
	return {
		// Comlink's types are a browser's; what is moved here are ArrayBuffers.
		postMessage: (message, moved) => port.postMessage(message, moved as ArrayBuffer[] | undefined),
		addEventListener(_type, listener) {
			const onMessage = (data: unknown): void => {
				if (typeof listener === 'function') listener({ data } as MessageEvent)
				else listener.handleEvent({ data } as MessageEvent)
			}
			listeners.set(listener, onMessage)
			port.on('message', onMessage)
		},
		removeEventListener(_type, listener) {
			const onMessage = listeners.get(listener)
			if (onMessage !== undefined) port.off('message', onMessage)
		},
	}
}
