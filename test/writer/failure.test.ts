/** Outages that are survived, failures that are final, and who is told. */
import { describe, expect, test } from 'vitest'
import { IsleError, type IsleErrorCode, isIsleError } from '../../src/errors.ts'
import type { JobPool } from '../../src/runtime/job-pool.ts'
import type { WriterOptions } from '../../src/writer/options.ts'
import { WriteBatch } from '../../src/writer/write-batch.ts'
import type { Writer } from '../../src/writer/writer.ts'
import { failBefore, loseReply, refuse } from '../support/faulty-store.ts'
import { committedHistory } from './committed-history.ts'
import { noise, refuseUnhandledRejections, streamOf, type WriterProcess, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

const RECORD = { operation: 'createIfAbsent', key: 'log/' } as const

async function opened(options: WriterOptions = {}): Promise<WriterProcess & { readonly rig: WriterRig }> {
	const rig = new WriterRig()
	return { rig, ...(await rig.open(options)) }
}

/** Every call of a failed writer rejects with `code` and a cause, and changes nothing. */
async function expectTold(rig: WriterRig, writer: Writer, code: IsleErrorCode): Promise<void> {
	const { lastSeq } = writer.stats()
	const calls: Record<string, () => Promise<unknown>> = {
		put: () => writer.put('late', '1'),
		'large put': () => writer.put('late', noise(300_000)),
		'durable put': () => writer.put('late', '1', { durable: true }),
		delete: () => writer.delete('late'),
		write: () => writer.write(new WriteBatch().put('late', '1')),
		putStream: () => writer.putStream('late', streamOf(noise(1))),
		flush: () => writer.flush(),
		close: () => writer.close(),
		'second close': () => writer.close(),
		'put after close': () => writer.put('late', '1'),
		'flush after close': () => writer.flush(),
	}
	for (const [name, call] of Object.entries(calls)) {
		const error = await rig.rejection(call())
		expect(isIsleError(error, code), `${name} says ${String(error)}`).toBe(true)
		expect(error, name).toHaveProperty('cause', expect.any(Error))
	}
	expect(writer.stats().lastSeq).toBe(lastSeq)
	expect(writer.stats().failure).toBe(code)
	expect(writer.failure?.code).toBe(code)
	expect(rig.clock.pendingTimers).toBe(0)
}

async function takeOver(rig: WriterRig): Promise<Writer> {
	return (await rig.open()).writer
}

describe('an outage', () => {
	test('within the budget is survived, whatever was on its way, and nothing is written twice', async () => {
		for (const fault of [failBefore(), loseReply()]) {
			const { rig, writer, faults } = await opened({ blobThresholdBytes: 1024, inlineMaxBytes: 0 })
			faults.fail({ operation: 'createIfAbsent', times: 4 }, fault)
			faults.fail({ operation: 'put', key: 'sst/', times: 4 }, fault)
			faults.fail({ operation: 'put', key: 'blobs/', times: 4 }, fault)
			faults.fail({ operation: 'get', times: 2 }, failBefore())
			await writer.put('small', '1')
			await writer.put('large', noise(2_000))
			await rig.drive(writer.flush())
			await rig.drive(writer.put('next', '1', { durable: true }))
			expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['small', 'large', 'next'])
			expect(writer.failure).toBeUndefined()
			await rig.drive(writer.close())
		}
	})

	test('of 25 seconds is waited for while writes go on', async () => {
		const { rig, writer, faults } = await opened({ flushIntervalMs: 1000 })
		const endMs = rig.clock.monotonicMs() + 25_000
		faults.before = () => (rig.clock.monotonicMs() < endMs ? failBefore() : undefined)
		for (let second = 0; second < 40; second++) {
			await writer.put(`key ${second}`, 'value')
			await rig.clock.advance(1000)
		}
		faults.heal()
		await rig.drive(writer.flush())
		expect(await committedHistory(rig.memory)).toHaveLength(40)
	})

	test('beyond the budget ends the writer: INDETERMINATE for a record, UNAVAILABLE for an upload', async () => {
		const cases = [
			{ key: 'log/', code: 'ISLE_INDETERMINATE' },
			{ key: 'sst/', code: 'ISLE_UNAVAILABLE' },
			{ key: 'blobs/', code: 'ISLE_UNAVAILABLE' },
		] as const
		for (const { key, code } of cases) {
			const { rig, writer, faults } = await opened({ blobThresholdBytes: 1024, inlineMaxBytes: 0 })
			await writer.put('kept', '1')
			await rig.drive(writer.flush())
			faults.fail({ key, times: 1000 }, failBefore())
			await writer.put('small', '1')
			await writer.put('large', noise(2_000))
			const error = await rig.rejection(writer.flush())
			expect(isIsleError(error, code), `${key}: ${String(error)}`).toBe(true)
			await expectTold(rig, writer, code)
			expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['kept'])
		}
	})

	test('that hides what took effect leaves it to the next writer to find', async () => {
		const { rig, writer, faults } = await opened()
		faults.before = call => (call.operation === 'createIfAbsent' ? loseReply() : failBefore())
		await writer.put('key', '1')
		const error = await rig.rejection(writer.flush())
		expect(isIsleError(error, 'ISLE_INDETERMINATE')).toBe(true)
		await takeOver(rig)
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['key'])
	})
})

