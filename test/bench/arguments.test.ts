import { describe, expect, test } from 'vitest'
import { parseArguments, UsageError } from '../../bench/arguments.ts'

describe('the command line of the benchmark', () => {
	test('needs a scenario and nothing else', () => {
		expect(parseArguments(['ingest'])).toEqual({
			scenario: 'ingest',
			engines: undefined,
			case: undefined,
			store: 'file',
			rttMs: 0,
			uploadMbit: undefined,
			clients: undefined,
			codecs: ['none', 'lz4'],
			records: undefined,
			valueBytes: undefined,
			batch: 1000,
			seed: 1,
			repeat: undefined,
			seconds: 20,
			json: undefined,
			html: undefined,
			directory: undefined,
		})
	})

	test('takes every option, behind a space or an equals sign, before and after the scenario', () => {
		const words =
			'--engine isledb,classic-level --records=5_000_000 scan --value-bytes 32 --batch 7 --codec lz4 --seed 0 --repeat 3 --seconds 5 ' +
			'--json out.json --html=out.html --case lz4, --directory=here --store memory --rtt 25 --mbit=400 --clients 1,4_000'
		expect(parseArguments(words.split(' '))).toEqual({
			scenario: 'scan',
			engines: ['isledb', 'classic-level'],
			rttMs: 25,
			uploadMbit: 400,
			clients: [1, 4000],
			store: 'memory',
			codecs: ['lz4'],
			records: 5_000_000,
			valueBytes: 32,
			batch: 7,
			seed: 0,
			repeat: 3,
			seconds: 5,
			json: 'out.json',
			html: 'out.html',
			case: 'lz4,',
			directory: 'here',
		})
	})

	test.each([
		['', 'expected the name of a scenario'],
		['ingest scan', 'expected one scenario, got ingest scan'],
		['ingest --records', 'expected a value behind --records'],
		['ingest --records --json x', 'expected a value behind --records'],
		['ingest --records=', 'expected a value behind --records'],
		['ingest --records 0', 'expected an integer from 1 to 2147483647 behind --records, got 0'],
		['ingest --records 2147483648', 'expected an integer from 1 to 2147483647 behind --records, got 2147483648'],
		['ingest --records 1e6', 'expected an integer from 1 to 2147483647 behind --records, got 1e6'],
		['ingest --value-bytes 31', 'expected an integer from 32 to 65536 behind --value-bytes, got 31'],
		['ingest --codec zstd', 'expected codecs out of none, lz4, got zstd'],
		['ingest --engine a,', 'expected names with commas between them behind --engine, got a,'],
		['ingest --engine a,a', '--engine names a twice'],
		['ingest --seed 1 --seed 2', '--seed is given twice'],
		['ingest --record 5', 'there is no option --record'],
	])('"%s" is refused: %s', (line, message) => {
		const parse = (): unknown => parseArguments(line.split(' ').filter(word => word !== ''))
		expect(parse).toThrow(UsageError)
		expect(parse).toThrow(message)
	})
})
