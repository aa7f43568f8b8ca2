/**
 * The parts of what single reads cost, and the figures of one of them: `<part>/<figure>`.
 */
import type { DatabaseReader } from '../src/index.ts'
import type { DepthStore } from './depth-store.ts'
import { percentile } from './statistics.ts'

/** Parts, in the order of the table, with the requests in sequence that each may take. */
export const READ_PARTS: Readonly<Record<string, number | undefined>> = {
	'open a reader': undefined,
	'get, nothing in memory': 2,
	'get, tables open': 1,
	'get, in memory': 0,
	'get of a missing key, tables open': 1,
	'getMany of 100 at random, tables open': 1,
	'getMany of 100 neighbours, tables open': 1,
	'scan of 10 rows, nothing in memory': 2,
	'scan of 10 rows, tables open': 1,
	'scan of 10,000 rows, tables open': undefined,
	'scan of all rows, tables open': undefined,
	'gets, 9 of 10 to a tenth of the keys, room for a fifth': undefined,
	'get, tables open, cacheDir empty': 1,
	'get, new reader, cacheDir warm': 0,
}

/** What all parts have in common. */
export interface PartGround {
	readonly store: DepthStore
	/** With `bareMs`, the median of one GET. */
	readonly figures: Record<string, number>
}

/** One read after another; caches count from here on. */
export async function measurePart(
	{ store, figures }: PartGround,
	reader: DatabaseReader,
	part: string,
	count: number,
	read: (i: number) => Promise<void>,
): Promise<void> {
	const before = { ...reader.requests().total }
	const [blocks, disk] = [reader.stats().blockCache, reader.stats().diskCache]
	const samples: number[] = []
	let depth = 0
	for (let i = 0; i < count; i++) {
		store.begin()
		const started = performance.now()
		await read(i)
		samples.push(performance.now() - started)
		depth = Math.max(depth, store.depth)
	}
	const { requests, receivedBytes, estimatedUsd } = reader.requests().total
	const after = reader.stats()
	putFigures(figures, part, {
		samples,
		requests: requests - before.requests,
		bytes: receivedBytes - before.receivedBytes,
		usd: estimatedUsd - before.estimatedUsd,
		depth,
	})
	Object.assign(figures, hitFigure(`${part}/blockHits`, blocks, after.blockCache))
	if (disk !== undefined && after.diskCache !== undefined) {
		Object.assign(figures, hitFigure(`${part}/diskHits`, disk, after.diskCache))
	}
}

interface Hits {
	readonly hits: number
	readonly misses: number
}

/** Percent; nothing where nobody looked. */
function hitFigure(name: string, before: Hits, after: Hits): Record<string, number> {
	const hits = after.hits - before.hits
	const looks = hits + after.misses - before.misses
	return looks === 0 ? {} : { [name]: (100 * hits) / looks }
}

export interface Measured {
	readonly samples: readonly number[]
	readonly requests: number
	readonly bytes: number
	readonly usd: number
	readonly depth: number
}

export function putFigures(
	figures: Record<string, number>,
	part: string,
	{ samples, requests, bytes, usd, depth }: Measured,
): void {
	const p50Ms = percentile(samples, 50)
	const budget = READ_PARTS[part]
	const each: Record<string, number> = {
		p50Ms,
		p99Ms: percentile(samples, 99),
		bare: p50Ms / (figures['bareMs'] ?? Number.NaN),
		requests: requests / samples.length,
		depth,
		...(budget === undefined ? {} : { budget }),
		bytes: bytes / samples.length,
		usdPerMillion: (usd / samples.length) * 1e6,
	}
	for (const [name, value] of Object.entries(each)) figures[`${part}/${name}`] = value
}
