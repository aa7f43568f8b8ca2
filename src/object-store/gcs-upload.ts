/**
 * Uploads to Google Cloud Storage: a whole object in one request, a stream as a resumable upload of parts.
 *
 * The condition of a resumable upload is given when its session begins, and holds when the last part arrives: of several
 * sessions for one key the first one to end creates the object.
 */
import type { Writable } from 'node:stream'
import type { File } from '@google-cloud/storage'
import type { WriteCondition } from './cloud-driver.ts'

/** A multiple of 256 KiB, as the service wants it. */
const CHUNK_BYTES = 8 * 1024 * 1024

/** Rejects with the SDK's error (its status 412 when the key is taken), and when `signal` aborts. Keeps `body` until it is sent. */
export async function writeWhole(
	file: File,
	body: Uint8Array,
	condition: WriteCondition,
	signal: AbortSignal,
): Promise<void> {
	signal.throwIfAborted()
	const stream = file.createWriteStream({ ...optionsOf(condition), resumable: false })
	await ended(stream, body, signal)
}

/** One resumable upload, begun with its first part; a body of one part is one request. */
export class GcsUpload {
	readonly #file: File
	readonly #signal: AbortSignal
	#stream: Writable | undefined
	#failure: { readonly cause: unknown } | undefined

	constructor(file: File, signal: AbortSignal) {
		this.#file = file
		this.#signal = signal
	}

	/** Resolves when the next part may be written. */
	async write(part: Uint8Array): Promise<void> {
		const stream = this.#stream ?? this.#begin()
		if (stream.write(part)) return
		await new Promise<void>((resolve, reject) => {
			const settle = (): void => {
				stream.off('drain', settle)
				stream.off('close', settle)
				if (this.#failure === undefined) resolve()
				else reject(this.#failure.cause)
			}
			stream.on('drain', settle)
			stream.on('close', settle)
			if (this.#failure !== undefined) settle()
		})
	}

	async finish(last: Uint8Array): Promise<void> {
		if (this.#stream === undefined) return writeWhole(this.#file, last, 'absent', this.#signal)
		if (this.#failure !== undefined) throw this.#failure.cause
		await ended(this.#stream, last, this.#signal)
	}

	/** An open session expires by itself after a week; it is not billed. */
	abandon(): void {
		this.#stream?.destroy()
	}

	#begin(): Writable {
		const stream = this.#file.createWriteStream({ ...optionsOf('absent'), resumable: true, chunkSize: CHUNK_BYTES })
		const onAbort = (): void => void stream.destroy()
		this.#signal.addEventListener('abort', onAbort, { once: true })
		stream.on('error', cause => {
			this.#failure ??= { cause }
		})
		stream.on('close', () => this.#signal.removeEventListener('abort', onAbort))
		this.#stream = stream
		return stream
	}
}

/** Writes `last` and waits for the answer to the whole. */
function ended(stream: Writable, last: Uint8Array, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const onAbort = (): void => {
			stream.destroy()
			reject(signal.reason)
		}
		const settle = (): void => signal.removeEventListener('abort', onAbort)
		signal.addEventListener('abort', onAbort, { once: true })
		stream.once('finish', () => {
			settle()
			resolve()
		})
		stream.on('error', cause => {
			settle()
			reject(cause)
		})
		if (last.byteLength === 0) stream.end()
		else stream.end(last)
	})
}

function optionsOf(condition: WriteCondition): {
	contentType: string
	validation: false
	preconditionOpts?: { ifGenerationMatch: number }
} {
	const common = { contentType: 'application/octet-stream', validation: false } as const
	return condition === 'absent' ? { ...common, preconditionOpts: { ifGenerationMatch: 0 } } : common
}
