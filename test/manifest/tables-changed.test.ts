import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCheckpoint, encodeCheckpoint } from '../../src/manifest/checkpoint.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import { tablesChanged } from '../../src/manifest/tables-changed.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

/** Where each of twenty tables stands: nowhere, in L0, or in one of three runs, in each of them in the order of their names. */
const placements = fc.array(fc.constantFrom('none', 'l0', 'a', 'b', 'c'), { minLength: 20, maxLength: 20 })
const tables = Array.from({ length: 20 }, (_, i) => tableOf(`k${String(i).padStart(2, '0')}`, i * 10 + 1, i * 10 + 9))

function manifestOf(places: readonly string[]): Manifest {
	const at = (place: string): TableRef[] => tables.filter((_, i) => places[i] === place)
	const runs = ['a', 'b', 'c'].map(id => ({ id, tables: at(id) })).filter(run => run.tables.length > 0)
	return { ...EMPTY_MANIFEST, l0: at('l0'), runs }
}

const idsOf = ({ l0, runs }: Manifest): string[] => [...l0, ...runs.flatMap(run => run.tables)].map(({ id }) => id)
const readAnew = (manifest: Manifest): Manifest => decodeCheckpoint(encodeCheckpoint(manifest), 'test')

test('what is gone and what has come is found, whether states share their objects or not, and wherever tables have moved', () => {
	fc.assert(
		fc.property(placements, placements, fc.boolean(), (before, after, isAnew) => {
			const old = manifestOf(before)
			const now = isAnew ? readAnew(manifestOf(after)) : manifestOf(after)
			const { gone, come } = tablesChanged(old, now)
			const [oldIds, nowIds] = [idsOf(old), idsOf(now)]
			expect(gone.map(({ id }) => id).sort()).toEqual(oldIds.filter(id => !nowIds.includes(id)).sort())
			expect(come.map(({ id }) => id).sort()).toEqual(nowIds.filter(id => !oldIds.includes(id)).sort())
		}),
	)
})
