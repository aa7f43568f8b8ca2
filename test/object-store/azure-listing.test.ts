/** Pages of the contract out of listings as Azure may answer them, against a sorted array. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AzureListPage, type AzureListRequest, listAzure } from '../../src/object-store/azure-listing.ts'
import { compareKeys } from '../../src/object-store/object-key.ts'

interface Service {
	readonly keys: readonly string[]
	/** The order that it keeps. */
	readonly order: 'utf8' | 'utf16'
	/** Versions before 2026-02-06 do not know where to begin. */
	readonly knowsStartFrom: boolean
	/** It may answer fewer than asked for, even none, with more to follow. */
	readonly pageBytes: readonly number[]
}

function byUnits(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0
}

/** One listing of a service: its pages, and how many were asked for. */
function serviceOf({ keys, order, knowsStartFrom, pageBytes }: Service): {
	fetch: (request: AzureListRequest) => Promise<AzureListPage>
	asked: AzureListRequest[]
} {
	const compare = order === 'utf8' ? compareKeys : byUnits
	const asked: AzureListRequest[] = []
	return {
		asked,
		async fetch(request) {
			asked.push(request)
			const { prefix, startFrom, maxPageSize, marker } = request
			const all = [...keys]
				.sort(compare)
				.filter(key => key.startsWith(prefix))
				.filter(key => startFrom === undefined || !knowsStartFrom || compare(key, startFrom) >= 0)
			const from = Number(marker ?? 0)
			const count = Math.min(maxPageSize, pageBytes[asked.length % (pageBytes.length || 1)] ?? maxPageSize)
			const objects = all.slice(from, from + count).map(key => ({ key, bytes: 1, lastModifiedMs: 0 }))
			return { objects, marker: from + count < all.length ? String(from + count) : undefined }
		},
	}
}

const unit = fc.constantFrom('a', 'b', '/', '\ud7ff', '\ufffd', '\uff21', '\u{10000}', '\u{1f600}')
const key = fc.array(unit, { minLength: 1, maxLength: 4 }).map(units => units.join(''))
const service = fc.record<Service>({
	keys: fc.uniqueArray(key, { maxLength: 40 }),
	order: fc.constantFrom('utf8', 'utf16'),
	knowsStartFrom: fc.boolean(),
	pageBytes: fc.oneof(
		fc.constant([]),
		fc
			.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 4 })
			.filter(sizes => sizes.some(size => size > 0)),
	),
})

describe('listAzure', () => {
	test('gives the pages of a sorted array, whatever the order, the start and the pages of the service', async () => {
		const prefix = fc.oneof(fc.constant(''), key)
		const startAfter = fc.oneof(fc.constant(''), key)
		await fc.assert(
			fc.asyncProperty(
				service,
				prefix,
				startAfter,
				fc.integer({ min: 1, max: 8 }),
				async (answers, under, after, limit) => {
					const expected = answers.keys
						.filter(each => each.startsWith(under) && compareKeys(each, after) > 0)
						.sort(compareKeys)
					const { fetch } = serviceOf(answers)
					const page = await listAzure({ prefix: under, startAfter: after, limit }, fetch)
					expect(page.objects.map(object => object.key)).toEqual(expected.slice(0, limit))
					expect(page.isTruncated).toBe(expected.length > limit)
				},
			),
			{ numRuns: 2000 },
		)
	})

	test('asks once for a page of plain keys, wherever it begins', async () => {
		const keys = Array.from({ length: 5000 }, (_, i) => `log/${String(i).padStart(5, '0')}`)
		for (const startAfter of ['', 'log/00000', 'log/03000x', 'log/04998']) {
			const { fetch, asked } = serviceOf({ keys, order: 'utf16', knowsStartFrom: true, pageBytes: [] })
			await listAzure({ prefix: 'log/', startAfter, limit: 1000 }, fetch)
			expect(asked).toHaveLength(1)
		}
	})

	test('asks once more for every 5000 keys that are skipped where the service does not know the start', async () => {
		const keys = Array.from({ length: 20_000 }, (_, i) => `log/${String(i).padStart(5, '0')}`)
		const { fetch, asked } = serviceOf({ keys, order: 'utf8', knowsStartFrom: false, pageBytes: [] })
		const page = await listAzure({ prefix: 'log/', startAfter: 'log/14999', limit: 100 }, fetch)
		expect(page.objects[0]?.key).toBe('log/15000')
		expect(asked).toHaveLength(1 + Math.ceil((15_101 - 102) / 5000))
	})

	test('asks nothing when no key can follow', async () => {
		const { fetch, asked } = serviceOf({ keys: ['a', 'b'], order: 'utf8', knowsStartFrom: true, pageBytes: [] })
		expect(await listAzure({ prefix: 'a', startAfter: 'b', limit: 1 }, fetch)).toEqual({
			objects: [],
			isTruncated: false,
		})
		expect(asked).toEqual([])
	})
})
