/**
 * An HTTP proxy that stands in front of a server and spoils chosen exchanges, as networks and servers do.
 *
 *   const proxy = await startFaultyProxy(server.endpoint)
 *   proxy.spoil({ method: 'PUT', path: 'log/', times: 1 }, loseReply())       // it happened, and nobody was told
 *   proxy.spoil({ method: 'GET' }, cutBody(1000))                             // every GET, until `proxy.heal()`
 *   proxy.exchanges                                                           // what was asked, and its fate
 *
 * It knows nothing of any protocol above HTTP, passes heads and bodies on byte for byte (the Host header too, which is
 * signed), and makes its decisions when the head of a request has arrived. Rules are asked in their order; the first
 * that matches and has turns left counts.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { unreachable } from '../../../src/errors.ts'
import { sleep, systemClock } from '../../../src/host/clock.ts'

export interface ExchangeMatch {
	readonly method?: string | undefined
	/** A part of the path or of the query. */
	readonly path?: string | undefined
	/** How many times; default every time. */
	readonly times?: number | undefined
}

export interface FixedAnswer {
	readonly status: number
	readonly body: string
	readonly headers?: Readonly<Record<string, string>>
}

export type WireFault =
	/** Nothing is wrong: the next rule waits its turn. */
	| { readonly kind: 'pass' }
	/** The connection is reset before the server hears of the request. */
	| { readonly kind: 'reset-before' }
	/** The server does it; the connection is reset before a byte of its answer. */
	| { readonly kind: 'lose-reply' }
	/** The server does it; another answer comes. */
	| { readonly kind: 'answer-after'; readonly answer: FixedAnswer }
	/** The server does not hear of it; this answer comes. */
	| { readonly kind: 'answer-instead'; readonly answer: FixedAnswer }
	/** The answer's head and so many bytes of its body arrive; then the connection is reset. */
	| { readonly kind: 'cut-body'; readonly bytes: number }
	/** The answer's head and so many bytes of its body arrive; then nothing, and the connection stays. */
	| { readonly kind: 'stall-body'; readonly bytes: number }
	/** The answer's head arrives; then so many bytes of its body at each `proxy.step()`, and the rest at the last. */
	| { readonly kind: 'step-body'; readonly bytes: number }
	/** The server does it; no answer comes, and the connection stays. */
	| { readonly kind: 'hang' }
	/** The server does it twice, the second time after it has answered the first: a packet that came late. */
	| { readonly kind: 'repeat' }

export const pass = (): WireFault => ({ kind: 'pass' })
export const resetBefore = (): WireFault => ({ kind: 'reset-before' })
export const loseReply = (): WireFault => ({ kind: 'lose-reply' })
export const answerAfter = (answer: FixedAnswer): WireFault => ({ kind: 'answer-after', answer })
export const answerInstead = (answer: FixedAnswer): WireFault => ({ kind: 'answer-instead', answer })
export const cutBody = (bytes: number): WireFault => ({ kind: 'cut-body', bytes })
export const stallBody = (bytes: number): WireFault => ({ kind: 'stall-body', bytes })
export const stepBody = (bytes: number): WireFault => ({ kind: 'step-body', bytes })
export const hang = (): WireFault => ({ kind: 'hang' })
export const repeat = (): WireFault => ({ kind: 'repeat' })

export interface Exchange {
	readonly method: string
	/** Path and query. */
	readonly path: string
	readonly headers: IncomingMessage['headers']
	readonly fault: WireFault['kind'] | 'none'
	/** What the server answered, once it has; undefined when it was not asked. */
	status: number | undefined
}

export interface FaultyProxy {
	readonly endpoint: string
	/** Every exchange since the start, in the order of their requests. */
	readonly exchanges: readonly Exchange[]
	/** Added to every answer that passes, in milliseconds. */
	delayMs: number
	spoil(match: ExchangeMatch, fault: WireFault): void
	/** Forgets all rules. */
	heal(): void
	/** Resolves when `count` exchanges have met this fault. */
	met(fault: WireFault['kind'], count?: number): Promise<void>
	/** Lets each body that comes in steps come on by one. */
	step(): void
	stop(): Promise<void>
}

export async function startFaultyProxy(upstream: string): Promise<FaultyProxy> {
	const proxy = new FaultyRelay(new URL(upstream))
	await proxy.listen()
	return proxy
}

interface Rule {
	readonly match: ExchangeMatch
	readonly fault: WireFault
	left: number
}

/** An answer of the server, whole. */
interface Answer {
	readonly head: IncomingMessage
	readonly body: Buffer
}

class FaultyRelay implements FaultyProxy {
	readonly exchanges: Exchange[] = []
	delayMs = 0
	readonly #upstream: URL
	readonly #server: Server
	readonly #sockets = new Set<Socket>()
	readonly #waiting = new Set<() => void>()
	readonly #steps = new Set<() => void>()
	#rules: Rule[] = []

