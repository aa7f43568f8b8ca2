/**
 * What a server says that it sends, held against what was asked for. A range of the right length from the wrong place, or
 * the whole object instead of a range, must never pass for the answer: blocks carry checksums, but not every reader of a
 * store reads blocks.
 */
import type { Readable } from 'node:stream'
import { IsleError } from '../errors.ts'
import type { CloudDownload } from './cloud-driver.ts'
import type { ByteRange } from './object-store.ts'

/** The head of an answer. */
export interface AnsweredBody {
	readonly stream: Readable
	/** Its length, as the answer announces it. */
	readonly bytes: number | undefined
	/** `bytes 0-9/100`. */
	readonly contentRange: string | undefined
}

/**
 * The answer as a download. Throws `ISLE_UNSUPPORTED` when the server announces no length or ignores ranges, and
 * `ISLE_UNAVAILABLE` when it sends another range than the one that was asked for; the stream is then destroyed.
 */
export function checkedDownload(answer: AnsweredBody, range: ByteRange | undefined, key: string): CloudDownload {
	try {
		return range === undefined ? wholeDownload(answer, key) : rangeDownload(answer, range, key)
	} catch (error) {
		answer.stream.destroy()
		throw error
	}
}

/** A body without an announced length could be cut without anybody noticing. */
function wholeDownload({ stream, bytes }: AnsweredBody, key: string): CloudDownload {
	if (bytes === undefined) {
		throw new IsleError('ISLE_UNSUPPORTED', `the server does not announce the length of its answers: key=\`${key}\``)
	}
	return { stream, bytes, objectBytes: bytes }
}

/** What the server says that it sends must be what was asked for, as far as the object goes. */
function rangeDownload({ stream, bytes, contentRange }: AnsweredBody, range: ByteRange, key: string): CloudDownload {
	const answered = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')
	if (answered === null) {
		throw new IsleError('ISLE_UNSUPPORTED', `the server ignores ranges: key=\`${key}\``, { details: { key } })
	}
	const [first, last, objectBytes] = [Number(answered[1]), Number(answered[2]), Number(answered[3])]
	const lastWanted = Math.min(range.offset + range.bytes, objectBytes) - 1
	if (first !== range.offset || last !== lastWanted || last - first + 1 !== (bytes ?? range.bytes)) {
		throw new IsleError(
			'ISLE_UNAVAILABLE',
			`the server sends another range than asked for: key=\`${key}\` offset=\`${range.offset}\` sent=\`${answered[0]}\``,
			{ details: { key } },
		)
	}
	return { stream, bytes: last - first + 1, objectBytes }
}
