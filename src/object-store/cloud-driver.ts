/**
 * What a cloud adapter consists of: one driver for each SDK, beneath `CloudStore`, which does everything that is alike.
 */
import type { Readable } from 'node:stream'
import type { ListQuery } from './list-query.ts'
import type { Body, ByteRange, ListPage } from './object-store.ts'

/** What became of a conditional write that was answered. */
export type WriteVerdict = 'created' | 'exists'
/** `absent`: only when no object has the key; `none`: create or replace. */
export type WriteCondition = 'absent' | 'none'

/** The beginning of a download: what follows is in `stream`, unless there is nothing to follow. */
export interface CloudDownload {
	readonly stream: Readable | undefined
	/** Bytes that the answer holds, as it says. */
	readonly bytes: number
	/** Bytes of the whole object, as the answer says; `undefined` when it does not. */
	readonly objectBytes: number | undefined
}

/** An upload in parts; nothing is visible before `finish`, whose write is create-if-absent. */
export interface CloudUpload {
	/** Sends a part, which is not changed or used again by the caller. May resolve before it has arrived. */
	write(part: Uint8Array): Promise<void>
	/** Sends `last` (perhaps empty), waits for every part, and makes the object visible. */
	finish(last: Uint8Array): Promise<WriteVerdict>
	/** Gives up: nothing becomes visible. What cannot be undone at once expires on the store. */
	abandon(): void
}

/**
 * One SDK. Every method rejects with errors of ours (`IsleError`), each of which names the key and no credentials, and
 * ends its request when `signal` aborts, as far as the SDK can.
 */
export interface CloudDriver {
	readonly url: string
	/** Bytes of a part of an upload. */
	readonly partBytes: number
	/** `undefined`: no such object. An answer without bytes for a range that begins past the end. */
	download(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<CloudDownload | undefined>
	/** One whole object. The bytes may still be read after the promise has settled because of `signal`, unless copied. */
	upload(key: string, body: Body, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict>
	startUpload(key: string, signal: AbortSignal): CloudUpload
	list(query: ListQuery, signal: AbortSignal): Promise<ListPage>
	/** Deletes all; what is absent is no failure. */
	delete(keys: readonly string[], signal: AbortSignal): Promise<void>
	/** Frees what the driver opened itself. Called once, when no call is under way. */
	close?(): Promise<void>
}
