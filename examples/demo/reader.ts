/**
 * The second process of the demo: it only reads. Any number of these can run, on any machine that sees the store, and
 * none of them writes anything.
 *
 * It compares every row with the data set, then measures random gets and reads one country. It ends with exit code 1
 * when a row is missing, wrong or too many.
 */
import { openReader } from '../../src/index.ts'
import { tellParent } from './child-process.ts'
import { type CityRecord, cityRecords, showCountryOf } from './cities.ts'
import { demoOptions } from './demo-options.ts'
import { dim, failure, rate, result, say, seconds, whole } from './terminal.ts'

export interface ReaderReport {
	readonly kind: 'reader-report'
	readonly rowsPerSecond: number
	readonly getsPerSecond: number
}

const RANDOM_GETS = 50_000
const SHOWN_MISMATCHES = 5
const SHOWN_CITIES = 4

const { url, records: count } = demoOptions()
const records = cityRecords(count)

const startedMs = performance.now()
await using reader = await openReader(url, { valueEncoding: 'json' })
result('open', `process ${process.pid} reads the log and needs nothing else`, seconds(performance.now() - startedMs))

const rowsPerSecond = await scan()
await verify(records)
const getsPerSecond = await getAtRandom(records)
await showCountry(showCountryOf(records))
tellParent({ kind: 'reader-report', rowsPerSecond, getsPerSecond } satisfies ReaderReport)

/** Every row, decoded: what reading alone costs. */
async function scan(): Promise<number> {
	const beganMs = performance.now()
	let rows = 0
	for await (const batch of reader.entries().batches()) rows += batch.length
	const spentMs = performance.now() - beganMs
	result('scan', `${whole(rows)} rows, for the first time in this process`, rate(rows, spentMs))
	return (rows / spentMs) * 1000
}

/** Every row is in the data set, as it stands there, and every record of the data set is a row. */
async function verify(expected: readonly CityRecord[]): Promise<void> {
	const wanted = new Map(expected.map(({ key, city }) => [key, JSON.stringify(city)]))
	let rows = 0
	let mismatches = 0
	const mismatch = (text: string): void => {
		if (mismatches++ < SHOWN_MISMATCHES) failure(text)
	}
	for await (const batch of reader.entries().batches()) {
		for (const [key, city] of batch) {
			rows++
			const text = wanted.get(key)
			if (text === undefined) mismatch(`not in the data set, or twice: ${key}`)
			else if (text !== JSON.stringify(city)) mismatch(`another value: ${key}`)
			wanted.delete(key)
		}
	}
	for (const key of wanted.keys()) mismatch(`missing: ${key}`)
	if (mismatches > 0) {
		failure(`${whole(mismatches)} rows differ from the data set`)
		process.exitCode = 1
	} else {
		result('verify', `${whole(rows)} rows, each equal to the data set, none missing`)
	}
}

async function getAtRandom(expected: readonly CityRecord[]): Promise<number> {
	const chosen = Array.from({ length: RANDOM_GETS }, () => expected[Math.floor(Math.random() * expected.length)])
	const beganMs = performance.now()
	let found = 0
	for (const record of chosen) {
		if (record !== undefined && (await reader.get(record.key)) !== undefined) found++
	}
	const spentMs = performance.now() - beganMs
	if (found !== RANDOM_GETS) {
		failure(`${whole(RANDOM_GETS - found)} random gets found nothing`)
		process.exitCode = 1
	} else {
		result('get', `${whole(RANDOM_GETS)} random keys, one after another`, rate(RANDOM_GETS, spentMs))
	}
	return (RANDOM_GETS / spentMs) * 1000
}

async function showCountry(country: string): Promise<void> {
	const prefix = `city/${country}/`
	const keys: string[] = []
	const beganMs = performance.now()
	for await (const key of reader.keys({ prefix })) keys.push(key)
	const spentMs = performance.now() - beganMs
	const expected = records.filter(({ city }) => city.country === country).length
	if (keys.length !== expected) {
		failure(`${prefix} has ${keys.length} keys instead of ${expected}`)
		process.exitCode = 1
		return
	}
	result('range', `${prefix} has ${whole(keys.length)} cities`, seconds(spentMs))
	// Evenly spread, from the first to the last.
	const step = Math.max(1, Math.floor(keys.length / SHOWN_CITIES))
	for (const key of keys.filter((_key, index) => index % step === 0).slice(0, SHOWN_CITIES)) {
		const { name, lat, lng } = records.find(record => record.key === key)?.city ?? {}
		say(dim(`                 ${key.padEnd(40)} ${name} at ${lat}, ${lng}`))
	}
	if (keys.length > SHOWN_CITIES) say(dim(`                 … and ${whole(keys.length - SHOWN_CITIES)} more`))
}
