/** Commits of somebody else than the owner of their epoch. */
import { expect, test } from 'vitest'
import { replayLog } from '../../src/log/claim.ts'
import { LOG_START } from '../../src/log/log-position.ts'
import { encodeRecord } from '../../src/log/record.ts'
import { ScriptedStore } from '../support/scripted-store.ts'
import { appendText, claimText, openTextLog, TextReplay, writeTextCheckpoint } from '../support/text-log.ts'

test.each([
	['behind the seal that names another', LOG_START, undefined],
	['in the middle of an epoch whose owner is known', { epoch: 1, slot: 1 }, new Uint8Array(16)],
])(
	'stops before a commit of somebody else, %s, which is damage unless a checkpoint covers it',
	async (_where, from, owner) => {
		const store = new ScriptedStore()
		const { owner: writer } = await claimText(store)
		for (const text of ['1.0', '1.1', '1.2']) await appendText(writer, text)
		const log = openTextLog(store)
		const at = { epoch: 1, slot: 2 }
		const names = { owner: new Uint8Array(16).fill(7), nonce: new Uint8Array(8) }
		const body = encodeRecord({ kind: 'commit', position: at, ...names, body: new Uint8Array(0), sections: [] })
		await store.inner.put(log.key(at), body.pieces)
		const first = await log.readSlot({ epoch: 1, slot: 1 })
		const known = owner === undefined ? undefined : first?.owner
		const end = await log.readForward(from, { windowSlots: 2, owner: known, onCommit: () => undefined })
		expect(end).toMatchObject({ position: at, isForeign: true })
		await expect(log.confirm(end)).rejects.toMatchObject({
			code: 'ISLE_CORRUPT',
			message: expect.stringContaining(log.key(at)),
		})
		const replay = new TextReplay(store)
		await expect(replayLog(log, replay)).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await expect(claimText(store)).rejects.toMatchObject({ code: 'ISLE_CORRUPT' })
		await writeTextCheckpoint(store, { epoch: 1, slot: 3 }, ['1.0', '1.1', '1.2'])
		expect(await log.confirm(end)).toBe(false)
		expect(await replayLog(log, replay)).toEqual({ epoch: 1, slot: 3 })
	},
)
