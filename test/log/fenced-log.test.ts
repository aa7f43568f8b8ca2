import { describe, expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { replayLog } from '../../src/log/claim.ts'
import { FencedLog } from '../../src/log/fenced-log.ts'
import { comparePositions, LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import { encodeRecord } from '../../src/log/record.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import { ScriptedStore } from '../support/scripted-store.ts'
import {
	appendText,
	claimText,
	deleteCommitsBelow,
	openTextLog,
	TextReplay,
	writeTextCheckpoint,
} from '../support/text-log.ts'

const decoder = new TextDecoder()

/** `lives` owners after one another, each with `commits` appends. */
async function logOf(store: ScriptedStore, lives: number, commits: number): Promise<string[]> {
	const texts: string[] = []
	for (let life = 1; life <= lives; life++) {
		const { owner } = await claimText(store)
		for (let index = 0; index < commits; index++) {
			texts.push(`${life}.${index}`)
			await appendText(owner, `${life}.${index}`)
		}
	}
	store.calls.length = 0
	return texts
}

async function readFrom(
	log: FencedLog,
	from: LogPosition,
	windowSlots = 8,
): Promise<{ texts: string[]; position: LogPosition; firstSeal: LogPosition | undefined }> {
	const texts: string[] = []
	const end = await log.readForward(from, { windowSlots, onCommit: record => texts.push(decoder.decode(record.body)) })
	return { texts, ...end }
}

describe('positions', () => {
	test('are ordered by epoch, then by slot', () => {
		const ordered = [
			{ epoch: 0, slot: 0 },
			{ epoch: 0, slot: 9 },
			{ epoch: 1, slot: 0 },
			{ epoch: 1, slot: 1 },
			{ epoch: 2, slot: 0 },
		]
		for (const [i, a] of ordered.entries()) {
			for (const [j, b] of ordered.entries()) {
				expect(Math.sign(comparePositions(a, b))).toBe(Math.sign(i - j))
			}
		}
	})

	test('name objects so that the order of bytes is the order of the log', () => {
		const log = openTextLog(new MemoryStore())
		const keys = [LOG_START, { epoch: 0, slot: 10 }, { epoch: 9, slot: 99 }, { epoch: 10, slot: 2 ** 53 - 1 }].map(at =>
			log.key(at),
		)
		expect(keys[0]).toBe('log/0000000000000000/0000000000000000')
		expect(keys).toEqual([...keys].sort())
		expect(new Set(keys.map(key => key.length)).size).toBe(1)
	})
})

describe('reading forward', () => {
	test.each([1, 2, 8, 300])('gives every commit once and in order, with a window of %i', async windowSlots => {
		const store = new ScriptedStore()
		const texts = await logOf(store, 3, 21)
		const read = await readFrom(openTextLog(store), LOG_START, windowSlots)
		expect(read.texts).toEqual(texts)
		expect(read.position).toEqual({ epoch: 3, slot: 21 })
		expect(read.firstSeal).toEqual(LOG_START)
	})

	test('from inside an epoch follows no seal when there is none', async () => {
		const store = new ScriptedStore()
		await logOf(store, 2, 3)
		const read = await readFrom(openTextLog(store), { epoch: 2, slot: 1 })
		expect(read).toMatchObject({ texts: ['2.1', '2.2'], position: { epoch: 2, slot: 3 }, firstSeal: undefined })
	})

	test('ends where it is told to, whatever follows', async () => {
		const store = new ScriptedStore()
		await logOf(store, 2, 3)
		const texts: string[] = []
		const end = await openTextLog(store).readForward(LOG_START, {
			windowSlots: 8,
			until: { epoch: 2, slot: 1 },
			onCommit: record => texts.push(decoder.decode(record.body)),
		})
		expect(texts).toEqual(['1.0', '1.1', '1.2', '2.0'])
		expect(end.position).toEqual({ epoch: 2, slot: 1 })
	})

	test('costs one GET for one slot where nothing is new', async () => {
		const store = new ScriptedStore()
		await logOf(store, 1, 3)
		await readFrom(openTextLog(store), { epoch: 1, slot: 3 }, 1)
		expect(store.calls).toEqual(['get log/0000000000000001/0000000000000003'])
	})

	test('of a long log asks for ever more slots at once, 256 at the most', async () => {
		const store = new ScriptedStore()
		await logOf(store, 1, 2_000)
		let inFlight = 0
		let most = 0
		store.onGet = async (_key, run) => {
			most = Math.max(most, ++inFlight)
			await new Promise(resolve => setImmediate(resolve))
			inFlight--
			return run()
		}
		expect((await readFrom(openTextLog(store), { epoch: 1, slot: 0 })).texts).toHaveLength(2_000)
		expect(most).toBe(256)
		// 8 + 16 + … + 256 + n × 256: at most one window more than the records.
		expect(store.count('get')).toBeLessThanOrEqual(2_000 + 256)
	})

	test('does not care for errors behind the first free slot or behind a seal, but for those before it', async () => {
		const store = new ScriptedStore()
		await logOf(store, 2, 2)
		const failing = (key: string): void => {
			store.onGet = async (asked, run) => {
				if (asked === key) throw new IsleError('ISLE_UNAVAILABLE', 'no answer')
				return run()
			}
		}
		const log = openTextLog(store)
		failing(log.key({ epoch: 2, slot: 4 }))
		expect((await readFrom(log, { epoch: 1, slot: 0 })).texts).toEqual(['1.0', '1.1', '2.0', '2.1'])
		failing(log.key({ epoch: 1, slot: 3 }))
		expect((await readFrom(log, { epoch: 1, slot: 0 })).texts).toEqual(['1.0', '1.1', '2.0', '2.1'])
		failing(log.key({ epoch: 2, slot: 1 }))
		await expect(readFrom(log, { epoch: 1, slot: 0 })).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
	})

	test('refuses a commit in epoch 0, which has no owner, and a record that was cut short', async () => {
		const store = new ScriptedStore()
		const log = openTextLog(store)
		const rest = { owner: new Uint8Array(16), nonce: new Uint8Array(8), body: new Uint8Array(0), sections: [] }
		await store.put(log.key(LOG_START), encodeRecord({ kind: 'commit', position: LOG_START, ...rest }).pieces)
		await expect(readFrom(log, LOG_START)).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await store.put(log.key(LOG_START), new Uint8Array(0))
		await expect(readFrom(log, LOG_START)).rejects.toMatchObject({
			code: 'ISLE_CORRUPT',
			message: expect.stringContaining(log.key(LOG_START)),
		})
	})
})

describe('confirming', () => {
	const logWithCheckpointAt = (checkpoint: LogPosition | undefined): { log: FencedLog; looks: () => number } => {
		let looks = 0
		const newestCheckpoint = async (): Promise<LogPosition | undefined> => {
			looks++
			return checkpoint
		}
		return { log: new FencedLog({ store: new MemoryStore(), folder: 'log', newestCheckpoint }), looks: () => looks }
	}
	const position = { epoch: 3, slot: 4 }

	test('a free slot needs that no checkpoint stands beyond it: at it is well', async () => {
		const confirm = (checkpoint: LogPosition | undefined): Promise<boolean> =>
			logWithCheckpointAt(checkpoint).log.confirm({ position, firstSeal: undefined })
		expect(await confirm(undefined)).toBe(true)
		expect(await confirm({ epoch: 3, slot: 3 })).toBe(true)
		expect(await confirm({ epoch: 3, slot: 4 })).toBe(true)
		expect(await confirm({ epoch: 3, slot: 5 })).toBe(false)
		expect(await confirm({ epoch: 4, slot: 0 })).toBe(false)
	})

	test('followed seals need that no checkpoint stands beyond the first of them', async () => {
		const confirm = (checkpoint: LogPosition): Promise<boolean> =>
			logWithCheckpointAt(checkpoint).log.confirm({ position, firstSeal: { epoch: 1, slot: 7 } })
		expect(await confirm({ epoch: 1, slot: 7 })).toBe(true)
		expect(await confirm({ epoch: 1, slot: 8 })).toBe(false)
		expect(await confirm({ epoch: 2, slot: 0 })).toBe(false)
	})

	test('the beginning of a log needs no look', async () => {
		const { log, looks } = logWithCheckpointAt(undefined)
		expect(await log.confirm({ position: LOG_START, firstSeal: undefined })).toBe(true)
		expect(looks()).toBe(0)
		expect(await log.confirm({ position, firstSeal: undefined })).toBe(true)
		expect(looks()).toBe(1)
	})
})

describe('opening', () => {
	test.each([
		{ takeovers: 1, commits: 5 },
		{ takeovers: 20, commits: 3 },
		{ takeovers: 20, commits: 0 },
	])(
		'costs two LISTs, one GET and the log behind the checkpoint: $takeovers takeovers of $commits commits',
		async setup => {
			const store = new ScriptedStore()
			const { takeovers, commits } = setup
			await logOf(store, 3, 2)
			await writeTextCheckpoint(store, { epoch: 3, slot: 2 }, ['folded'])
			const texts = await logOf(store, takeovers, commits)
			const log = openTextLog(store)
			const replay = new TextReplay(store)
			expect(await replayLog(log, replay)).toEqual({ epoch: 3 + takeovers, slot: commits })
			expect(replay.texts).toEqual(['folded', ...texts])
			expect(store.count('list')).toBe(2)
			expect(store.count('get', 'checkpoint/')).toBe(1)
			// Of each epoch its commits and its seal, and the slots of one window that stand behind them; seventeen behind the end.
			expect(store.count('get', 'log/')).toBeLessThanOrEqual((takeovers + 1) * (commits + 8) + 17)
			expect(store.calls.length).toBe(3 + store.count('get', 'log/'))
		},
	)

	test('a prefix where nothing is yet costs one LIST, and reads no slot twice', async () => {
		const store = new ScriptedStore()
		expect(await replayLog(openTextLog(store), new TextReplay(store))).toEqual(LOG_START)
		expect(store.count('list')).toBe(1)
		expect(new Set(store.calls).size).toBe(store.calls.length)
	})

	test('starts over when the log was checkpointed and deleted while it was read', async () => {
		const store = new ScriptedStore()
		await logOf(store, 1, 3)
		const log = openTextLog(store)
		store.onGet = async (key, run) => {
			if (key !== log.key({ epoch: 1, slot: 1 })) return run()
			store.onGet = (_key, go) => go()
			const end = { epoch: 1, slot: 3 }
			await writeTextCheckpoint(store.inner, end, ['1.0', '1.1', '1.2'])
			await deleteCommitsBelow(openTextLog(store.inner), store.inner, end)
			return run()
		}
		const replay = new TextReplay(store)
		expect(await replayLog(log, replay)).toEqual({ epoch: 1, slot: 3 })
		expect(replay.texts).toEqual(['1.0', '1.1', '1.2'])
		expect(replay.restarts).toBe(2)
	})

	test('does not follow a void seal: one in a slot that had been used and deleted', async () => {
		const store = new ScriptedStore()
		await logOf(store, 1, 3)
		const log = openTextLog(store)
		const from = { epoch: 1, slot: 1 }
		await writeTextCheckpoint(store, { epoch: 1, slot: 3 }, ['1.0', '1.1', '1.2'])
		await store.delete(log.key(from))
		const rest = { owner: new Uint8Array(16), nonce: new Uint8Array(8), body: new Uint8Array(0), sections: [] }
		await store.put(log.key(from), encodeRecord({ kind: 'seal', position: from, ...rest }).pieces)
		const end = await log.readForward(from, { windowSlots: 1, onCommit: () => undefined })
		expect(end).toMatchObject({ position: { epoch: 2, slot: 0 }, firstSeal: from })
		expect(await log.confirm(end)).toBe(false)
	})

	test('gives up, typed, when the log moves on during each of a hundred attempts', async () => {
		const store = new ScriptedStore()
		await logOf(store, 1, 1)
		let slot = 1
		const log = new FencedLog({
			store,
			folder: 'log',
			newestCheckpoint: async () => ({ epoch: 1, slot: ++slot }),
		})
		const replay = new TextReplay(store)
		await expect(replayLog(log, replay)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		expect(replay.restarts).toBe(100)
	})
})
