/**
 * What a large checkpoint takes to come from Ceph RGW behind a link of 25 ms, in one GET and by pages, in turns: as fast as the machine
 * is, and with 50 MB/s for each connection, as stores bound them. Prints medians; run it as `node bench/micro/opening.ts [tables …]`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { seededRandom } from '../../src/host/random.ts'
import { openReader, openStore } from '../../src/index.ts'
import { checkpointKey, encodeCheckpoint, newestCheckpoint } from '../../src/manifest/checkpoint.ts'
import { readByPages } from '../../src/manifest/paged-read.ts'
import { startCephRgw } from '../../test/support/servers/ceph-rgw.ts'
import { createBucket } from '../../test/support/servers/s3-test-store.ts'
import { openSlowLink } from '../slow-link.ts'
import { ManyTables } from './many-tables.ts'

const BUCKET = 'opening'
const RTT_MS = 25
/** 50 MB/s. */
const DOWNLOAD_MBIT = 400
const ROUNDS = 9
/** Set for the process that reads: the link has this one. */
const READ_FROM = process.env['ISLEDB_OPENING_URL']

const urlOf = (endpoint: string): string =>
	`s3://${BUCKET}?region=us-east-1&forcePathStyle=true&endpoint=${encodeURIComponent(endpoint)}`

/** Milliseconds of each of `works`, in turns: the medians. */
async function medians(works: readonly (() => Promise<unknown>)[]): Promise<number[]> {
	const times = works.map((): number[] => [])
	for (let round = 0; round < ROUNDS; round++) {
		for (const [i, work] of works.entries()) {
			const began = performance.now()
			await work()
			times[i]?.push(performance.now() - began)
		}
	}
	return times.map(each => each.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number)
}

async function read(url: string, prefix: string): Promise<void> {
	const store = await openStore(url, { prefix })
	const name = await newestCheckpoint(store)
	if (name === undefined) throw new Error('it was just written')
	const [whole, byPages, opened] = await medians([
		() => store.get(name.key),
		() => readByPages(store, name.key, name.bytes),
		async () => await (await openReader(url, { prefix, refreshIntervalMs: 0 })).close(),
	])
	await store.close()
	const show = (ms = 0): string => `${ms.toFixed(0)} ms`
	console.log(
		`${(name.bytes / 1e6).toFixed(1)} MB: one GET ${show(whole)}, by pages ${show(byPages)}, a reader open ${show(opened)}`,
	)
}

async function main(counts: readonly number[]): Promise<void> {
	const server = await startCephRgw()
	await createBucket(server, BUCKET)
	process.env['AWS_ACCESS_KEY_ID'] = server.accessKeyId
	process.env['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
	for (const count of counts) {
		const prefix = `tables-${count}`
		const store = await openStore(urlOf(server.endpoint), { prefix })
		const state = new ManyTables(seededRandom(1)).state(count)
		await store.put(checkpointKey(state), encodeCheckpoint(state))
		await store.close()
		for (const downloadMbit of [undefined, DOWNLOAD_MBIT]) {
			const link = await openSlowLink(server.endpoint, { rttMs: RTT_MS, downloadMbit })
			const env = { ...process.env, ISLEDB_OPENING_URL: urlOf(link.endpoint), ISLEDB_OPENING_PREFIX: prefix }
			const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename], { env })
			console.log(`${count} tables, ${downloadMbit ?? 'unbounded'} Mbit/s a connection: ${stdout.trim()}`)
			await link.close()
		}
	}
	await server.stop()
}

if (READ_FROM === undefined) {
	const counts = process.argv.slice(2).map(Number)
	await main(counts.length > 0 ? counts : [100_000, 1_000_000])
} else await read(READ_FROM, process.env['ISLEDB_OPENING_PREFIX'] ?? '')
