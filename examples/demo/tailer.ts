/**
 * The third process of the demo: it follows the database live, and writes nothing.
 *
 * It begins with the whole state, goes on with every change as it is committed, and keeps a copy of the database that way.
 * At the end it compares the copy with a scan, and tells its parent how many changes it saw, in which order (as a digest)
 * and how late. Run by hand it follows until it is stopped: `node examples/demo/tailer.ts`.
 */
import { takeWhile, tap } from 'rxjs'
import { type Change, openReader } from '../../src/index.ts'
import { tellParent } from './child-process.ts'
import { ChangeDigest, END_KEY } from './cities.ts'
import { CHANGES_PER_COMMIT, demoOptions, LIVE_COMMITS } from './demo-options.ts'
import { failure, Progress, rate, result, seconds, whole } from './terminal.ts'

/** The state is here: everything that is written from now on comes as a change. */
export interface TailReady {
	readonly kind: 'tail-ready'
}

export interface TailReport {
	readonly kind: 'tail-report'
	readonly changes: number
	readonly digest: string
	/** From the commit, by the writer's clock, to the subscriber. */
	readonly lagP50Ms: number
	readonly lagMaxMs: number
}

export type TailMessage = TailReady | TailReport

const POLL_INTERVAL_MS = 25

const { url, records } = demoOptions()
await using reader = await openReader(url, { valueEncoding: 'json' })
const startedMs = performance.now()
const copy = new Map<string, string>()
const digest = new ChangeDigest()
const lagsMs: number[] = []
let progress = new Progress(0)
let rows = 0
let lastSeq = 0

await new Promise<void>((resolve, reject) => {
	reader
		.tail({ from: 'start', pollIntervalMs: POLL_INTERVAL_MS })
		.pipe(
			tap(change => (rows < records ? takeRow(change) : takeChange(change))),
			takeWhile(change => change.key !== END_KEY),
		)
		.subscribe({ error: reject, complete: resolve })
})
progress.end()
lagsMs.sort((a, b) => a - b)
const lagP50Ms = lagsMs[lagsMs.length >> 1] ?? 0
const lagMaxMs = lagsMs.at(-1) ?? 0
await compareCopy()
const report: TailReport = { kind: 'tail-report', changes: digest.count, digest: digest.finish(), lagP50Ms, lagMaxMs }
tellParent(report)

/** A row of the state that the tail begins with: such rows come in the order of their keys. */
function takeRow(change: Change<string, unknown>): void {
	copy.set(change.key, JSON.stringify(change.value))
	if (++rows < records) return
	const spentMs = performance.now() - startedMs
	result('state', `process ${process.pid} begins with ${whole(rows)} rows, then follows`, rate(rows, spentMs))
	progress = new Progress(LIVE_COMMITS * CHANGES_PER_COMMIT)
	tellParent({ kind: 'tail-ready' } satisfies TailReady)
}

/** A change: once each, in the order of commits. */
function takeChange(change: Change<string, unknown>): void {
	if (change.seq <= lastSeq) {
		failure(`out of order: ${change.key} has number ${change.seq} after ${lastSeq}`)
		process.exitCode = 1
	}
	lastSeq = change.seq
	lagsMs.push(Date.now() - change.committedAtMs)
	digest.add(change.kind, change.key, change.value)
	if (change.kind === 'put') copy.set(change.key, JSON.stringify(change.value))
	else copy.delete(change.key)
	progress.update(digest.count, () => {
		const lag = lagsMs.at(-1) ?? 0
		return `${whole(digest.count)} changes, ${lag} ms behind: ${change.kind} ${change.key}`
	})
}

/** The state and the changes together must be what a scan finds now. */
async function compareCopy(): Promise<void> {
	await reader.refresh()
	let scanned = 0
	let mismatches = 0
	for await (const [key, value] of reader.entries()) {
		scanned++
		if (copy.get(key) !== JSON.stringify(value)) mismatches++
	}
	if (mismatches > 0 || scanned !== copy.size) {
		failure(`the copy has ${copy.size} rows, a scan ${scanned}, of which ${mismatches} differ`)
		process.exitCode = 1
		return
	}
	const lag = `${seconds(lagP50Ms)} behind (p50), at most ${seconds(lagMaxMs)}`
	result('tail', `${whole(digest.count)} changes in order; the copy equals a scan (${whole(scanned)} rows)`, lag)
}
