/** What the operations of a history are drawn from. Tables, made once: a history draws a dozen times, and is short itself. */

import type { Operation, Role } from './operations.ts'

export const ROLES: readonly Role[] = ['writer', 'reader', 'tail', 'maintainer']
export const ROLE_WEIGHTS: readonly number[] = [6, 3, 3.5, 1.5]

/** Some values, and how often each of them is chosen: its weight stands in the same place. */
export interface Choices<Value> {
	readonly values: readonly Value[]
	readonly weights: readonly number[]
}

type Choice = Exclude<Operation['kind'], 'open-pin' | 'release-pin'> | 'refreshed scan'

/** Operations of a role, with their weights. */
export const CHOICES: Readonly<Record<Role, Choices<Choice>>> = {
	writer: choices([
		['write', 10],
		['batch', 4],
		['stream', 1],
		['flush', 7],
		['get', 2],
		['scan', 2],
		['snapshot', 1],
		['past', 0.5],
		['pin', 1],
		['wait', 4],
		['close', 1],
		['kill', 1],
	]),
	reader: choices([
		['get', 5],
		['refreshed scan', 3],
		['scan', 5],
		['snapshot', 3],
		['past', 1.5],
		['pin', 1.5],
		['wait', 2],
		['close', 0.5],
		['kill', 0.5],
	]),
	tail: choices([
		['follow', 5],
		['consume', 1.5],
		['wait', 1],
		['kill', 1],
	]),
	maintainer: choices([
		['maintain', 5],
		['wait', 3],
		['close', 1],
		['kill', 1],
	]),
}
export const FRESHNESS: Choices<'any' | 'refreshed' | 'at-least' | 0 | 'a span'> = choices<
	'any' | 'refreshed' | 'at-least' | 0 | 'a span'
>([
	['any', 1],
	['refreshed', 2],
	['at-least', 4],
	[0, 1],
	['a span', 1],
])

function choices<Value>(weighted: readonly (readonly [value: Value, weight: number])[]): Choices<Value> {
	return { values: weighted.map(([value]) => value), weights: weighted.map(([, weight]) => weight) }
}
