/**
 * The command line of the benchmark: `<scenario> [--engine a,b] [--records N] …`, each option as `--name value` or
 * `--name=value`.
 *
 * What is not given is `undefined` here: the scenario knows its own defaults. What is not understood is a `UsageError`
 * that says what was expected; nothing is guessed.
 */

const CODECS = ['none', 'lz4'] as const
export type BenchCodec = (typeof CODECS)[number]

export interface BenchArguments {
	readonly scenario: string
	/** Names of engines, in the order in which they run. Default: all that the scenario supports. */
	readonly engines: readonly string[] | undefined
	/** Only cases whose label has this text in it. */
	readonly case: string | undefined
	readonly store: string
	/** What is added to each round trip to a server. */
	readonly rttMs: number
	/** Megabits a second of all uploads together. Default: as fast as the machine is. */
	readonly uploadMbit: number | undefined
	readonly codecs: readonly BenchCodec[]
	readonly records: number | undefined
	readonly valueBytes: number | undefined
	readonly batch: number
	/** How many clients at once, one case each. Default: the scenario's. */
	readonly clients: readonly number[] | undefined
	/** Input in MiB, one case each. Default: the scenario's. */
	readonly sizes: readonly number[] | undefined
	readonly seed: number
	readonly repeat: number | undefined
	/** Longest time of one measurement that may be cut short: the rate is of what was done. */
	readonly seconds: number
	/** Where to write a page with tables and charts. */
	readonly html: string | undefined
	/** Where to write all figures as JSON. */
	readonly json: string | undefined
	/** Where the databases are made (and removed). Default: the directory for temporary files. */
	readonly directory: string | undefined
}

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
	override readonly name = 'UsageError'
}

export const USAGE = `npm run bench -- <scenario> [options]

  --engine a,b       engines, in this order (default: all that the scenario knows)
  --case TEXT        only cases whose label has this text in it
  --store NAME       where isledb and slatedb write: file, memory, ceph, azurite (default: file)
  --rtt MS           added to each round trip to a server (default: 0)
  --mbit N           bandwidth towards a server, megabits a second (default: as fast as the machine is)
  --records N        records (each scenario has its default)
  --value-bytes N    bytes of a value, 32 to 65536 (default: 100, and 1000 for ycsb)
  --batch N          records of a batch (default: 1000)
  --clients a,b      numbers of clients, for durable (default: 1,10,64,256,1000,4000)
  --sizes a,b        MiB of input, for compaction (default: 256,1024)
  --codec a,b        none, lz4; the others use what they have (default: none,lz4)
  --seed N           of keys and values (default: 1)
  --repeat N         runs of each measurement; the table shows medians (each scenario has its default)
  --seconds N        longest time of one measurement; slower engines do less (default: 20)
  --directory PATH   where databases are made and removed (default: the temporary directory)
  --json FILE        write every figure of every run there
  --html FILE        write tables and charts there, as one page

npm run bench -- all [name …]    the full run, or these parts of it again (missing: those without a result), and RESULTS.md
`

/** 2^31 − 1 */
const INTEGER_MAX = 2_147_483_647

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): BenchArguments {
	const options = new Map<string, string>()
	const words: string[] = []
	for (let i = 0; i < argv.length; i++) {
		const word = argv[i] as string
		if (!word.startsWith('--')) {
			words.push(word)
			continue
		}
		const equals = word.indexOf('=')
		const name = equals < 0 ? word : word.slice(0, equals)
		const value = equals < 0 ? argv[++i] : word.slice(equals + 1)
		if (value === undefined || value === '' || value.startsWith('--')) {
			throw new UsageError(`expected a value behind ${name}`)
		}
		if (options.has(name)) throw new UsageError(`${name} is given twice`)
		options.set(name, value)
	}
	const [scenario, ...rest] = words
	if (scenario === undefined) throw new UsageError('expected the name of a scenario')
	if (rest.length > 0) throw new UsageError(`expected one scenario, got ${words.join(' ')}`)
	const take = (name: string): string | undefined => {
		const value = options.get(name)
		options.delete(name)
		return value
	}
	const parsed: BenchArguments = {
		scenario,
		engines: list('--engine', take('--engine')),
		case: take('--case'),
		store: take('--store') ?? 'file',
		rttMs: integer('--rtt', take('--rtt'), 0, 10_000) ?? 0,
		uploadMbit: integer('--mbit', take('--mbit'), 1, 1_000_000),
		codecs: codecs(take('--codec')),
		records: integer('--records', take('--records'), 1, INTEGER_MAX),
		valueBytes: integer('--value-bytes', take('--value-bytes'), 32, 65_536),
		batch: integer('--batch', take('--batch'), 1, 100_000) ?? 1000,
		clients: list('--clients', take('--clients'))?.map(text => integer('--clients', text, 1, 100_000) ?? 1),
		sizes: list('--sizes', take('--sizes'))?.map(text => integer('--sizes', text, 1, 1_048_576) ?? 1),
		seed: integer('--seed', take('--seed'), 0, INTEGER_MAX) ?? 1,
		repeat: integer('--repeat', take('--repeat'), 1, 100),
		seconds: integer('--seconds', take('--seconds'), 1, 3_600) ?? 20,
		json: take('--json'),
		html: take('--html'),
		directory: take('--directory'),
	}
	const [unknown] = options.keys()
	if (unknown !== undefined) throw new UsageError(`there is no option ${unknown}`)
	return parsed
}

function list(name: string, value: string | undefined): string[] | undefined {
	if (value === undefined) return undefined
	const names = value.split(',')
	if (names.includes('')) throw new UsageError(`expected names with commas between them behind ${name}, got ${value}`)
	const twice = names.find((item, i) => names.indexOf(item) !== i)
	if (twice !== undefined) throw new UsageError(`${name} names ${twice} twice`)
	return names
}

function codecs(value: string | undefined): BenchCodec[] {
	return (list('--codec', value) ?? CODECS).map(name => {
		const codec = CODECS.find(known => known === name)
		if (codec === undefined) throw new UsageError(`expected codecs out of ${CODECS.join(', ')}, got ${name}`)
		return codec
	})
}

function integer(name: string, value: string | undefined, min: number, max: number): number | undefined {
	if (value === undefined) return undefined
	const number = /^\d[\d_]*$/.test(value) ? Number(value.replaceAll('_', '')) : Number.NaN
	if (!(number >= min && number <= max)) {
		throw new UsageError(`expected an integer from ${min} to ${max} behind ${name}, got ${value}`)
	}
	return number
}
