/**
 * The body of a download, read from a Node.js stream straight into the arrays that are handed out: one copy and no
 * joining of chunks, half the work of collecting them first.
 *
 * Invariants: an `error` of the stream is never unhandled; `release` destroys the stream, so that its socket is free.
 */
import type { Readable } from 'node:stream'
import { corrupt, IsleError } from '../errors.ts'

export class NodeBody {
	readonly #stream: Readable
	readonly #chunks: AsyncIterator<Uint8Array>
	/** What was read and did not fit into the last target. */
	#rest: Uint8Array | undefined

	constructor(stream: Readable) {
		this.#stream = stream
		stream.on('error', () => {})
		this.#chunks = stream[Symbol.asyncIterator]()
	}

	/**
	 * Fills `target` with what follows at `offset` of a body of `bytes`. A body that ends early was cut on its way:
	 * `ISLE_UNAVAILABLE`. The last piece waits for the end of the stream, without which its socket could not be used again.
	 */
	async fillWhole(target: Uint8Array, key: string, offset: number, bytes: number): Promise<void> {
		let cause: unknown
		let filled = 0
		let isEndRight = true
		try {
			filled = await this.#fill(target)
			const isLast = offset + target.byteLength === bytes
			if (filled === target.byteLength && isLast) isEndRight = (await this.#next()) === undefined
		} catch (error) {
			cause = error
		}
		if (!isEndRight || (this.#rest !== undefined && offset + target.byteLength === bytes)) {
			throw corrupt(key, `the store sent more than the \`${bytes}\` bytes that it announced`)
		}
		if (filled === target.byteLength && cause === undefined) return
		const what = cause instanceof Error ? ` (${'code' in cause ? String(cause.code) : cause.name})` : ''
		throw new IsleError(
			'ISLE_UNAVAILABLE',
			`the body was cut on its way${what}: key=\`${key}\` bytes=\`${bytes}\` received=\`${offset + filled}\``,
			{ details: { key } },
		)
	}

	release(): void {
		this.#rest = undefined
		this.#stream.destroy()
	}

	/** Answers how many bytes there were, fewer only at the end of the body. */
	async #fill(target: Uint8Array): Promise<number> {
		let at = 0
		while (at < target.byteLength) {
			const chunk = this.#rest ?? (await this.#next())
			if (chunk === undefined) return at
			const taken = Math.min(chunk.byteLength, target.byteLength - at)
			target.set(taken === chunk.byteLength ? chunk : chunk.subarray(0, taken), at)
			this.#rest = taken === chunk.byteLength ? undefined : chunk.subarray(taken)
			at += taken
		}
		return at
	}

	async #next(): Promise<Uint8Array | undefined> {
		const step = await this.#chunks.next()
		return step.done ? undefined : step.value
	}
}
