/** Servers of other projects that tests run against: what they have in common, and what happens where one cannot be had. */
import { createServer } from 'node:net'
import { afterAll } from 'vitest'
import { systemClock } from '../../../src/host/clock.ts'

export interface TestServer {
	/** For the report: name and version. */
	readonly name: string
	stop(): Promise<void>
}

/**
 * Starts a server for the tests of the file that calls this at its top level, and stops it after them. Answers
 * `undefined` where it cannot be had, and says so where everybody sees it: the tests then count as skipped
 * (`describe.skipIf(server === undefined)`), never as passed.
 */
export async function serverForTests<Server extends TestServer>(
	what: string,
	start: () => Promise<Server>,
): Promise<Server | undefined> {
	const beganMs = systemClock.monotonicMs()
	try {
		const server = await start()
		afterAll(() => server.stop())
		console.log(`servers: ${server.name} started in ${Math.round(systemClock.monotonicMs() - beganMs)} ms`)
		return server
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error)
		console.warn(`\n!!! servers: NO ${what} ON THIS MACHINE, its tests are SKIPPED: ${reason}\n`)
		return undefined
	}
}

/** Free ports of the loopback interface: all are open at once, so that they differ, and closed again. */
export async function freePorts(count: number): Promise<number[]> {
	const listeners = await Promise.all(
		Array.from({ length: count }, async () => {
			const listener = createServer()
			await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve))
			return listener
		}),
	)
	const ports = listeners.map(listener => {
		const address = listener.address()
		return typeof address === 'object' && address !== null ? address.port : 0
	})
	await Promise.all(listeners.map(listener => new Promise(resolve => listener.close(resolve))))
	return ports
}
