/**
 * A network link in front of a server on this machine: every byte arrives half a round trip later, all connections
 * share one bandwidth towards the server, and each has one of its own from there. Below HTTP: it knows connections and bytes, no requests.
 *
 *   const link = await openSlowLink(server.endpoint, { rttMs: 25, uploadMbit: 400 })
 *   …  link.endpoint  …
 *   await link.close()
 *
 * What it leaves out: handshakes of TCP and TLS, loss, and a window that has to grow first. A real link is slower for the
 * first bytes of a new connection.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface LinkOptions {
	/** Half of it is added in each direction. */
	readonly rttMs: number
	/** Megabits a second of all uploads together. Undefined: as fast as the machine is. */
	readonly uploadMbit?: number | undefined
	/** Megabits a second of what each connection brings, as stores bound it. Undefined: as fast as the machine is. */
	readonly downloadMbit?: number | undefined
}

export interface SlowLink {
	readonly endpoint: string
	close(): Promise<void>
}

/** What one direction of a connection may hold on its way before its sender is made to wait: 100 ms at 300 Mbit/s. */
const QUEUED_MAX_BYTES = 4 * 1024 * 1024

export async function openSlowLink(endpoint: string, options: LinkOptions): Promise<SlowLink> {
	const { hostname, port } = new URL(endpoint)
	const sockets = new Set<Socket>()
	const delayMs = options.rttMs / 2
	const upload = new Bandwidth(options.uploadMbit)
	const server = createServer({ noDelay: true, allowHalfOpen: true }, near => {
		const far = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true })
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(socket)
			socket.on('error', () => other.destroy())
			socket.on('close', () => {
				sockets.delete(socket)
				if (socket.errored !== null) other.destroy()
			})
		}
		carry(near, far, bytes => upload.arrivalMs(bytes) + delayMs)
		const download = new Bandwidth(options.downloadMbit)
		carry(far, near, bytes => download.arrivalMs(bytes) + delayMs)
	})
	await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
	return {
		endpoint: `http://127.0.0.1:${portOf(server)}`,
		async close() {
			const closed = new Promise(resolve => server.close(resolve))
			for (const socket of sockets) socket.destroy()
			await closed
		},
	}
}

/** One bandwidth for all that share it: bytes leave one after another, in the order in which they came. */
class Bandwidth {
	readonly #bytesPerMs: number
	#freeMs = 0

	constructor(mbit: number | undefined) {
		this.#bytesPerMs = mbit === undefined ? Number.POSITIVE_INFINITY : (mbit * 1e6) / 8 / 1000
	}

	/** When the last of `bytes`, which are to be sent now, has been sent. */
	arrivalMs(bytes: number): number {
		this.#freeMs = Math.max(this.#freeMs, performance.now()) + bytes / this.#bytesPerMs
		return this.#freeMs
	}
}

/** Passes on what `from` sends, each piece when `arrivalMs` says, in order; an end too. */
function carry(from: Socket, to: Socket, arrivalMs: (bytes: number) => number): void {
	const queue: { readonly piece: Uint8Array | undefined; readonly atMs: number }[] = []
	let queuedBytes = 0
	let isWaiting = false
	const deliver = (): void => {
		isWaiting = false
		const nowMs = performance.now()
		for (let head = queue[0]; head !== undefined; head = queue[0]) {
			// Timers are good to a millisecond.
			if (head.atMs > nowMs + 0.5) {
				wait(head.atMs - nowMs)
				return
			}
			queue.shift()
			if (head.piece === undefined) to.end()
			else if (!to.destroyed) to.write(head.piece)
			queuedBytes -= head.piece?.byteLength ?? 0
		}
		if (queuedBytes < QUEUED_MAX_BYTES) from.resume()
	}
	const wait = (ms: number): void => {
		if (queuedBytes < QUEUED_MAX_BYTES) from.resume()
		if (isWaiting) return
		isWaiting = true
		setTimeout(deliver, ms)
	}
	const push = (piece: Uint8Array | undefined): void => {
		const bytes = piece?.byteLength ?? 0
		queuedBytes += bytes
		if (queuedBytes >= QUEUED_MAX_BYTES) from.pause()
		const atMs = arrivalMs(bytes)
		queue.push({ piece, atMs })
		if (queue.length === 1) {
			const nowMs = performance.now()
			if (atMs <= nowMs + 0.5) deliver()
			else wait(atMs - nowMs)
		}
	}
	from.on('data', push)
	from.on('end', () => push(undefined))
}

function portOf(server: Server): number {
	const address = server.address()
	return typeof address === 'object' && address !== null ? address.port : 0
}
