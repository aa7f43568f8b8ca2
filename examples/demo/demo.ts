/**
 * The demo, `npm run demo`: the main job of the engine on the embedded default, a directory.
 *
 * 1. Loads a real data set, the cities of the world, and makes it durable.
 * 2. Reads it back with a second process, which compares every row.
 * 3. Goes on writing while a third process follows, and proves that it saw every change once and in order.
 * 4. Reports what it did, what it would cost on S3, and how to look at the data, which stays in ./data/demo.
 *
 * `-- --records N` loads fewer cities. Exit code 1 when anything is not as it must be.
 */
import { existsSync, rmSync } from 'node:fs'
import { type Database, isIsleError, open, type RequestSnapshot } from '../../src/index.ts'
import { startProcess } from './child-process.ts'
import { ChangeDigest, CITY_COUNT, type City, cityRecords, END_KEY, keyOf } from './cities.ts'
import { CHANGES_PER_COMMIT, demoOptions, LIVE_COMMITS } from './demo-options.ts'
import type { ReaderReport } from './reader.ts'
import type { TailMessage, TailReady, TailReport } from './tailer.ts'
import {
	bold,
	dim,
	failure,
	heading,
	megabytes,
	Progress,
	plural,
	rate,
	result,
	say,
	seconds,
	whole,
} from './terminal.ts'

interface LoadReport {
	readonly count: number
	readonly durableMs: number
}

/** The live part writes this often. */
const COMMIT_INTERVAL_MS = 10

const options = demoOptions()
const { directory, url, shownDirectory } = options
const startedMs = performance.now()

try {
	say(`\n  ${bold('isledb')}  ${dim('a key-value engine on object storage, in your process')}`)
	say(
		`  ${whole(options.records)} of ${whole(CITY_COUNT)} cities of the world (GeoNames, CC BY 4.0) into ${shownDirectory}`,
	)
	if (existsSync(directory)) {
		rmSync(directory, { recursive: true })
		say(dim(`  ${shownDirectory} held the data of an earlier run: removed, this one starts fresh`))
	}
	// Its keys are strings, and its values whatever JSON can say.
	await using db = await open(url, { valueEncoding: 'json' })
	const loaded = await load(db)
	const read = await readBack()
	const tailed = await followLive(db)
	report(db.requests(), loaded, read, tailed)
} catch (error) {
	failure(error instanceof Error ? `${isIsleError(error) ? `${error.code}: ` : ''}${error.message}` : String(error))
	process.exitCode = 1
}

/** A put resolves as soon as it is accepted, in memory and in order; `flush` makes durable what was accepted. */
async function load(db: Database<string, unknown>): Promise<LoadReport> {
	const records = cityRecords(options.records)
	heading(1, `Load ${whole(records.length)} records`)
	const progress = new Progress(records.length)
	const beganMs = performance.now()
	let done = 0
	for (const { key, city } of records) {
		await db.put(key, city)
		done++
		progress.update(done, () => `${whole(done)} records  ${rate(done, performance.now() - beganMs)}`)
	}
	const acceptedMs = performance.now() - beganMs
	await db.flush()
	const durableMs = performance.now() - beganMs
	progress.end()
	const { createIfAbsent, put } = db.requests().byKind
	const sentBytes = createIfAbsent.sentBytes + put.sentBytes
	result('accepted', `${whole(done)} records, awaiting each put`, `${rate(done, acceptedMs)}, ${seconds(acceptedMs)}`)
	result(
		'durable',
		`${plural(db.stats().commits, 'commit')}, ${megabytes(sentBytes)} as stored (LZ4), on disk and synced`,
		`${rate(done, durableMs)}, ${seconds(durableMs)}`,
	)
	return { count: done, durableMs }
}

async function readBack(): Promise<ReaderReport> {
	heading(2, 'Read it back with a second process, which only reads')
	await using reader = startProcess<ReaderReport>('reader.ts', options.args)
	const read = await reader.message((message): message is ReaderReport => message.kind === 'reader-report')
	await reader.done
	return read
}

/** Puts and deletes at a steady rate, each batch one durable commit, while the tail follows. */
async function followLive(db: Database<string, unknown>): Promise<TailReport> {
	heading(3, 'Follow a live tail with a third process, while the writer goes on')
	await using tailer = startProcess<TailMessage>('tailer.ts', options.args)
	await tailer.message((message): message is TailReady => message.kind === 'tail-ready')
	const records = cityRecords(options.records)
	const written = new ChangeDigest()
	for (let commit = 0; commit < LIVE_COMMITS; commit++) {
		const batch = db.batch()
		for (let change = 0; change < CHANGES_PER_COMMIT; change++) {
			const id = Math.floor(Math.random() * records.length)
			const record = records[id]
			if (record === undefined) continue
			if (change % 8 === 7) {
				batch.delete(record.key)
				written.add('delete', record.key, undefined)
			} else {
				const city: City = { ...record.city, visitors: commit * CHANGES_PER_COMMIT + change }
				const key = change % 8 === 6 ? keyOf(city, CITY_COUNT + id) : record.key
				batch.put(key, city)
				written.add('put', key, city)
			}
		}
		await db.write(batch, { durable: true })
		await new Promise(resolve => setTimeout(resolve, COMMIT_INTERVAL_MS))
	}
	await db.put(END_KEY, written.count, { durable: true })
	written.add('put', END_KEY, written.count)
	const seen = await tailer.message((message): message is TailReport => message.kind === 'tail-report')
	await tailer.done
	if (seen.changes !== written.count) throw new Error(`${written.count} changes written, ${seen.changes} seen`)
	if (seen.digest !== written.finish())
		throw new Error('the tail saw other changes than were written, or another order')
	result('proof', 'what the tail saw is what was written: number, order and values', 'SHA-256 of both')
	return seen
}

function report(requests: RequestSnapshot, loaded: LoadReport, read: ReaderReport, tailed: TailReport): void {
	const { total, byKind, prices } = requests
	const puts = byKind.put.requests + byKind.createIfAbsent.requests
	heading(4, `Done in ${seconds(performance.now() - startedMs)}`)
	const line = (name: string, text: string): void => say(`     ${name.padEnd(11)} ${text}`)
	line('load', `${whole((loaded.count / loaded.durableMs) * 1000)} records/s until durable`)
	line('read', `${whole(read.rowsPerSecond)} rows/s scanned, ${whole(read.getsPerSecond)} random gets/s`)
	line('tail', `${whole(tailed.changes)} changes, ${seconds(tailed.lagP50Ms)} behind the writer (p50)`)
	line(
		'requests',
		`${whole(total.requests)} by the writer: ${whole(puts)} PUT, ${whole(byKind.list.requests)} LIST, the rest GET`,
	)
	line('cost', `$${total.estimatedUsd.toFixed(4)} on ${prices.name}, estimated; an idle database sends nothing`)
	line('data', `${shownDirectory}, left for you`)
	say(`\n  Look at it:  ${bold('npm run demo:look -- city/NL/')}\n`)
}
