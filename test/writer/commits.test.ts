/** How many commits are on their way at once, and what they say of time. */
import { describe, expect, test } from 'vitest'
import type { LoadedCommit } from '../../src/manifest/commit.ts'
import { refuseUnhandledRejections, WriterRig } from './writer-rig.ts'

refuseUnhandledRejections()

describe('commits on their way', () => {
	test('are at most maxCommitsInFlight records, and uploads for twice as many more', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open({ inlineMaxBytes: 0, maxCommitsInFlight: 3 })
		let open = (): void => undefined
		const gate = new Promise<void>(resolve => {
			open = resolve
		})
		let records = 0
		let mostRecords = 0
		faults.before = async call => {
			if (call.operation !== 'createIfAbsent') return undefined
			mostRecords = Math.max(mostRecords, ++records)
			await gate
			records--
			return undefined
		}
		const flushes: Promise<unknown>[] = []
		for (let i = 0; i < 30; i++) {
			await writer.put(`key ${i}`, 'value')
			flushes.push(writer.flush())
		}
		await rig.stateOf(Promise.all(flushes))
		expect(faults.count('createIfAbsent', 'log/0000000000000001')).toBe(3)
		expect(faults.count('put', 'sst/')).toBe(9)
		open()
		await rig.drive(Promise.all(flushes))
		expect(mostRecords).toBe(3)
		expect(writer.stats()).toMatchObject({ commits: 30, committedSeq: 30, frozenMemtables: 0 })
	})

	test('have their large tables uploaded side by side, twice as many as records, and never more', async () => {
		const rig = new WriterRig()
		const { writer, faults } = await rig.open({ inlineMaxBytes: 0, maxCommitsInFlight: 3 })
		let open = (): void => undefined
		const gate = new Promise<void>(resolve => {
			open = resolve
		})
		let uploads = 0
		let mostUploads = 0
		faults.before = async call => {
			if (call.operation !== 'put') return undefined
			mostUploads = Math.max(mostUploads, ++uploads)
			await gate
			uploads--
			return undefined
		}
		const flushes: Promise<unknown>[] = []
		for (let i = 0; i < 30; i++) {
			await writer.put(`key ${i}`, 'value')
			flushes.push(writer.flush())
		}
		await rig.stateOf(Promise.all(flushes))
		expect(uploads).toBe(6)
		expect(faults.count('createIfAbsent', 'log/0000000000000001')).toBe(0)
		open()
		await rig.drive(Promise.all(flushes))
		expect(mostUploads).toBe(6)
		expect(writer.stats()).toMatchObject({ commits: 30, committedSeq: 30 })
	})

	test('never say an earlier time than one before them, whatever the clock does, also after a takeover', async () => {
		const rig = new WriterRig()
		const loaded: LoadedCommit[] = []
		const startMs = rig.clock.nowMs()
		for (let life = 0; life < 2; life++) {
			const { writer } = await rig.open()
			writer.onCommit(commit => loaded.push(commit))
			for (const jumpMs of [0, 5_000, -3_600_000]) {
				await writer.put('key', 'value')
				rig.clock.jumpWallClock(jumpMs)
				await rig.drive(writer.flush())
			}
		}
		const times = loaded.map(({ commit }) => commit.committedAtMs)
		expect(times).toEqual([startMs, ...Array.from({ length: 5 }, () => startMs + 5_000)])
		for (const { commit } of loaded) {
			for (const { meta } of commit.tables) expect(meta.minWriteMs).toBeLessThanOrEqual(meta.maxWriteMs)
		}
	})
})

test('listeners hear of each commit once, in order, when it is part of the manifest, until they stop', async () => {
	const rig = new WriterRig()
	const { writer } = await rig.open()
	const heard: number[] = []
	const stop = writer.onCommit(({ commit, inlineTables }) => {
		expect(writer.manifest.lastSeq).toBe(commit.lastSeq)
		expect(writer.manifest.l0.at(-1)).toEqual(commit.tables[0])
		expect(inlineTables.get(commit.tables[0]?.id ?? '')?.length).toBe(commit.tables[0]?.meta.storedBytes)
		heard.push(commit.lastSeq)
	})
	const failures: string[] = []
	writer.onFailure(({ code }) => failures.push(code))
	for (let i = 0; i < 3; i++) {
		await writer.put('key', 'value')
		await rig.drive(writer.flush())
	}
	stop()
	await writer.put('key', 'value')
	await rig.drive(writer.flush())
	expect(heard).toEqual([1, 2, 3])
	await rig.open()
	await writer.put('key', 'value')
	await rig.rejection(writer.flush())
	await rig.rejection(writer.flush())
	expect(failures).toEqual(['ISLE_FENCED'])
})
