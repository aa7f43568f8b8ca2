/** What a tail must emit, said naively, and ways to collect what it does emit. */
import type { Change } from '../../src/tail/change.ts'
import type { Changes } from '../../src/tail/change-iterator.ts'
import type { Recorded } from './commit-fixture.ts'

/** A change without its cursor, comparable with the history. */
export interface Seen {
	readonly kind: 'put' | 'delete'
	readonly key: unknown
	readonly value: unknown
	readonly seq: number
	readonly committedAtMs: number
	readonly expiresAtMs: number
}

export function seen({ kind, key, value, seq, committedAtMs, expiresAtMs }: Change): Seen {
	return { kind, key, value, seq, committedAtMs, expiresAtMs }
}

export function expected({ key, value, seq, committedAtMs, expiresAtMs = 0 }: Recorded): Seen {
	return { kind: value === undefined ? 'delete' : 'put', key, value, seq, committedAtMs, expiresAtMs }
}

/** A row of the starting state, whose newest commit was made at `stateMs`. */
export function expectedRow(recorded: Recorded, stateMs: number): Seen {
	return { ...expected(recorded), committedAtMs: stateMs }
}

/** The first `count` changes of an iteration, which ends then. Fails when a batch is empty. */
export async function collect<Key, Value>(changes: Changes<Key, Value>, count: number): Promise<Change<Key, Value>[]> {
	const all: Change<Key, Value>[] = []
	if (count === 0) return all
	for await (const batch of changes) {
		if (batch.length === 0) throw new Error('an empty batch')
		all.push(...batch)
		if (all.length >= count) break
	}
	return all
}
