/**
 * How long after its commit a change comes out of a tail: in the writer's own process, and in another one that polls.
 *
 * One durable put after another, a little apart; the lag of each runs from when its put resolved, by one clock.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sleep, systemClock } from '../src/host/clock.ts'
import { open, openStore } from '../src/index.ts'
import { loadStore } from './discover.ts'
import type { Figures, Task } from './scenario.ts'
import { percentile } from './statistics.ts'

const CHANGES_MAX = 300
/** Not in step with any poll interval. */
const APART_MS = 13
const BARE_GETS = 40
const BARE_BYTES = 500

type ReaderMessage =
	| { readonly kind: 'following' }
	| { readonly kind: 'changes'; readonly cameMs: number; readonly keys: readonly string[] }

const nowMs = (): number => performance.timeOrigin + performance.now()

/** `pollIntervalMs` 0: in this process. */
export async function measureLag({ plan, directory, progress }: Task, pollIntervalMs: number): Promise<Figures> {
	const url = (await loadStore(plan.store)).url(directory)
	const bareMs = await bareGets(url)
	const db = await open(url, { prefix: 'db', maintenance: false })
	await db.put('first', '', { durable: true })
	const came = new Map<string, number>()
	const follower = await (pollIntervalMs === 0 ? followHere(db, came) : followElsewhere(url, pollIntervalMs, came))
	const committed = new Map<string, number>()
	const count = Math.min(CHANGES_MAX, plan.records)
	for (let i = 0; i < count; i++) {
		await db.put(`change ${i}`, '', { durable: true })
		committed.set(`change ${i}`, nowMs())
		progress(i / count)
		await sleep(systemClock, APART_MS)
	}
	while (came.size < count) await sleep(systemClock, APART_MS)
	await follower.end()
	await db.close()
	const lags = [...committed].map(([key, atMs]) => Math.max(0, (came.get(key) ?? Number.NaN) - atMs))
	return {
		changes: lags.length,
		pollIntervalMs,
		bareGetMs: bareMs,
		lagP50Ms: percentile(lags, 50),
		lagP99Ms: percentile(lags, 99),
		lagMaxMs: percentile(lags, 100),
	}
}

async function bareGets(url: string): Promise<number> {
	const store = await openStore(url, { prefix: 'bare' })
	await store.createIfAbsent('object', new Uint8Array(BARE_BYTES))
	const samples: number[] = []
	for (let i = 0; i < BARE_GETS; i++) {
		const started = performance.now()
		await store.get('object')
		samples.push(performance.now() - started)
	}
	await store.close()
	return percentile(samples, 50)
}

interface Follower {
	end(): Promise<void>
}

async function followHere(db: Awaited<ReturnType<typeof open>>, came: Map<string, number>): Promise<Follower> {
	const ended = new AbortController()
	let begin: () => void = () => undefined
	const following = new Promise<void>(resolve => {
		begin = resolve
	})
	const done = (async () => {
		try {
			for await (const changes of db.changes({ from: 'start', signal: ended.signal })) {
				for (const { key } of changes) came.set(key, nowMs())
				begin()
			}
		} catch (error) {
			if (!ended.signal.aborted) throw error
		}
	})()
	await Promise.race([following, done])
	came.clear()
	return {
		async end() {
			ended.abort()
			await done
		},
	}
}

async function followElsewhere(url: string, pollIntervalMs: number, came: Map<string, number>): Promise<Follower> {
	const child = fork(join(import.meta.dirname, 'tail-reader.ts'), [url, String(pollIntervalMs)], { execArgv: [] })
	const exited = once(child, 'exit')
	const following = new Promise<void>((resolve, reject) => {
		child.on('message', (message: ReaderMessage) => {
			if (message.kind === 'following') resolve()
			else for (const key of message.keys) came.set(key, message.cameMs)
		})
		child.once('exit', code => reject(new Error(`the reader of the tail ended with ${code}`)))
	})
	await following
	return {
		async end() {
			child.disconnect()
			await exited
		},
	}
}
