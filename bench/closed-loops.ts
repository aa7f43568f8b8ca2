/**
 * Closed loops: so many clients, each doing one operation after another, until enough are done or time is up. An engine
 * that is a hundred times slower then costs seconds and not minutes, and its rate is that of what it did.
 *
 * Operations that end at once would keep the event loop from turning, and worker threads from being heard: all clients rest
 * for a turn every other millisecond, as those of a server do.
 */
export interface LoopBounds {
	readonly clients: number
	readonly count: number
	readonly maxMs: number
	/** The clock is read once in so many operations: it costs as much as the quickest of them. Default 32. */
	readonly perLook?: number | undefined
}

export interface LoopResult {
	readonly done: number
	readonly elapsedMs: number
	readonly perSecond: number
	/** Processor time of all threads, of one operation: a busy machine disturbs it less than it does the clock. */
	readonly cpuUs: number
}

const OPERATIONS_PER_LOOK = 32
const TURN_MS = 2

/** `each` is called with 0, 1, 2 …, in this order; rejects when one of them does. */
export async function closedLoops(
	{ clients, count, maxMs, perLook = OPERATIONS_PER_LOOK }: LoopBounds,
	each: (i: number) => Promise<unknown>,
): Promise<LoopResult> {
	let next = 0
	let isOver = false
	let turn: Promise<void> | undefined
	const cpu = process.cpuUsage()
	const started = performance.now()
	let turnedAt = started
	const look = (): void => {
		const now = performance.now()
		isOver = now - started > maxMs
		if (now - turnedAt < TURN_MS || turn !== undefined) return
		turn = new Promise(resolve => {
			setImmediate(() => {
				turn = undefined
				turnedAt = performance.now()
				resolve()
			})
		})
	}
	const client = async (): Promise<void> => {
		while (next < count && !isOver) {
			const i = next++
			await each(i)
			if (i % perLook === 0) look()
			if (turn !== undefined) await turn
		}
	}
	await Promise.all(Array.from({ length: clients }, client))
	return resultOf(next, started, cpu)
}

/** The same without promises, by one client. */
export function closedLoop(
	{ count, maxMs, perLook = OPERATIONS_PER_LOOK }: Omit<LoopBounds, 'clients'>,
	each: (i: number) => void,
): LoopResult {
	const cpu = process.cpuUsage()
	const started = performance.now()
	let done = 0
	for (; done < count; done++) {
		if (done % perLook === 0 && performance.now() - started > maxMs) break
		each(done)
	}
	return resultOf(done, started, cpu)
}

function resultOf(done: number, started: number, cpuBefore: NodeJS.CpuUsage): LoopResult {
	const elapsedMs = performance.now() - started
	const { user, system } = process.cpuUsage(cpuBefore)
	return { done, elapsedMs, perSecond: (done / elapsedMs) * 1000, cpuUs: (user + system) / done }
}
