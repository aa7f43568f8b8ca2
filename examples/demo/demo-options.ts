/** What the programs of the demo take from the command line, and where its data lies. */
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { CITY_COUNT } from './cities.ts'

/** The live part of the demo makes so many commits, of so many changes each. */
export const LIVE_COMMITS = 250
export const CHANGES_PER_COMMIT = 40

export interface DemoOptions {
	/** Directory of the database. */
	readonly directory: string
	/** The same for `open`. */
	readonly url: string
	/** The same for people. */
	readonly shownDirectory: string
	readonly records: number
	/** The same options for another program of the demo. */
	readonly args: readonly string[]
}

const DEFAULT_DIRECTORY: string = join(import.meta.dirname, '../../data/demo')

/** `--records N` (default: all), `--directory D` (default: data/demo of the project). */
export function demoOptions(args: readonly string[] = process.argv.slice(2)): DemoOptions {
	const { values } = parseArgs({
		args: [...args],
		options: { records: { type: 'string' }, directory: { type: 'string' } },
	})
	const records = values.records === undefined ? CITY_COUNT : Number(values.records)
	if (!Number.isInteger(records) || records < 1 || records > CITY_COUNT) {
		throw new RangeError(`Expected --records to be a whole number from 1 to ${CITY_COUNT}, got ${values.records}`)
	}
	return { ...directoryOptions(values.directory), records, args: ['--records', String(records), ...args] }
}

export function directoryOptions(
	directory: string = DEFAULT_DIRECTORY,
): Pick<DemoOptions, 'directory' | 'url' | 'shownDirectory'> {
	const shown = relative(process.cwd(), directory)
	return {
		directory,
		url: pathToFileURL(directory).href,
		shownDirectory: shown === '' || shown.startsWith('..') ? directory : `./${shown}`,
	}
}
