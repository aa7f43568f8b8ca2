/**
 * Looks into the data that the demo has left: `npm run demo:look -- city/NL/` prints the rows whose keys begin so.
 * `--limit N` says how many (default 20), `--reverse` begins at the end.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openReader } from '../../src/index.ts'
import { directoryOptions } from './demo-options.ts'
import { dim, say, whole } from './terminal.ts'

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		limit: { type: 'string', default: '20' },
		reverse: { type: 'boolean', default: false },
		directory: { type: 'string' },
	},
})
const [prefix = 'city/'] = positionals
const { directory, url, shownDirectory } = directoryOptions(values.directory)
if (existsSync(directory)) {
	await look()
} else {
	say(`There is no data in ${shownDirectory} yet: run \`npm run demo\` first.`)
	process.exitCode = 1
}

async function look(): Promise<void> {
	await using reader = await openReader(url, { valueEncoding: 'json' })
	let shown = 0
	const range = { prefix, reverse: values.reverse }
	for await (const [key, value] of reader.entries({ ...range, limit: Number(values.limit) })) {
		shown++
		say(`${key.padEnd(40)} ${dim(JSON.stringify(value))}`)
	}
	let total = 0
	for await (const keys of reader.keys(range).batches()) total += keys.length
	say(dim(`${whole(shown)} of ${whole(total)} rows that begin with ${prefix} in ${shownDirectory}`))
}
