/**
 * Micro-benchmark of the memtable: `npm exec -- node bench/micro/memtable.ts [entries]`.
 *
 * 16-byte random keys, 100-byte values, a fixed seed. Figures are the best of several rounds in one process; the longest
 * put is the smallest maximum of the rounds (what the code causes, and not what the machine does meanwhile).
 */
import { seededRandom } from '../../src/host/random.ts'
import { ArenaPool } from '../../src/memtable/arena-pool.ts'
import { Memtable } from '../../src/memtable/memtable.ts'
import { toSeq } from '../../src/sst/entry.ts'
import { CHUNK_BYTES } from '../../src/sst/entry-arena.ts'

const ROUNDS = 5
const entryCount = Number(process.argv[2] ?? 120_000)
const random = seededRandom(7)
const keys = Array.from({ length: entryCount }, () => random.bytes(16))
const texts = keys.map(key => Buffer.from(key).toString('base64url').slice(0, 16))
const values = Array.from({ length: 256 }, () => random.bytes(100))
const valueTexts = values.map(value => Buffer.from(value).toString('base64url').slice(0, 100))
const pool = new ArenaPool()

interface PutFigures {
	readonly ns: number
	readonly longestMs: number
}

function show(what: string, figures: Readonly<Record<string, number | string>>): void {
	const shown = Object.entries(figures).map(
		([name, value]) => `${name} ${typeof value === 'number' ? +value.toPrecision(3) : value}`,
	)
	console.log(`${what.padEnd(34)} ${shown.join('   ')}`)
}

function timed(run: () => void): number {
	const startMs = performance.now()
	run()
	return performance.now() - startMs
}

function filled(put: (memtable: Memtable, i: number) => void, arena = pool): Memtable {
	const memtable = new Memtable({ baseSeq: toSeq(1), pool: arena })
	for (let i = 0; i < entryCount; i++) put(memtable, i)
	return memtable
}

function end(memtable: Memtable): void {
	memtable.freeze()
	memtable.recycle()
}

function puts(put: (memtable: Memtable, i: number) => void): PutFigures {
	let ns = Number.POSITIVE_INFINITY
	let longestMs = Number.POSITIVE_INFINITY
	for (let round = 0; round < ROUNDS; round++) {
		let memtable: Memtable | undefined
		const ms = timed(() => {
			memtable = filled(put)
		})
		if (memtable) end(memtable)
		ns = Math.min(ns, (ms * 1e6) / entryCount)
		let longest = 0
		const watched = new Memtable({ baseSeq: toSeq(1), pool })
		for (let i = 0; i < entryCount; i++)
			longest = Math.max(
				longest,
				timed(() => put(watched, i)),
			)
		end(watched)
		longestMs = Math.min(longestMs, longest)
	}
	return { ns, longestMs }
}

const pick = <T>(list: readonly T[], i: number): T => list[i % list.length] as T
const putBytes = (memtable: Memtable, i: number): void => memtable.put(pick(keys, i), pick(values, i), 1, 0)
const putText = (memtable: Memtable, i: number): void => memtable.put(pick(texts, i), pick(valueTexts, i), 1, 0)

console.log(`${entryCount} entries, times in ns unless named`)
for (const [name, put] of [
	['put, Uint8Array', putBytes],
	['put, strings', putText],
	[
		'put, one of 1,000 keys again',
		(memtable: Memtable, i: number) => memtable.put(pick(keys, i % 1_000), pick(values, i), 1, 0),
	],
	['put, expiring', (memtable: Memtable, i: number) => memtable.put(pick(keys, i), pick(values, i), 1, 1.7e12)],
] as const) {
	const { ns, longestMs } = puts(put)
	show(name, { ns, 'longest ms': longestMs })
}

// Without shared memory, in which copies would stay.
const memtable = filled(putBytes, new ArenaPool(pool.bytes, 0))
const missing = Array.from({ length: 1_000 }, () => random.bytes(16))
let found = 0
const getNs = (list: readonly Uint8Array[], step: number): number => {
	let best = Number.POSITIVE_INFINITY
	for (let round = 0; round < ROUNDS; round++) {
		const ms = timed(() => {
			for (let i = 0; i < entryCount; i++) if (memtable.get(pick(list, i * step), 1e9) !== undefined) found++
		})
		best = Math.min(best, (ms * 1e6) / entryCount)
	}
	return best
}
show('get', {
	'random ns': getNs(keys, 7_919),
	'hot (1,000 keys) ns': getNs(keys.slice(0, 1_000), 1),
	'missing ns': getNs(missing, 1),
})
show('memory', { 'entries MB': memtable.entryBytes / 1e6, 'all MB': memtable.bytes / 1e6 })
show('freeze', { ms: timed(() => memtable.freeze()) })
show('first encode job (copies are there)', {
	ms: timed(() => memtable.makeEncodeJob({ codec: 'none', minWriteMs: 1, maxWriteMs: 1 })),
})
// What freezing would cost if the copies were made only then.
show('all copies at once', { ms: timed(() => memtable.makeEncodeJob({ codec: 'none', minWriteMs: 1, maxWriteMs: 1 })) })
memtable.recycle()

/** The candidates for handing chunks to a worker: a copy as each fills, into used or fresh memory; or shared memory. */
function copyFigures(): void {
	const sources = Array.from({ length: 64 }, () => new Uint8Array(CHUNK_BYTES).fill(1))
	const used = sources.map(source => source.slice())
	const perChunk = (run: (source: Uint8Array, i: number) => void): number => {
		let best = Number.POSITIVE_INFINITY
		for (let round = 0; round < ROUNDS; round++)
			best = Math.min(
				best,
				timed(() => sources.forEach(run)),
			)
		return (best * 1e3) / sources.length
	}
	const intoUsed = perChunk((source, i) => (used[i] as Uint8Array).set(source))
	const intoFresh = perChunk(source => void source.slice())
	const setNs = (target: Uint8Array): number => {
		let best = Number.POSITIVE_INFINITY
		const count = 200_000
		for (let round = 0; round < ROUNDS; round++) {
			const ms = timed(() => {
				for (let i = 0; i < count; i++) target.set(pick(values, i), (i % 1_900) * 132)
			})
			best = Math.min(best, (ms * 1e6) / count)
		}
		return best
	}
	show('copy of a chunk', { 'into used µs': intoUsed, 'into fresh µs': intoFresh })
	const own = setNs(new Uint8Array(CHUNK_BYTES))
	show('set of 100 B', { 'own ns': own, 'shared ns': setNs(new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES))) })
}
copyFigures()

/** Growing the index of a memtable far beyond the default size. */
const large = new Memtable({ baseSeq: toSeq(1), pool: new ArenaPool(0) })
let longestMs = 0
let longestAt = 0
for (let i = 0; i < 1_700_000; i++) {
	const ms = timed(() => large.put(`key ${i}`, '', 1, 0))
	if (ms > longestMs) {
		longestMs = ms
		longestAt = i
	}
}
show('longest put of 1.7 M small entries', {
	ms: longestMs,
	'at entry': String(longestAt),
	'found (of all gets)': found,
})
