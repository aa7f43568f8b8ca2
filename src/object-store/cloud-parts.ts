/**
 * Uploads: bodies cut into parts, and what a conditional write comes to.
 */
import { isIsleError } from '../errors.ts'
import { bodyPieces, joinBody, uninitialised } from './body.ts'
import type { CloudUpload, WriteVerdict } from './cloud-driver.ts'
import type { CallScope } from './deadline.ts'
import type { Body, CreateOutcome } from './object-store.ts'
import { consumePieces } from './piece-stream.ts'

/**
 * A larger body goes in parts, where the store has them: parallel ones are faster, and one that fails is sent again
 * alone. A commit is always below: it carries at most 16 MiB of a table (`inlineMaxBytes`), and less than 1 MiB besides.
 */
export const SINGLE_MAX_BYTES: number = 17 * 1024 * 1024

/** Copies pieces together into parts, because a source may use its buffer again; answers what is left at the end. */
export async function writeParts(
	upload: CloudUpload,
	body: AsyncIterable<Uint8Array>,
	scope: CallScope,
	partBytes: number,
): Promise<Uint8Array> {
	let part: Uint8Array | undefined
	let filled = 0
	await consumePieces(body, scope, async piece => {
		for (let at = 0; at < piece.byteLength; ) {
			part ??= uninitialised(partBytes)
			const taken = Math.min(piece.byteLength - at, partBytes - filled)
			part.set(piece.subarray(at, at + taken), filled)
			at += taken
			filled += taken
			if (filled < partBytes) continue
			await upload.write(part)
			part = undefined
			filled = 0
		}
	})
	return part === undefined ? new Uint8Array(0) : part.subarray(0, filled)
}

/** Of a create that was not answered nothing is known; what was refused is refused. */
export async function outcomeOf(write: Promise<WriteVerdict>): Promise<CreateOutcome> {
	try {
		return { kind: await write }
	} catch (cause) {
		if (isIsleError(cause, 'ISLE_UNAVAILABLE')) return { kind: 'unknown', cause }
		throw cause
	}
}

/** The body as one array; a single piece is not copied. */
export function wholeBody(body: Body): Uint8Array {
	const pieces = bodyPieces(body)
	return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : joinBody(body)
}
