import { expect, test } from 'vitest'
import { Heartbeat, type LoopDelay } from '../../bench/heartbeat.ts'
import { systemClock } from '../../src/host/clock.ts'

const BLOCK_MS = 200
const TRIES_MAX = 20

/** Keeps the thread asleep: no message is answered meanwhile. */
function block(): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS)
}

async function delayOfBlock(): Promise<LoopDelay | undefined> {
	const heartbeat = await Heartbeat.start(1)
	block()
	return heartbeat.stop()
}

test('a blocked loop is seen, with as many late beats as it slept through', async () => {
	// The first beat comes when the other thread gets a processor: on a busy machine now and then too late.
	let delay = await delayOfBlock()
	for (let tries = 1; tries < TRIES_MAX && (delay?.maxMs ?? 0) <= BLOCK_MS * 0.9; tries++) delay = await delayOfBlock()
	expect(delay?.maxMs).toBeGreaterThan(BLOCK_MS * 0.9)
	// Beats that were posted all the while wait between nothing and the whole time: half of it, in the middle.
	expect(delay?.samples).toBeGreaterThan(10)
	expect(delay?.p50Ms).toBeGreaterThan(BLOCK_MS * 0.1)
})

test('a loop that turns is not taken for a blocked one, and is sampled all the while', async () => {
	const heartbeat = await Heartbeat.start(1)
	while (heartbeat.samples < 50) await systemClock.yieldToIo()
	const delay = await heartbeat.stop()
	expect(delay?.samples).toBeGreaterThanOrEqual(50)
	expect(delay?.p50Ms).toBeLessThan(BLOCK_MS * 0.5)
	expect(heartbeat.cpuUs).toBeGreaterThan(0)
})

test('no beat at all is no answer', async () => {
	const heartbeat = await Heartbeat.start(3_600_000)
	expect(await heartbeat.stop()).toBeUndefined()
})
