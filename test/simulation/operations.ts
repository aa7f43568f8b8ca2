/**
 * What the clients of a history do: a list that is drawn before anything happens, so that single operations can be left out.
 * Each belongs to a client; a client does its operations one after another, and a process may have several clients.
 */
import type { Random } from '../../src/host/random.ts'
import type { SimulationSettings } from './settings.ts'

export interface PlannedMutation {
	/** Names the mutation, and is in its value. */
	readonly id: number
	readonly key: number
	readonly kind: 'put' | 'delete'
	readonly ttlMs: number | undefined
	/** The value is padded to this many bytes. */
	readonly bytes: number
}

export type Operation =
	/** Mutations that are called one after another without waiting; each is durable when the call says so, or not. */
	| { readonly kind: 'write'; readonly mutations: readonly PlannedMutation[]; readonly isDurable: boolean }
	| { readonly kind: 'batch'; readonly mutations: readonly PlannedMutation[]; readonly isDurable: boolean }
	| { readonly kind: 'flush' }
	/** `isStrong`: a reader refreshes before. */
	| { readonly kind: 'get'; readonly keys: readonly number[]; readonly isStrong: boolean; readonly isStream: boolean }
	| { readonly kind: 'scan'; readonly isReverse: boolean; readonly isStrong: boolean }
	/** A snapshot, read twice with so much time between. */
	| { readonly kind: 'snapshot'; readonly waitMs: number; readonly isReverse: boolean }
	/** Follows the changes until it has seen what was durable at its beginning, and remembers one of the cursors. */
	| { readonly kind: 'follow'; readonly choice: number }
	| { readonly kind: 'maintain'; readonly takeover: 'now' | 'standby' }
	| { readonly kind: 'wait'; readonly ms: number }
	| { readonly kind: 'close' }
	| { readonly kind: 'kill' }

export type Role = 'writer' | 'reader' | 'tail' | 'maintainer'

export interface PlannedOperation {
	/** Place in the whole list. */
	readonly index: number
	readonly role: Role
	/** Which process of that role. */
	readonly slot: number
	/** Which client in that process. */
	readonly client: number
	readonly operation: Operation
}

const TTLS_MS = [1, 60_000, 1_200_000, 36_000_000] as const
/** Operations of a role, by weight. */
const CLIENTS_OF_A_WRITER = 2
const ROLE_WEIGHTS: Readonly<Record<Role, number>> = { writer: 6, reader: 3, tail: 3.5, maintainer: 1.5 }

export function drawOperations(settings: SimulationSettings, random: Random): PlannedOperation[] {
	const draw = new Draw(settings, random)
	return Array.from({ length: settings.operations }, (_, index) => draw.operation(index))
}

class Draw {
	readonly #settings: SimulationSettings
	readonly #random: Random
	#mutations = 0

	constructor(settings: SimulationSettings, random: Random) {
		this.#settings = settings
		this.#random = random
	}

	operation(index: number): PlannedOperation {
		const { writers, readers, tails, maintainers } = this.#settings
		const processes: Readonly<Record<Role, number>> = {
			writer: writers,
			reader: readers,
			tail: tails,
			maintainer: maintainers,
		}
		// Something is to be read: the first operations write.
		const isFirst = index < 2
		const weighted = Object.entries(ROLE_WEIGHTS).map(([role, weight]) => {
			const count = processes[role as Role]
			return [count === 0 || (isFirst && role !== 'writer') ? 0 : weight, role as Role] as const
		})
		const role = this.#weighted(weighted)
		const slot = this.#below(processes[role])
		const client = role === 'writer' ? this.#below(CLIENTS_OF_A_WRITER) : 0
		return { index, role, slot, client, operation: this.#operationOf(role) }
	}

	#operationOf(role: Role): Operation {
		switch (role) {
			case 'writer':
				return this.#weighted<() => Operation>([
					[10, () => this.#write()],
					[4, () => ({ kind: 'batch', mutations: this.#mutationsOf(2 + this.#below(3)), isDurable: this.#flip() })],
					[4, () => ({ kind: 'flush' })],
					[2, () => this.#get(false)],
					[2, () => ({ kind: 'scan', isReverse: this.#flip(), isStrong: false })],
					[1, () => this.#snapshot()],
					[4, () => this.#wait()],
					[1, () => ({ kind: 'close' })],
					[1, () => ({ kind: 'kill' })],
				])()
			case 'reader':
				return this.#weighted<() => Operation>([
					[4, () => this.#get(true)],
					[4, () => ({ kind: 'scan', isReverse: this.#flip(), isStrong: true })],
					[2, () => ({ kind: 'scan', isReverse: this.#flip(), isStrong: false })],
					[3, () => this.#snapshot()],
					[2, () => this.#wait()],
					[0.5, () => ({ kind: 'close' })],
					[0.5, () => ({ kind: 'kill' })],
				])()
			case 'tail':
				return this.#weighted<() => Operation>([
					[6, () => ({ kind: 'follow', choice: this.#random.next() })],
					[1, () => this.#wait()],
					[1, () => ({ kind: 'kill' })],
				])()
			case 'maintainer':
				return this.#weighted<() => Operation>([
					[5, () => ({ kind: 'maintain', takeover: this.#flip() ? 'now' : 'standby' })],
					[3, () => this.#wait()],
					[1, () => ({ kind: 'close' })],
					[1, () => ({ kind: 'kill' })],
				])()
		}
	}

	#write(): Operation {
		const count = this.#flip() ? 1 : 1 + this.#below(4)
		return { kind: 'write', mutations: this.#mutationsOf(count), isDurable: this.#random.next() < 0.7 }
	}

	#mutationsOf(count: number): PlannedMutation[] {
		return Array.from({ length: count }, () => this.#mutation())
	}

	#mutation(): PlannedMutation {
		const { keys, ttlShare, largeShare } = this.#settings
		const isPut = this.#random.next() < 0.8
		const isExpiring = isPut && this.#random.next() < ttlShare
		return {
			id: ++this.#mutations,
			key: this.#below(keys),
			kind: isPut ? 'put' : 'delete',
			ttlMs: isExpiring ? TTLS_MS[this.#below(TTLS_MS.length)] : undefined,
			bytes: this.#random.next() < largeShare ? 1024 + this.#below(1000) : this.#below(200),
		}
	}

	#get(isStrong: boolean): Operation {
		const keys = Array.from({ length: 1 + this.#below(2) }, () => this.#below(this.#settings.keys))
		return { kind: 'get', keys: [...new Set(keys)], isStrong, isStream: this.#flip() }
	}

	#snapshot(): Operation {
		// Half of them long enough to be deleted under, and not long enough for that to be right.
		const { gracePeriodMs } = this.#settings
		const waitMs = this.#flip() ? gracePeriodMs * (0.1 + 0.5 * this.#random.next()) : this.#spanMs()
		return { kind: 'snapshot', waitMs, isReverse: this.#flip() }
	}

	#wait(): Operation {
		return { kind: 'wait', ms: this.#spanMs() }
	}

	/** From a millisecond to half a day. */
	#spanMs(): number {
		return 10 ** (this.#random.next() * 7.6)
	}

	#weighted<Value>(choices: readonly (readonly [weight: number, value: Value])[]): Value {
		let left = this.#random.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
		for (const [weight, value] of choices) {
			left -= weight
			if (left < 0) return value
		}
		return (choices.find(([weight]) => weight > 0) as readonly [number, Value])[1]
	}

	#below(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	#flip(): boolean {
		return this.#random.next() < 0.5
	}
}