	constructor(upstream: URL) {
		this.#upstream = upstream
		this.#server = createServer((incoming, outgoing) => {
			// What the client broke off on purpose is not the proxy's business.
			this.#serve(incoming, outgoing).catch(() => incoming.socket.destroy())
		})
		this.#server.on('connection', socket => {
			this.#sockets.add(socket)
			socket.on('error', () => {})
			socket.on('close', () => this.#sockets.delete(socket))
		})
	}

	get endpoint(): string {
		// A server that listens on TCP has an address of this form; nothing else calls listen().
		const { port } = this.#server.address() as AddressInfo
		return `http://127.0.0.1:${port}`
	}

	listen(): Promise<void> {
		return new Promise(resolve => this.#server.listen(0, '127.0.0.1', resolve))
	}

	spoil(match: ExchangeMatch, fault: WireFault): void {
		this.#rules.push({ match, fault, left: match.times ?? Number.POSITIVE_INFINITY })
	}

	heal(): void {
		this.#rules = []
	}

	async met(fault: WireFault['kind'], count = 1): Promise<void> {
		while (this.exchanges.filter(exchange => exchange.fault === fault).length < count) {
			await new Promise<void>(resolve => this.#waiting.add(resolve))
		}
	}

	step(): void {
		for (const step of this.#steps) step()
	}

	async stop(): Promise<void> {
		const closed = new Promise(resolve => this.#server.close(resolve))
		for (const socket of this.#sockets) socket.destroy()
		await closed
	}

	async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
		const fault = this.#faultOf(incoming)
		const exchange: Exchange = {
			method: incoming.method ?? '',
			path: incoming.url ?? '',
			headers: incoming.headers,
			fault: fault?.kind ?? 'none',
			status: undefined,
		}
		this.exchanges.push(exchange)
		if (fault?.kind === 'reset-before') incoming.socket.resetAndDestroy()
		else if (fault?.kind === 'answer-instead') await answerFixed(incoming, outgoing, fault.answer)
		else await this.#forward(incoming, outgoing, exchange, fault)
		for (const wake of this.#waiting) wake()
		this.#waiting.clear()
	}

	async #forward(
		incoming: IncomingMessage,
		outgoing: ServerResponse,
		exchange: Exchange,
		fault: Exclude<WireFault, { readonly kind: 'reset-before' | 'answer-instead' }> | undefined,
	): Promise<void> {
		const body = await collect(incoming)
		const answer = await this.#ask(incoming, body)
		exchange.status = answer.head.statusCode
		if (this.delayMs > 0) await sleep(systemClock, this.delayMs)
		switch (fault?.kind) {
			case undefined:
			case 'pass':
				passOn(outgoing, answer).end(answer.body)
				return
			case 'repeat':
				passOn(outgoing, answer).end(answer.body)
				await this.#ask(incoming, body)
				return
			case 'lose-reply':
				incoming.socket.resetAndDestroy()
				return
			case 'answer-after':
				fixed(outgoing, fault.answer)
				return
			case 'cut-body':
				passOn(outgoing, answer).write(answer.body.subarray(0, fault.bytes), () => incoming.socket.destroy())
				return
			case 'stall-body':
				passOn(outgoing, answer).write(answer.body.subarray(0, fault.bytes))
				return
			case 'step-body':
				this.#answerInSteps(outgoing, answer, fault.bytes)
				return
			case 'hang':
				return
			default:
				unreachable(fault)
		}
	}

	#answerInSteps(outgoing: ServerResponse, answer: Answer, bytes: number): void {
		let at = 0
		const step = (): void => {
			outgoing.write(answer.body.subarray(at, at + bytes))
			at += bytes
			if (at < answer.body.byteLength) return
			this.#steps.delete(step)
			outgoing.end()
		}
		this.#steps.add(step)
		passOn(outgoing, answer).flushHeaders()
	}

	#faultOf({ method, url }: IncomingMessage): WireFault | undefined {
		const rule = this.#rules.find(
			({ match, left }) => left > 0 && (match.method ?? method) === method && (url ?? '').includes(match.path ?? ''),
		)
		if (rule !== undefined) rule.left--
		return rule?.fault
	}

	#ask(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
		return new Promise((resolve, reject) => {
			const asking = request(
				{
					host: this.#upstream.hostname,
					port: this.#upstream.port,
					method: incoming.method,
					path: incoming.url,
					headers: incoming.rawHeaders,
				},
				head => {
					collect(head).then(answerBody => resolve({ head, body: answerBody }), reject)
				},
			)
			asking.on('error', reject)
			asking.end(body)
		})
	}
}

async function answerFixed(incoming: IncomingMessage, outgoing: ServerResponse, answer: FixedAnswer): Promise<void> {
	await collect(incoming)
	fixed(outgoing, answer)
}

function fixed(outgoing: ServerResponse, { status, body, headers }: FixedAnswer): void {
	outgoing.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
	outgoing.end(body)
}

function passOn(outgoing: ServerResponse, { head, body }: Answer): ServerResponse {
	const headers = { ...head.headers }
	// The body was collected: it has a length now, and no chunks. A HEAD has the length of what it does not send.
	delete headers['transfer-encoding']
	if (body.byteLength > 0) headers['content-length'] = String(body.byteLength)
	return outgoing.writeHead(head.statusCode ?? 502, headers)
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
	const chunks: Uint8Array[] = []
	for await (const chunk of stream) chunks.push(chunk)
	return Buffer.concat(chunks)
}
