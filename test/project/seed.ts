/** Vitest's global set-up: chooses and prints the seed before the processes of the tests start. */
import { chooseTestSeed } from '../support/seed.ts'

export function setup(): void {
	console.log(`TEST_SEED=${chooseTestSeed()}`)
}
