/**
 * What is fuzzed: a format makes an input from chance, and judges what its decoder says to it. The answer is right, or the refusal is
 * typed; everything else is thrown and is a find.
 *
 * `byteFormat` changes bytes, `codecFormat` also what they mean. A third of the changed inputs keeps its checksums as they were, and must be
 * refused; the others get sound ones (`seal`), so that the checks behind the checksums are met.
 */
import { isIsleError } from '../../src/errors.ts'
import type { Random } from '../../src/host/random.ts'
import { below, joined, mutate, oneOf } from './mutation.ts'
import { mutateValue } from './value-mutation.ts'

export type Verdict = 'accepted' | 'refused'

export interface Attempt {
	/** Most that may be allocated by a number in the input. */
	readonly allocationMaxBytes: number
	/** Throws what is wrong. */
	judge(): Verdict | Promise<Verdict>
	/** The input, for a report. */
	show(): string
}

export interface Format {
	readonly name: string
	attempt(random: Random): Attempt
}

/** What a judge throws when no decoder has thrown, and something is wrong all the same. */
class Wrong extends Error {
	override readonly name = 'Wrong'
}

export function expectThat(condition: boolean, what: string): asserts condition {
	if (!condition) throw new Wrong(what)
}

/** Refused means: `ISLE_CORRUPT` or `ISLE_UNSUPPORTED`. Anything else that is thrown is thrown on. */
export function decoded<Value>(decode: () => Value): { readonly value: Value } | undefined {
	try {
		return { value: decode() }
	} catch (error) {
		if (isIsleError(error, 'ISLE_CORRUPT') || isIsleError(error, 'ISLE_UNSUPPORTED')) return undefined
		throw error
	}
}

/** Every name in an error of a decoder, so that a message without one is noticed. */
export const WHERE = 'fuzz/object'

export interface ByteInput {
	readonly bytes: Uint8Array
	/** What it was made from. */
	readonly sample: Uint8Array
	/** `sample`: not changed; `sealed`: changed, and checksums are right; `damaged`: changed, and nothing was put right. */
	readonly kind: 'sample' | 'sealed' | 'damaged'
}

export interface ByteFormatOptions {
	readonly name: string
	readonly samples: readonly Uint8Array[]
	/** Puts checksums right, in place. None: there are none, and everything counts as sealed. */
	readonly seal?: ((bytes: Uint8Array) => void) | undefined
	/** Throws for a wrong answer. Samples must be accepted. */
	readonly judge: (input: ByteInput) => Verdict | Promise<Verdict>
	/** Default: 64 bytes for each of the input, and 64 KiB. */
	readonly allocationMaxBytes?: ((input: Uint8Array) => number) | undefined
	/** Another way to make sealed bytes of a sample. */
	readonly makeSealed?: ((sample: Uint8Array, random: Random) => Uint8Array | undefined) | undefined
}

const SAMPLE_SHARE = 0.03
const NOISE_SHARE = 0.05
const SEALED_SHARE = 0.67
const NOISE_MAX_BYTES = 200

const defaultAllocation = ({ length }: Uint8Array): number => 64 * length + 65_536

export function byteFormat(options: ByteFormatOptions): Format {
	const { name, judge, allocationMaxBytes = defaultAllocation } = options
	return {
		name,
		attempt(random) {
			const input = makeInput(options, random)
			return {
				allocationMaxBytes: allocationMaxBytes(input.bytes),
				judge: () => judge(input),
				show: () => `${input.kind} ${input.bytes.length} bytes ${Buffer.from(input.bytes).toString('hex')}`,
			}
		},
	}
}

function makeInput(options: ByteFormatOptions, random: Random): ByteInput {
	const { samples, seal, makeSealed } = options
	const sample = oneOf(random, samples)
	const dice = random.next()
	if (dice < SAMPLE_SHARE) return { bytes: new Uint8Array(sample), sample, kind: 'sample' }
	if (dice < SAMPLE_SHARE + NOISE_SHARE) return { ...noise(options, random, sample), sample }
	const isSealed = seal === undefined || random.next() < SEALED_SHARE
	if (isSealed && random.next() < 0.4) {
		const bytes = makeSealed?.(sample, random)
		if (bytes !== undefined) return { bytes, sample, kind: 'sealed' }
	}
	const bytes = mutate(sample, random, samples)
	if (isSealed) seal?.(bytes)
	return { bytes, sample, kind: isSealed ? 'sealed' : 'damaged' }
}

/** Random bytes, most with the beginning of a sample. */
function noise({ seal }: ByteFormatOptions, random: Random, sample: Uint8Array): Pick<ByteInput, 'bytes' | 'kind'> {
	const head = random.next() < 0.7 ? sample.subarray(0, oneOf(random, [1, 8, 16, 64])) : new Uint8Array(0)
	const bytes = joined(head, random.bytes(below(random, NOISE_MAX_BYTES)))
	seal?.(bytes)
	return { bytes, kind: 'sealed' }
}

export interface CodecFormatOptions<Value> {
	readonly name: string
	readonly samples: readonly Uint8Array[]
	readonly seal?: ((bytes: Uint8Array) => void) | undefined
	readonly decode: (bytes: Uint8Array) => Value
	/** Throws anything for a value that has no encoding. */
	readonly encode: (value: Value) => Uint8Array
	/** Plain data: its parts are changed, too. */
	readonly isPlain?: boolean | undefined
	/** How many bytes from the start the checksum of the format covers. Default: all. */
	readonly covered?: ((bytes: Uint8Array) => number) | undefined
	/** What must hold of any value that was accepted. */
	readonly check?: ((value: Value) => void) | undefined
	readonly allocationMaxBytes?: ((input: Uint8Array) => number) | undefined
}

/** A format with one encoding for each value: what is accepted must encode to the same bytes again. */
export function codecFormat<Value>(options: CodecFormatOptions<Value>): Format {
	const { decode, encode, check, isPlain, covered = bytes => bytes.length, ...rest } = options
	const encoded = (value: Value): Uint8Array | undefined => {
		try {
			return encode(value)
		} catch {
			return undefined
		}
	}
	return byteFormat({
		...rest,
		makeSealed: isPlain === true ? (sample, random) => encoded(mutateValue(decode(sample), random)) : undefined,
		judge({ bytes, sample, kind }) {
			const answer = decoded(() => decode(bytes))
			if (answer === undefined) {
				expectThat(kind !== 'sample', 'a sample is refused')
				return 'refused'
			}
			check?.(answer.value)
			const canonical = encode(answer.value)
			expectThat(Buffer.compare(canonical, bytes) === 0, 'what was accepted is encoded otherwise')
			if (kind !== 'damaged') return 'accepted'
			const [end, sampleEnd] = [covered(bytes), covered(sample)]
			const isSame = Buffer.compare(bytes.subarray(0, end), sample.subarray(0, sampleEnd)) === 0
			expectThat(isSame, 'damage behind a checksum is accepted')
			return 'accepted'
		},
	})
}

/** Every CRC of the project covers what follows in a part, or what is around it. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
	if (at + 4 <= bytes.length) new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(at, value, true)
}

export function u32At(bytes: Uint8Array, at: number): number {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true)
}