describe('a final failure', () => {
	test('a second writer fences the first, which says so at its next commit and ever after', async () => {
		const { rig, writer } = await opened()
		await writer.put('first', '1', { durable: true })
		const second = await takeOver(rig)
		expect(second.stats()).toMatchObject({ epoch: 2, lastSeq: 1 })
		await writer.put('zombie', '1')
		const error = await rig.rejection(writer.flush())
		expect(isIsleError(error, 'ISLE_FENCED')).toBe(true)
		await expectTold(rig, writer, 'ISLE_FENCED')
		await second.put('second', '1', { durable: true })
		expect((await committedHistory(rig.memory)).map(entry => entry.key)).toEqual(['first', 'second'])
	})

	test('a fenced writer with nothing to say closes in peace', async () => {
		const { rig, writer } = await opened()
		await writer.put('first', '1', { durable: true })
		await takeOver(rig)
		await writer.close()
	})

	test('denied and full are told as they are, for records, tables and packs', async () => {
		for (const code of ['ISLE_DENIED', 'ISLE_FULL'] as const) {
			for (const key of ['log/', 'sst/', 'blobs/']) {
				const { rig, writer, faults } = await opened({ blobThresholdBytes: 1024, inlineMaxBytes: 0 })
				faults.fail({ key, times: 1000 }, refuse(new IsleError(code, 'injected')))
				await writer.put('small', '1')
				await writer.put('large', noise(2_000))
				const error = await rig.rejection(writer.flush())
				expect(isIsleError(error, code), `${key}: ${String(error)}`).toBe(true)
				await expectTold(rig, writer, code)
				expect(await committedHistory(rig.memory)).toEqual([])
			}
		}
	})

	test('a job that fails ends the writer, by its code or as ISLE_CLOSED', async () => {
		const causes = [
			{ cause: new IsleError('ISLE_UNAVAILABLE', 'the worker died twice'), code: 'ISLE_UNAVAILABLE' },
			{ cause: new TypeError('a bug in the worker'), code: 'ISLE_CLOSED' },
		] as const
		for (const { cause, code } of causes) {
			const rig = new WriterRig()
			const pool: JobPool = {
				run: (_name, make) => {
					make()
					return Promise.reject(cause)
				},
				stats: () => rig.pool.stats(),
				close: () => Promise.resolve(),
			}
			const { writer } = await rig.open({}, { pool })
			for (let i = 0; i < 600; i++) await writer.put(`key ${i}`, noise(300, i))
			const flushed = writer.flush()
			const durable = writer.put('waits', 'with it', { durable: true })
			const outcomes = await rig.drive(Promise.allSettled([flushed, durable]))
			for (const outcome of outcomes) {
				expect(outcome).toMatchObject({ status: 'rejected', reason: { code } })
			}
			await expectTold(rig, writer, code)
		}
	})

	test('of a background flush is told to the next call, and is no unhandled rejection', async () => {
		const { rig, writer, faults } = await opened({ flushIntervalMs: 100 })
		faults.fail(RECORD, refuse(new IsleError('ISLE_DENIED', 'injected')))
		await writer.put('key', '1')
		await rig.clock.advance(100)
		await rig.stateOf(Promise.resolve())
		expect(writer.failure?.code).toBe('ISLE_DENIED')
		await expectTold(rig, writer, 'ISLE_DENIED')
	})

	test('fails all commits behind it, in order, and everything is told once all of it has ended', async () => {
		const { rig, writer, faults } = await opened({ flushIntervalMs: 1000 })
		const held = faults.hold(RECORD)
		const flushes: Promise<unknown>[] = []
		for (let i = 0; i < 6; i++) {
			await writer.put(`key ${i}`, '1')
			flushes.push(writer.flush())
		}
		await writer.put('active', '1')
		const durable = writer.put('durable', '1', { durable: true })
		await held.reached
		const second = await takeOver(rig)
		held.release()
		const outcomes = await rig.drive(Promise.allSettled([...flushes, durable]))
		for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected' })
		await expectTold(rig, writer, 'ISLE_FENCED')
		// What it could not commit is still there to be read.
		expect(writer.view.memtables.length).toBeGreaterThan(6)
		await second.close()
	})

	test('close() in the catch of a put that failed is answered', async () => {
		const { rig, writer, faults } = await opened({ durability: 'committed' })
		faults.fail(RECORD, refuse(new IsleError('ISLE_FULL', 'injected')))
		const closed = writer.put('key', '1').catch(async () => await writer.close())
		const error = await rig.rejection(closed)
		expect(isIsleError(error, 'ISLE_FULL')).toBe(true)
	})

	test('close() waits for the records on their way, and ends the uploads', async () => {
		const { rig, writer, faults } = await opened({ inlineMaxBytes: 0, maxCommitsInFlight: 2 })
		const record = faults.hold({ operation: 'createIfAbsent', key: /0{15}1\/0{15}1$/ })
		const upload = faults.hold({ operation: 'put', key: 'sst/w1-2' })
		faults.fail({ operation: 'createIfAbsent', key: /0{15}1\/0{15}0$/ }, refuse(new IsleError('ISLE_FULL', 'injected')))
		const flushes: Promise<unknown>[] = []
		for (const key of ['a', 'b', 'c']) {
			await writer.put(key, '1')
			flushes.push(writer.flush())
		}
		const told = Promise.allSettled(flushes)
		await Promise.all([record.reached, upload.reached])
		await told
		const closed = writer.close().catch((error: unknown) => error)
		expect(await rig.stateOf(closed)).toBe('pending')
		record.release()
		expect(isIsleError(await rig.drive(closed), 'ISLE_FULL')).toBe(true)
		upload.release()
		const { length } = faults.calls
		await rig.clock.advance(60_000)
		expect(faults.calls).toHaveLength(length)
		expect((await rig.memory.list({ prefix: 'sst/w1-2' })).objects).toEqual([])
		expect(rig.clock.pendingTimers).toBe(0)
	})

	test('ends streams on their way with its code', async () => {
		const { rig, writer, faults } = await opened()
		async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
			for (;;) {
				yield noise(10)
				await new Promise(resolve => setImmediate(resolve))
			}
		}
		const stored = writer.putStream('stream', endless()).catch((error: unknown) => error)
		await rig.stateOf(stored)
		faults.fail(RECORD, refuse(new IsleError('ISLE_DENIED', 'injected')))
		await writer.put('key', '1')
		await rig.rejection(writer.flush())
		expect(isIsleError(await stored, 'ISLE_DENIED')).toBe(true)
	})
})
