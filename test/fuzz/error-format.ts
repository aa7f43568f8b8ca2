/** Errors on their way between threads: whatever was thrown arrives as an error of the same name, code and message. */
import { fromWire, IsleError, type IsleErrorCode, isIsleError, toWire } from '../../src/errors.ts'
import type { Random } from '../../src/host/random.ts'
import { type Attempt, expectThat, type Format } from './format.ts'
import { below, oddNumber, oneOf } from './mutation.ts'

const CODES: readonly IsleErrorCode[] = ['ISLE_CORRUPT', 'ISLE_FENCED', 'ISLE_EXPIRED', 'ISLE_FULL']
const TEXTS: readonly string[] = ['', 'message', '\u{1f600}\0', 'x'.repeat(5000)]

function someThrown(random: Random, depth = 0): unknown {
	const message = oneOf(random, TEXTS)
	const cause = depth < 12 && random.next() < 0.6 ? someThrown(random, depth + 1) : undefined
	switch (below(random, 9)) {
		case 0:
			return oneOf<unknown>(random, [
				undefined,
				null,
				7,
				'text',
				Symbol('thrown'),
				10n,
				Object.create(null),
				[],
				() => 1,
			])
		case 1:
			return new TypeError(message, { cause })
		case 2:
			return new RangeError(message)
		case 3:
			return Object.assign(new Error(message, { cause }), { code: oneOf<unknown>(random, ['ENOSPC', 7, null, {}]) })
		case 4:
			return new DOMException(message, 'AbortError')
		case 5: {
			const cyclic: Error & { cause?: unknown } = new Error(message)
			cyclic.cause = cyclic
			return cyclic
		}
		case 6:
			return Object.defineProperty(new Error(message), 'name', {
				value: oneOf<unknown>(random, ['Odd', '', 5, undefined]),
			})
		case 7:
			return new AggregateError([cause], message)
		default:
			return new IsleError(oneOf(random, CODES), message, {
				cause,
				details: { key: message, number: oddNumber(random) },
			})
	}
}

function judgeError(thrown: unknown): 'accepted' {
	const arrived = fromWire(structuredClone(toWire(thrown)))
	expectThat(arrived instanceof Error, 'no error')
	if (!(thrown instanceof Error)) return 'accepted'
	expectThat(arrived.message === thrown.message, 'another message')
	if (!isIsleError(thrown)) return 'accepted'
	expectThat(isIsleError(arrived, thrown.code), 'another code')
	expectThat(JSON.stringify(arrived.details) === JSON.stringify(thrown.details), 'other details')
	expectThat((arrived.cause === undefined) === (thrown.cause === undefined), 'no cause')
	return 'accepted'
}

export const errorFormats: readonly Format[] = [
	{
		name: 'wire-error',
		attempt(random): Attempt {
			const thrown = someThrown(random)
			return {
				allocationMaxBytes: 1_000_000,
				judge: () => judgeError(thrown),
				show: () => (thrown instanceof Error ? `${thrown.name} ${thrown.message.slice(0, 100)}` : typeof thrown),
			}
		},
	},
]
