/**
 * A mailbox in front of something that must do one thing at a time.
 *
 * 1. `send` queues a message and promises its result; a full mailbox refuses.
 * 2. Messages are handled in order, the next one when the last has settled.
 * 3. A tick, when one is asked for, goes through the same mailbox; a new one is not due before the last was handled.
 * 4. `close` takes no more messages and waits for those that are in the mailbox.
 *
 * A handler that rejects rejects its sender and ends the actor: the owner is told once, and every later or waiting send
 * rejects with ISLE_CLOSED and that error as its cause. Outcomes that are no failure are values, not errors.
 * A handler must not await `close` or a `send` of its own actor: it would wait for itself.
 */
import { IsleError } from '../errors.ts'
import type { Clock, Timer } from '../host/clock.ts'

export interface ActorOptions<Message, Result> {
	/** For messages of errors. */
	readonly name: string
	readonly clock: Clock
	/** One message; never called while another call is under way. */
	readonly handle: (message: Message) => Promise<Result>
	/** Messages that may wait, ticks aside. Default 1,024. */
	readonly mailboxMaxMessages?: number | undefined
	/** A message to itself, `intervalMs` after the last tick was handled. Does not keep the process alive. */
	readonly tick?: { readonly intervalMs: number; readonly message: () => Message } | undefined
	/** Told once, with the error that ended the actor. Must not throw. */
	readonly onFailure?: ((error: unknown) => void) | undefined
}

interface Letter<Message, Result> {
	readonly message: Message
	readonly resolve: (result: Result) => void
	readonly reject: (reason: unknown) => void
}

type ActorState =
	| { readonly kind: 'open' }
	| { readonly kind: 'closed' }
	| { readonly kind: 'failed'; readonly cause: unknown }

const DEFAULT_MAILBOX_MAX_MESSAGES = 1_024

export class Actor<Message, Result> {
	readonly #options: ActorOptions<Message, Result>
	readonly #mailboxMaxMessages: number
	#mailbox: Letter<Message, Result>[] = []
	#state: ActorState = { kind: 'open' }
	#timer: Timer | undefined
	/** Settles when the mailbox is empty; undefined while nothing is handled. */
	#draining: Promise<void> | undefined

	/** @throws RangeError for a bound or interval that is no positive integer. */
	constructor(options: ActorOptions<Message, Result>) {
		this.#options = options
		this.#mailboxMaxMessages = options.mailboxMaxMessages ?? DEFAULT_MAILBOX_MAX_MESSAGES
		expectPositive('mailboxMaxMessages', this.#mailboxMaxMessages)
		if (options.tick !== undefined) expectPositive('intervalMs', options.tick.intervalMs)
		this.#scheduleTick()
	}

	/** Messages that wait, the one being handled aside. */
	get waiting(): number {
		return this.#mailbox.length
	}

	/**
	 * The result of the handler.
	 * @throws what the handler threw; ISLE_BACKPRESSURE when the mailbox is full; ISLE_CLOSED after `close` or a failure,
	 * which is then its cause.
	 */
	send(message: Message): Promise<Result> {
		if (this.#state.kind !== 'open') return Promise.reject(this.#closedError())
		if (this.#mailbox.length >= this.#mailboxMaxMessages) {
			const full = `the mailbox of ${this.#options.name} holds ${this.#mailboxMaxMessages} messages already`
			return Promise.reject(new IsleError('ISLE_BACKPRESSURE', full))
		}
		return this.#post(message)
	}

	/** Takes no more messages; resolves when all that wait have been handled. Idempotent; never rejects. */
	async close(): Promise<void> {
		this.#timer?.cancel()
		if (this.#state.kind === 'open') this.#state = { kind: 'closed' }
		await this.#draining
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	#post(message: Message): Promise<Result> {
		return new Promise((resolve, reject) => {
			this.#mailbox.push({ message, resolve, reject })
			this.#draining ??= this.#drain()
		})
	}

	async #drain(): Promise<void> {
		// The sender's synchronous code goes on first, as after any call.
		await Promise.resolve()
		for (let letter = this.#mailbox.shift(); letter !== undefined; letter = this.#mailbox.shift()) {
			try {
				letter.resolve(await this.#options.handle(letter.message))
			} catch (error) {
				letter.reject(error)
				this.#fail(error)
			}
		}
		this.#draining = undefined
	}

	#fail(cause: unknown): void {
		this.#timer?.cancel()
		this.#state = { kind: 'failed', cause }
		const letters = this.#mailbox
		this.#mailbox = []
		for (const letter of letters) letter.reject(this.#closedError())
		this.#options.onFailure?.(cause)
	}

	#scheduleTick(): void {
		const { tick, clock } = this.#options
		if (tick === undefined || this.#state.kind !== 'open') return
		const fire = (): void => {
			if (this.#state.kind !== 'open') return
			// A failure has been told to the owner by then: nobody else waits for a tick.
			this.#post(tick.message()).then(
				() => this.#scheduleTick(),
				() => undefined,
			)
		}
		this.#timer = clock.schedule(tick.intervalMs, fire, { background: true })
	}

	#closedError(): IsleError {
		const { name } = this.#options
		if (this.#state.kind !== 'failed') return new IsleError('ISLE_CLOSED', `${name} is closed`)
		return new IsleError('ISLE_CLOSED', `${name} has failed`, { cause: this.#state.cause })
	}
}

function expectPositive(name: string, value: number): void {
	if (Number.isSafeInteger(value) && value > 0) return
	throw new RangeError(`Expected \`${name}\` to be a positive integer, got ${value}`)
}
