/** What a tail emits: plain data, that a program may copy, clone, store and send. */

interface ChangeFields<Key> {
	readonly key: Key
	/**
	 * Position of the mutation in the one order of the database. A row of the state that `from: 'start'` begins with has
	 * the number of the mutation that made it; such rows come in the order of their keys.
	 */
	readonly seq: number
	/** Resume behind this change with `from: cursor`. Cursors compare, as strings, in the order of emission. */
	readonly cursor: string
	/**
	 * When the mutation was committed, by the writer's clock, in milliseconds since the Unix epoch; never before an earlier
	 * change's. Of a row of the starting state: when the newest commit of that state was made.
	 */
	readonly committedAtMs: number
	/** When the entry expires, in milliseconds since the Unix epoch; 0: never. A tail shows expired entries too. */
	readonly expiresAtMs: number
}

export interface PutChange<Key, Value> extends ChangeFields<Key> {
	readonly kind: 'put'
	/** Belongs to the receiver. */
	readonly value: Value
	readonly openValue?: undefined
}

/** A value of more than 256 MiB, which was written as a stream and is read as one. */
export interface LargePutChange<Key> extends ChangeFields<Key> {
	readonly kind: 'put'
	readonly value: undefined
	/** Length of the value. */
	readonly valueBytes: number
	/** Opens the value, in pieces. Rejects with ISLE_EXPIRED once it was overwritten and collected. */
	readonly openValue: (options?: { readonly signal?: AbortSignal | undefined }) => Promise<AsyncIterable<Uint8Array>>
}

export interface DeleteChange<Key> extends ChangeFields<Key> {
	readonly kind: 'delete'
	readonly value: undefined
	readonly openValue?: undefined
}

export type Change<Key = unknown, Value = unknown> = PutChange<Key, Value> | LargePutChange<Key> | DeleteChange<Key>

/** Changes in order, with what to resume from once all of them are dealt with. */
export interface ChangeSlice {
	readonly changes: Change[]
	/** At or behind the cursor of the last change: what the filter passed over is behind it too. */
	readonly cursor: string
}

/** Large values, by the reference that stands in their entry. Calls fail with ISLE_NOT_FOUND once a value is gone. */
export interface LargeValues {
	/** The whole value, verified. It belongs to the caller. */
	read(encodedRef: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
	/** The value in pieces, each verified. */
	open(encodedRef: Uint8Array, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>>
}
