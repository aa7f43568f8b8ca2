/**
 * Which blob packs are rewritten: those of which less than half is still referred to. A pack that nothing refers to goes by
 * itself, when the edit that took its last use away is folded.
 *
 * Rewriting moves the live values and rewrites every table that refers to them, so it must free at least half of what it
 * writes; the emptiest packs come first, and a round stays small.
 */
import type { BlobPackRef, TableRef } from '../manifest/manifest.ts'
import { bytesOf } from '../manifest/run-parts.ts'
import type { RewritePacksChoice } from './choice.ts'
import { isUsable, type Scene } from './policy-scene.ts'

/** Part of a pack that is live, below which it is worth rewriting. */
const SPARSE_FRACTION = 0.5
/** Of live values in a round, unless one pack alone has more. */
const ROUND_LIVE_BYTES = 128 * 1_048_576
/** Of tables in a round. */
const ROUND_TABLES_MAX = 64
const FREED_FRACTION_MIN = 0.5

interface SparsePack {
	readonly pack: BlobPackRef
	readonly liveBytes: number
	readonly tables: readonly TableRef[]
}

export function choosePacks(scene: Scene): RewritePacksChoice | undefined {
	if (scene.manifest.blobPacks.length === 0) return undefined
	const sparse = sparsePacks(scene)
	const packs: BlobPackRef[] = []
	const tables = new Set<TableRef>()
	let [liveBytes, packBytes] = [0, 0]
	for (const next of sparse) {
		const grown = new Set([...tables, ...next.tables])
		const isFull = liveBytes + next.liveBytes > ROUND_LIVE_BYTES || grown.size > ROUND_TABLES_MAX
		if (packs.length > 0 && isFull) break
		packs.push(next.pack)
		for (const table of next.tables) tables.add(table)
		liveBytes += next.liveBytes
		packBytes += next.pack.bytes
	}
	const writtenBytes = liveBytes + bytesOf([...tables])
	if (packs.length === 0 || packBytes - liveBytes < FREED_FRACTION_MIN * writtenBytes) return undefined
	const why = `packs are mostly dead: packs=${packs.length} bytes=${packBytes} live=${liveBytes}`
	return { kind: 'rewrite-packs', packs, tables: [...tables], liveBytes, why }
}

/** Packs that are sparse and whose tables may all be rewritten, the emptiest first. */
function sparsePacks(scene: Scene): SparsePack[] {
	const { l0, runs, blobPacks } = scene.manifest
	const uses = new Map<string, { bytes: number; readonly tables: TableRef[] }>()
	const count = (table: TableRef): void => {
		for (const { packId, bytes } of table.meta.blobUses) {
			const use = uses.get(packId) ?? { bytes: 0, tables: [] }
			use.bytes += bytes
			use.tables.push(table)
			uses.set(packId, use)
		}
	}
	l0.forEach(count)
	for (const run of runs) run.tables.forEach(count)
	const sparse: SparsePack[] = []
	for (const pack of blobPacks) {
		const use = uses.get(pack.id)
		if (use === undefined || use.bytes >= SPARSE_FRACTION * pack.bytes) continue
		if (scene.quarantined.has(pack.objectKey)) continue
		if (use.tables.every(table => isUsable(scene, table))) {
			sparse.push({ pack, liveBytes: use.bytes, tables: use.tables })
		}
	}
	return sparse.sort((a, b) => a.liveBytes / a.pack.bytes - b.liveBytes / b.pack.bytes)
}
