import { expect, test } from 'vitest'
import { parseArguments } from '../../bench/arguments.ts'
import { namesIn } from '../../bench/discover.ts'
import { PARTS } from '../../bench/full-run.ts'

test('each part of the full run is a command that there is', () => {
	for (const words of Object.values(PARTS)) {
		const { scenario, store } = parseArguments(words.split(' '))
		expect(namesIn('scenarios')).toContain(scenario)
		expect(namesIn('stores')).toContain(store)
	}
})
