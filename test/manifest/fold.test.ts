import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Commit } from '../../src/manifest/commit.ts'
import { applyCommits, EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

/** Commits that follow one another, over epochs, with and without changes. */
const histories = fc
	.array(fc.record({ count: fc.nat(5), startsEpoch: fc.boolean(), hasPack: fc.boolean() }), { maxLength: 12 })
	.map(drawn => {
		let epoch = 1
		let slot = 0
		let lastSeq = 0
		return drawn.map(({ count, startsEpoch, hasPack }, index): Commit => {
			if (startsEpoch) {
				epoch++
				slot = 0
			}
			const id = `w${epoch}-${slot}`
			const firstSeq = lastSeq + 1
			lastSeq += count
			return {
				position: { epoch, slot: slot++ },
				firstSeq,
				lastSeq,
				committedAtMs: index * 7,
				tables: count === 0 ? [] : [tableOf(id, firstSeq, lastSeq)],
				blobPacks: hasPack ? [{ id, objectKey: `blobs/${id}`, bytes: 1, valueCount: 1 }] : [],
			}
		})
	})

const commit = (slot: number, firstSeq: number, lastSeq: number): Commit => ({
	position: { epoch: 1, slot },
	firstSeq,
	lastSeq,
	committedAtMs: 0,
	tables: firstSeq > lastSeq ? [] : [tableOf(`w1-${slot}`, firstSeq, lastSeq)],
	blobPacks: [],
})

describe('folding commits', () => {
	test('gives the same whether one by one, in groups or all at once', () => {
		fc.assert(
			fc.property(histories, fc.array(fc.nat(4)), (commits, groups) => {
				const whole = applyCommits(EMPTY_MANIFEST, commits)
				let manifest = EMPTY_MANIFEST
				let at = 0
				for (const size of groups) {
					manifest = applyCommits(manifest, commits.slice(at, at + size))
					at += size
				}
				for (const next of commits.slice(at)) manifest = applyCommits(manifest, [next])
				expect(manifest).toEqual(whole)
				expect(whole.lastSeq).toBe(commits.reduce((most, next) => Math.max(most, next.lastSeq), 0))
				expect(whole.l0).toEqual(commits.flatMap(next => next.tables))
				expect(whole.blobPacks).toEqual(commits.flatMap(next => next.blobPacks))
			}),
		)
	})

	test('leaves the manifest that it was given as it was', () => {
		const before = applyCommits(EMPTY_MANIFEST, [commit(0, 1, 3)])
		const copy = structuredClone(before)
		applyCommits(before, [commit(1, 4, 4)])
		expect(before).toEqual(copy)
		expect(applyCommits(before, [])).toBe(before)
	})

	test('keeps the high-water mark of sequence numbers over commits without changes', () => {
		const manifest = applyCommits(EMPTY_MANIFEST, [commit(0, 1, 3), commit(1, 4, 3), commit(2, 4, 4)])
		expect(manifest.lastSeq).toBe(4)
		expect(manifest.writerPosition).toEqual({ epoch: 1, slot: 3 })
	})

	test.each([
		['a gap', [commit(0, 1, 3), commit(1, 5, 5)]],
		['an overlap', [commit(0, 1, 3), commit(1, 3, 4)]],
		['the same numbers twice', [commit(0, 1, 3), commit(1, 1, 3)]],
		['a gap before the first', [commit(0, 2, 2)]],
	])('refuses %s in sequence numbers as corrupt, and names the commit', (_what, commits) => {
		expect(() => applyCommits(EMPTY_MANIFEST, commits)).toThrow(
			expect.objectContaining({ code: 'ISLE_CORRUPT', message: expect.stringMatching(/commit 1\/[01]/) }),
		)
	})

	test('of a commit that was folded in before is a bug of ours', () => {
		const manifest = applyCommits(EMPTY_MANIFEST, [commit(0, 1, 1)])
		expect(() => applyCommits(manifest, [commit(0, 2, 2)])).toThrow('broken invariant')
	})
})
