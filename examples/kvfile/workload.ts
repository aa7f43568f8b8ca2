/**
 * What the example writes, as data: the writer carries it out, the reader and the tailer know what to expect.
 *
 * Rounds of puts, deletes and keys that expire; each round ends with the key `round` and a flush.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export type Operation =
	| { readonly kind: 'put'; readonly key: string; readonly value: string; readonly ttlMs?: number }
	| { readonly kind: 'delete'; readonly key: string }

const ROUNDS = 20
const USERS = 25
const HOUR_MS = 3_600_000

export const DIRECTORY: string = join(import.meta.dirname, '../../data/kvfile')
export const URL_OF_DATABASE: string = pathToFileURL(join(DIRECTORY, 'db')).href
export const CURSOR_FILE: string = join(DIRECTORY, 'tailer.cursor')

/** It is gone a moment after it was written; readers stop seeing it, whether or not anything else happens. */
export const SHORT_LIVED_KEY = 'session/short'

export const rounds: readonly (readonly Operation[])[] = Array.from({ length: ROUNDS }, (_, round) => [
	...Array.from({ length: USERS }, (_user, user) => put(`user/${user}`, `round ${round}`)),
	{ kind: 'delete', key: `user/${round % USERS}` },
	put(`session/${round}`, 'for an hour', HOUR_MS),
	...(round === 0 ? [put(SHORT_LIVED_KEY, 'for a moment', 1)] : []),
	put('round', String(round)),
])

export const allOperations: readonly Operation[] = rounds.flat()

/** What is left in the end, in the order of keys. */
export function finalState(): readonly (readonly [key: string, value: string])[] {
	const state = new Map<string, string>()
	for (const operation of allOperations) {
		if (operation.kind === 'put') state.set(operation.key, operation.value)
		else state.delete(operation.key)
	}
	state.delete(SHORT_LIVED_KEY)
	return [...state].sort(([a], [b]) => (a < b ? -1 : 1))
}

function put(key: string, value: string, ttlMs?: number): Operation {
	return ttlMs === undefined ? { kind: 'put', key, value } : { kind: 'put', key, value, ttlMs }
}
