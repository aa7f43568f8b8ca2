/**
 * What the clients of a history do: a list that is drawn before anything happens, so that single operations can be left out.
 * Each belongs to a client; a client does its operations one after another, and a process may have several clients.
 */
import type { Random } from '../../src/host/random.ts'
import { CHOICES, type Choices, FRESHNESS, ROLE_WEIGHTS, ROLES } from './operation-choices.ts'
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

/** How new a view must be: 'any', refreshed before, at least at the newest known position, or not older than a span. */
export type PlannedFreshness = 'any' | 'refreshed' | 'at-least' | number

export type Operation =
	/** Mutations that are called one after another without waiting; each is durable when the call says so, or not. */
	| { readonly kind: 'write'; readonly mutations: readonly PlannedMutation[]; readonly isDurable: boolean }
	| { readonly kind: 'batch'; readonly mutations: readonly PlannedMutation[]; readonly isDurable: boolean }
	/** A value that comes piece by piece. */
	| {
			readonly kind: 'stream'
			readonly mutation: PlannedMutation
			readonly pieces: number
			readonly isDurable: boolean
	  }
	| { readonly kind: 'flush' }
	| {
			readonly kind: 'get'
			readonly keys: readonly number[]
			readonly freshness: PlannedFreshness
			readonly isStream: boolean
	  }
	| { readonly kind: 'scan'; readonly isReverse: boolean; readonly freshness: PlannedFreshness }
	/** A point of the past; `choice` says which of those that are known. */
	| { readonly kind: 'past'; readonly by: 'position' | 'cursor' | 'time'; readonly choice: number }
	/** A durable snapshot. */
	| { readonly kind: 'pin'; readonly ttlMs: number; readonly isReverse: boolean }
	/** One of those that were made. */
	| { readonly kind: 'open-pin'; readonly choice: number; readonly isReverse: boolean }
	| { readonly kind: 'release-pin'; readonly choice: number }
	/** A snapshot, read twice with so much time between. */
	| { readonly kind: 'snapshot'; readonly waitMs: number; readonly isReverse: boolean }
	/** Follows the changes until it has seen what was durable at its beginning, and remembers one of the cursors. */
	| { readonly kind: 'follow'; readonly choice: number }
	/** Handles changes, several at a time, from what was saved last until it has seen so many. */
	| { readonly kind: 'consume'; readonly count: number; readonly concurrency: number }
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
const CLIENTS_OF_A_WRITER = 2
/**
 * Each history likes some operations and avoids others (swarm testing: Groce et al., ISSTA 2012): what shows only when several of a
 * kind come together would be too rare if all histories were alike.
 */
const BIASES = [0.2, 1, 1, 5] as const
const BIASED_CHOICES_MAX = 12
const HUGE_WRITES_MAX = 24

export function drawOperations(settings: SimulationSettings, random: Random): PlannedOperation[] {
	const draw = new Draw(settings, random)
	return Array.from({ length: settings.operations }, (_, index) => draw.operation(index))
}

class Draw {
	readonly #settings: SimulationSettings
	readonly #random: Random
	/** Of the choices of each role, by their place. */
	readonly #biases: readonly number[]
	#mutations = 0

	constructor(settings: SimulationSettings, random: Random) {
		this.#settings = settings
		this.#random = random
		this.#biases = Array.from({ length: BIASED_CHOICES_MAX }, () => this.#one(BIASES))
	}

