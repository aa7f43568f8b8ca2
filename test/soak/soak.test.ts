/** The soak in small: every way of taking over once, and what it would tell of growth. */
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { testSeed } from '../support/seed.ts'
import { type MemorySample, trendOf } from './memory.ts'
import { verdictOf } from './soak-report.ts'
import { type SoakReport, soak } from './soak-run.ts'

const scratch = scratchDirectories()
const seed = testSeed()

test(`writers take over from one another while everything goes on (seed ${seed})`, async ({ annotate }) => {
	const url = pathToFileURL(scratch()).href
	const report = await soak({ url, seed, durationMs: 0, minTurns: 4, turnMs: 400 })
	const { text, isSound } = verdictOf(report)
	await annotate(text)
	expect(isSound, text).toBe(true)
	expect(report.turns).toEqual({ close: 1, kill: 2, fence: 1 })
	expect(report.operations).toBeGreaterThan(0)
	// On a busy machine the one or the other comes to nothing in so short a time.
	expect(report.tailed + report.reads).toBeGreaterThan(0)
	expect(report.openings).toHaveLength(5)
	const samples = Object.values(report.memory).map(({ length }) => length)
	expect(samples).toEqual([2, 2, 4])
})

const repeated = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i))

test('what grows after it has warmed up is no flat line, and what swings is one', () => {
	expect(
		trendOf(
			repeated(30, i => 100 + 10 * i),
			50,
		),
	).toMatchObject({ before: 250, after: 350, isFlat: false })
	expect(
		trendOf(
			repeated(30, i => (i < 10 ? 10 * i : 100)),
			50,
		).isFlat,
	).toBe(true)
	expect(
		trendOf(
			repeated(30, i => 100 + 30 * (i % 2)),
			50,
		).isFlat,
	).toBe(true)
	expect(
		trendOf(
			repeated(30, i => 1000 - i),
			0,
		).isFlat,
	).toBe(true)
})

test('a report with growth, openings that are too dear or something left over is not sound', () => {
	const sample = (bytes: number): MemorySample => ({ heapBytes: bytes, externalBytes: bytes, rssBytes: bytes })
	const flat = repeated(12, () => 100_000_000).map(sample)
	const sound: SoakReport = {
		turns: { close: 4, fence: 4, kill: 4 },
		openings: repeated(12, () => 20).map(requests => ({ requests, ms: 30 })),
		memory: { 'writer, open': flat, 'writer, closed': flat, reader: flat },
		operations: 1000,
		tailed: 1000,
		reads: 10,
		expired: 0,
		works: 10,
		storedBytes: 1000,
		faults: [],
	}
	const growing = repeated(12, i => 100_000_000 + i * 10_000_000).map(sample)
	expect(verdictOf(sound).isSound).toBe(true)
	for (const who of ['writer, open', 'writer, closed', 'reader'] as const) {
		expect(verdictOf({ ...sound, memory: { ...sound.memory, [who]: growing } }).isSound, who).toBe(false)
	}
	const step = (bytes: number): MemorySample[] =>
		flat.map((sample, i) => ({ ...sample, rssBytes: sample.rssBytes + (i < 8 ? 0 : bytes) }))
	expect(verdictOf({ ...sound, memory: { ...sound.memory, reader: step(16_777_216) } }).isSound).toBe(true)
	expect(verdictOf({ ...sound, memory: { ...sound.memory, reader: step(16_777_217) } }).isSound).toBe(false)
	const openings = (requests: number): SoakReport['openings'] =>
		Array.from({ length: 12 }, () => ({ requests, ms: 30 }))
	expect(verdictOf({ ...sound, openings: openings(450) }).isSound).toBe(true)
	expect(verdictOf({ ...sound, openings: openings(451) }).isSound).toBe(false)
	expect(verdictOf({ ...sound, faults: ['state: sst/w1-3'] })).toMatchObject({
		isSound: false,
		text: expect.stringContaining('sst/w1-3'),
	})
})
