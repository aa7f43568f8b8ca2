/**
 * Downloads from Google Cloud Storage: the stream of the SDK, handed out once its answer has begun, with the lengths
 * that the answer states.
 */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { File } from '@google-cloud/storage'
import type { AnsweredBody } from './answered-range.ts'
import type { ByteRange } from './object-store.ts'

/**
 * Rejects with the SDK's error (its status 404 for an absent object), and when `signal` aborts.
 *
 * A stream that is destroyed before its answer has come makes the SDK throw where nobody can catch it (it pipes the
 * answer into the stream without looking), so one that is aborted while it waits is destroyed when the answer comes.
 */
export function openDownload(file: File, range: ByteRange | undefined, signal: AbortSignal): Promise<AnsweredBody> {
	const span = range === undefined ? {} : { start: range.offset, end: range.offset + range.bytes - 1 }
	const stream: Readable = file.createReadStream({ ...span, validation: false, decompress: false })
	let isAnswered = false
	const end = (): void => void stream.destroy(abortError(signal))
	return new Promise((resolve, reject) => {
		const onAbort = (): void => {
			if (isAnswered) end()
			reject(signal.reason)
		}
		signal.addEventListener('abort', onAbort, { once: true })
		stream.once('close', () => signal.removeEventListener('abort', onAbort))
		// Stays: what fails after the answer has begun is told to whoever reads.
		stream.on('error', reject)
		stream.once('response', (response: unknown) => {
			const status = fieldOf(response, 'statusCode')
			const body = fieldOf(response, 'body')
			// The SDK's own listeners, eleven of them, are one too many for Node.js not to warn.
			if (body instanceof EventEmitter) body.setMaxListeners(0)
			// By then the SDK has piped the answer: it does so in the same step.
			queueMicrotask(() => {
				isAnswered = true
				if (signal.aborted) end()
			})
			// Others become an error of the stream, once the SDK has read the message.
			if (status === 200 || status === 206) resolve({ stream, ...lengthsOf(fieldOf(response, 'headers')) })
		})
		// The SDK asks when somebody reads.
		stream.read(0)
	})
}

function lengthsOf(headers: unknown): { bytes: number | undefined; contentRange: string | undefined } {
	// Where an answer comes in chunks, Google states the length of the object in a header of its own.
	const length = Number(fieldOf(headers, 'content-length') ?? fieldOf(headers, 'x-goog-stored-content-length'))
	const range = fieldOf(headers, 'content-range')
	return {
		bytes: Number.isSafeInteger(length) ? length : undefined,
		contentRange: typeof range === 'string' ? range : undefined,
	}
}

function fieldOf(value: unknown, name: string): unknown {
	return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function abortError(signal: AbortSignal): Error {
	return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason })
}