	operation(index: number): PlannedOperation {
		const { writers, readers, tails, maintainers } = this.#settings
		// Something is to be read: the first operations write.
		const isFirst = index < 2
		const counts = [writers, isFirst ? 0 : readers, isFirst ? 0 : tails, isFirst ? 0 : maintainers]
		const place = this.#choice(ROLE_WEIGHTS, at => ((counts[at] as number) > 0 ? 1 : 0))
		const role = ROLES[place] as Role
		const slot = this.#below(counts[place] as number)
		const client = role === 'writer' ? this.#below(CLIENTS_OF_A_WRITER) : 0
		return { index, role, slot, client, operation: this.#operationOf(role) }
	}

	#operationOf(role: Role): Operation {
		const kind = this.#likedOf(CHOICES[role])
		switch (kind) {
			case 'write':
				return this.#write()
			case 'batch':
				return { kind, mutations: this.#mutationsOf(2 + this.#below(3)), isDurable: this.#flip() }
			case 'stream':
				return this.#stream()
			case 'get':
				return this.#get(role === 'writer' ? 'any' : this.#freshness())
			case 'scan':
				return this.#scan(role === 'writer' ? 'any' : this.#freshness())
			case 'refreshed scan':
				return this.#scan('refreshed')
			case 'snapshot':
				return this.#snapshot()
			case 'past':
				return this.#past()
			case 'pin':
				return this.#pinned()
			case 'wait':
				return this.#wait()
			case 'follow':
				return { kind, choice: this.#random.next() }
			case 'consume':
				return { kind, count: 1 + this.#below(6), concurrency: 1 + this.#below(3) }
			case 'maintain':
				return { kind, takeover: this.#flip() ? 'now' : 'standby' }
			default:
				return { kind }
		}
	}

	#write(): Operation {
		// Some call without waiting until the memory of the writer is full.
		const most = this.#settings.hugeShare > 0 ? HUGE_WRITES_MAX : 4
		const count = this.#flip() ? 1 : 1 + this.#below(most)
		return { kind: 'write', mutations: this.#mutationsOf(count), isDurable: this.#random.next() < 0.7 }
	}

	#mutationsOf(count: number): PlannedMutation[] {
		return Array.from({ length: count }, () => this.#mutation())
	}

	#mutation(): PlannedMutation {
		const { keys, ttlShare } = this.#settings
		const isPut = this.#random.next() < 0.8
		const isExpiring = isPut && this.#random.next() < ttlShare
		return {
			id: ++this.#mutations,
			key: this.#below(keys),
			kind: isPut ? 'put' : 'delete',
			ttlMs: isExpiring ? TTLS_MS[this.#below(TTLS_MS.length)] : undefined,
			bytes: this.#bytes(),
		}
	}

	#bytes(): number {
		const { largeShare, hugeShare } = this.#settings
		if (hugeShare > 0 && this.#random.next() < hugeShare) return 60_000 + this.#below(60_000)
		return this.#random.next() < largeShare ? 1024 + this.#below(1000) : this.#below(200)
	}

	#stream(): Operation {
		const mutation = { ...this.#mutation(), kind: 'put' as const, ttlMs: undefined, bytes: this.#below(3000) }
		return { kind: 'stream', mutation, pieces: 1 + this.#below(3), isDurable: this.#flip() }
	}

	#get(freshness: PlannedFreshness): Operation {
		// Of a stream there is one key.
		const isStream = this.#flip()
		const keys = Array.from({ length: isStream ? 1 : 1 + this.#below(2) }, () => this.#below(this.#settings.keys))
		return { kind: 'get', keys: [...new Set(keys)], freshness, isStream }
	}

	#scan(freshness: PlannedFreshness): Operation {
		return { kind: 'scan', isReverse: this.#flip(), freshness }
	}

	#freshness(): PlannedFreshness {
		const freshness = this.#likedOf(FRESHNESS)
		return freshness === 'a span' ? Math.floor(this.#spanMs()) : freshness
	}

	#past(): Operation {
		return { kind: 'past', by: this.#one(['position', 'cursor', 'time']), choice: this.#random.next() }
	}

	#pinned(): Operation {
		const choice = this.#random.next()
		return this.#one<() => Operation>([
			() => ({ kind: 'pin', ttlMs: Math.ceil(this.#spanMs()), isReverse: this.#flip() }),
			() => ({ kind: 'pin', ttlMs: 36_000_000, isReverse: this.#flip() }),
			() => ({ kind: 'open-pin', choice, isReverse: this.#flip() }),
			() => ({ kind: 'open-pin', choice, isReverse: this.#flip() }),
			() => ({ kind: 'release-pin', choice }),
		])()
	}

	#one<Value>(values: readonly Value[]): Value {
		// None of the lists is empty.
		return values[this.#below(values.length)] as Value
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

	/** One of these, by their weights and what this history likes. */
	#likedOf<Value>({ values, weights }: Choices<Value>): Value {
		// There is a weight for each.
		return values[this.#choice(weights, place => this.#biases[place] ?? 1)] as Value
	}

	/** The place of one of these weights, each times its factor. */
	#choice(weights: readonly number[], factorAt: (place: number) => number): number {
		let sum = 0
		for (let place = 0; place < weights.length; place++) sum += (weights[place] as number) * factorAt(place)
		let left = this.#random.next() * sum
		let last = 0
		for (let place = 0; place < weights.length; place++) {
			const weight = (weights[place] as number) * factorAt(place)
			if (weight > 0) last = place
			left -= weight
			if (left < 0) return place
		}
		return last
	}

	#below(count: number): number {
		return Math.floor(this.#random.next() * count)
	}

	#flip(): boolean {
		return this.#random.next() < 0.5
	}
}

/** A value as it comes when it is written piece by piece. */
export async function* piecesOf(text: string, count: number): AsyncGenerator<Uint8Array> {
	const bytes = Buffer.from(text)
	const pieceBytes = Math.ceil(bytes.length / count)
	for (let at = 0; at < bytes.length; at += pieceBytes) yield new Uint8Array(bytes.subarray(at, at + pieceBytes))
}
