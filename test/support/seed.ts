/**
 * The seed of everything in the tests that is random: `TEST_SEED`, a number below 2^31, or another one in each run. What
 * the set-up (`test/project/seed.ts`) printed at the start repeats the run, as far as processes repeat.
 */
import { systemRandom } from '../../src/host/random.ts'

const NAME = 'TEST_SEED'
const SEEDS = 2 ** 31

/** Seen by every process that is started from here on. */
export function chooseTestSeed(): number {
	process.env[NAME] ??= String(Math.floor(systemRandom.next() * SEEDS))
	return testSeed()
}

export function testSeed(): number {
	return parseTestSeed(process.env[NAME])
}

/** Throws on what is no seed: a run with another one would look like a repetition. */
export function parseTestSeed(text: string | undefined): number {
	const seed = Number(text)
	if (!/^\d+$/.test(text ?? '') || seed >= SEEDS) {
		throw new TypeError(`Expected \`${NAME}\` to be an integer from 0 to ${SEEDS - 1}, got ${text}`)
	}
	return seed
}
