/**
 * Changes to bytes that decoders get wrong: bits, numbers at their limits, ranges that vanish, come twice or come from elsewhere.
 * None of them knows a format; what does is the `seal` of each format, which puts its checksums right again.
 */
import type { Random } from '../../src/host/random.ts'

/** Numbers at which counts, lengths and shifts go wrong. */
const NUMBERS: readonly number[] = [
	0,
	1,
	2,
	7,
	15,
	16,
	127,
	128,
	255,
	256,
	16_383,
	16_384,
	65_535,
	65_536,
	2 ** 24,
	2 ** 31 - 1,
	2 ** 31,
	2 ** 32 - 1,
	2 ** 32,
	2 ** 40,
	2 ** 53 - 1,
]

export function below(random: Random, count: number): number {
	return Math.floor(random.next() * count)
}

export function oneOf<Item>(random: Random, items: readonly Item[]): Item {
	if (items.length === 0) throw new RangeError('Expected something to choose from, got nothing')
	return items[below(random, items.length)] as Item
}

/** A number at a limit, or near one, or a small one. */
export function oddNumber(random: Random): number {
	if (random.next() < 0.3) return below(random, 300)
	const near = oneOf(random, NUMBERS) + below(random, 3) - 1
	return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, near))
}

/** `bytes` with one to four changes, in memory of its own. Ranges may come from `others`. */
export function mutate(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
	let mutated = new Uint8Array(bytes)
	for (let left = 1 + below(random, random.next() < 0.7 ? 1 : 4); left > 0; left--) {
		mutated = mutateOnce(mutated, random, others)
	}
	return mutated
}

function mutateOnce(
	bytes: Uint8Array<ArrayBuffer>,
	random: Random,
	others: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
	const at = below(random, bytes.length + 1)
	// Headers are short and hold most of what matters.
	const place = random.next() < 0.4 ? Math.min(at, below(random, 64)) : at
	const end = Math.min(bytes.length, place + 1 + below(random, random.next() < 0.8 ? 8 : 64))
	switch (below(random, 12)) {
		case 0:
			if (place < bytes.length) bytes[place] = (bytes[place] ?? 0) ^ (1 << below(random, 8))
			return bytes
		case 1:
			if (place < bytes.length) bytes[place] = below(random, 256)
			return bytes
		case 2:
			if (place < bytes.length) bytes[place] = ((bytes[place] ?? 0) + (random.next() < 0.5 ? 1 : 255)) & 255
			return bytes
		case 3:
			return putNumber(bytes, place, oneOf(random, [1, 2, 4, 8]), oddNumber(random))
		case 4:
		case 5:
			return putVarint(bytes, place, random)
		case 6:
			return joined(bytes.subarray(0, place), bytes.subarray(end))
		case 7:
			return joined(bytes.subarray(0, end), bytes.subarray(place))
		case 8:
			return joined(bytes.subarray(0, place), random.bytes(end - place), bytes.subarray(place))
		case 9:
			return bytes.fill(oneOf(random, [0, 1, 0x7f, 0x80, 0xff]), place, end)
		case 10: {
			const other = oneOf(random, others)
			const from = below(random, other.length + 1)
			return joined(bytes.subarray(0, place), other.subarray(from, from + end - place), bytes.subarray(end))
		}
		default:
			return bytes.slice(0, place)
	}
}

function putNumber(bytes: Uint8Array<ArrayBuffer>, at: number, width: number, value: number): Uint8Array<ArrayBuffer> {
	let left = value
	for (let i = at; i < Math.min(at + width, bytes.length); i++) {
		bytes[i] = left % 256
		left = Math.floor(left / 256)
	}
	return bytes
}

/** A varint in the place of another; now and then one of more bytes than it needs, or with no end. */
function putVarint(bytes: Uint8Array<ArrayBuffer>, at: number, random: Random): Uint8Array<ArrayBuffer> {
	let end = at
	while (end < bytes.length && (bytes[end] ?? 0) >= 0x80) end++
	const written: number[] = []
	let left = oddNumber(random)
	for (; left >= 0x80; left = Math.floor(left / 128)) written.push((left % 128) | 0x80)
	written.push(left)
	if (random.next() < 0.1) written.splice(-1, 1, left | 0x80, 0)
	if (random.next() < 0.05) written.fill(0xff)
	return joined(bytes.subarray(0, at), Uint8Array.from(written), bytes.subarray(end + 1))
}

export function joined(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	let bytes = 0
	for (const piece of pieces) bytes += piece.length
	const whole = new Uint8Array(bytes)
	let at = 0
	for (const piece of pieces) {
		whole.set(piece, at)
		at += piece.length
	}
	return whole
}
