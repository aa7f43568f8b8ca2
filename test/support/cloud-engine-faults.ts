/**
 * The engine on a real server whose wire fails: every way of failing in turn, while durable writes go on. What was
 * acknowledged has to be there, once and in order, whoever asks.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Change, open, openReader } from '../../src/index.ts'
import type { CloudFaultOptions } from './cloud-faults.ts'
import {
	answerAfter,
	answerInstead,
	cutBody,
	type FaultyProxy,
	loseReply,
	repeat,
	resetBefore,
	startFaultyProxy,
	type WireFault,
} from './servers/faulty-proxy.ts'

const ROUNDS = 3

export function engineFaultTests(cloud: CloudFaultOptions): void {
	let proxy: FaultyProxy
	beforeAll(async () => {
		proxy = await startFaultyProxy(cloud.endpoint)
	})
	afterAll(() => proxy.stop())

	test('the engine commits each durable write once and in order, whatever the wire does', async () => {
		const prefix = `engine-of-${process.pid}`
		const faults: readonly WireFault[] = [
			loseReply(),
			resetBefore(),
			answerAfter(cloud.serverError),
			answerAfter(cloud.serverBusy),
			answerInstead(cloud.serverBusy),
			cutBody(10),
			repeat(),
		]
		const spoilt = await cloud.openAt(cloud.endpoint.replace(/\/\/[^/]+/, `//${new URL(proxy.endpoint).host}`))
		const acknowledged: string[] = []
		{
			await using db = await open(spoilt, { prefix, flushIntervalMs: 0 })
			for (let round = 0; round < ROUNDS; round++) {
				for (const fault of faults) {
					const key = `key ${String(acknowledged.length).padStart(4, '0')}`
					// Of a storm the writes ahead of it and behind it are hit as well.
					proxy.spoil({ times: 1 + round }, fault)
					await db.put(key, `${fault.kind} ${round}`, { durable: true })
					acknowledged.push(key)
				}
			}
			// The reads that open a reader are spoilt too.
			for (const fault of [cutBody(5), resetBefore(), answerInstead(cloud.serverBusy)]) proxy.spoil({ times: 1 }, fault)
			await using reader = await openReader(spoilt, { prefix })
			for (const key of acknowledged) expect(await reader.get(key), key).toBe(await db.get(key))
		}
		const hit = new Set(proxy.exchanges.map(({ fault }) => fault))
		expect([...hit].toSorted()).toEqual(['none', ...faults.map(({ kind }) => kind)].filter(unique).toSorted())
		proxy.heal()
		await using truth = await openReader(await cloud.openAt(cloud.endpoint), { prefix })
		const seen: Change<string, string>[] = []
		await using changes = truth.changes({ from: 'start', pollIntervalMs: 20 })[Symbol.asyncIterator]()
		while (seen.length < acknowledged.length) seen.push(...((await changes.next()).value ?? []))
		expect(seen.map(({ key }) => key)).toEqual(acknowledged)
		await spoilt.close()
	})
}

function unique(kind: string, at: number, kinds: readonly string[]): boolean {
	return kinds.indexOf(kind) === at
}
