/** What was written to a database whose past is read: every point at which it can be asked for, and what must be seen there. */
import { expect } from 'vitest'
import { type Database, type DatabaseReader, isIsleError, type Snapshot } from '../../src/index.ts'
import type { Maintained } from './maintained.ts'

export const RETENTION_MS = 3_600_000

interface Written {
	readonly key: string
	readonly value: string | undefined
	readonly expiresAtMs: number
	readonly committedAtMs: number
}

/** What was written, and where each state can be asked for. */
export class PastHistory {
	readonly written: Written[] = []
	readonly points: { readonly point: string; readonly seq: number; readonly nowMs: number }[] = []

	/** Rows at `seq` as seen at `nowMs`. */
	rowsAt(seq: number, nowMs: number): Map<string, Written> {
		const newest = new Map<string, Written>()
		for (const written of this.written.slice(0, seq)) newest.set(written.key, written)
		const live = [...newest].filter(
			([, { value, expiresAtMs }]) => value !== undefined && (expiresAtMs === 0 || expiresAtMs > nowMs),
		)
		return new Map(live.sort(([a], [b]) => (a < b ? -1 : 1)))
	}
}

async function rowsOf(snapshot: Snapshot<string, string>): Promise<[string, string][]> {
	const rows: [string, string][] = []
	for await (const row of snapshot.entries()) rows.push(row)
	return rows
}

/** Writes one batch, and notes its position, the cursor of each of its changes, and its time. */
export async function commit(
	maintained: Maintained,
	db: Database,
	history: PastHistory,
	changes: readonly { readonly key: string; readonly value: string | undefined; readonly ttlMs?: number | undefined }[],
): Promise<void> {
	const { clock } = maintained.rig.host
	const batch = db.batch()
	for (const { key, value, ttlMs } of changes) {
		if (value === undefined) batch.delete(key)
		else batch.put(key, value, { ttlMs })
	}
	const nowMs = clock.nowMs()
	await db.write(batch)
	const position = await db.flush()
	for (const { key, value, ttlMs } of changes) {
		const expiresAtMs = ttlMs === undefined ? 0 : nowMs + ttlMs
		history.written.push({ key, value, expiresAtMs, committedAtMs: nowMs })
	}
	const seq = history.written.length
	history.points.push({ point: position, seq, nowMs })
	await using reader = await maintained.openReader()
	for await (const found of reader.changes({ from: { timeMs: nowMs } })) {
		for (const change of found) history.points.push({ point: change.cursor, seq: change.seq, nowMs })
		break
	}
}

/** Judges every point that was kept; answers how many were read and how many had expired. */
export async function judge(
	history: PastHistory,
	past: Pick<DatabaseReader, 'at'>,
	nowMs: number,
): Promise<{ read: number; expired: number }> {
	let [read, expired] = [0, 0]
	for (const { point, seq, nowMs: atMs } of history.points) {
		let snapshot: Snapshot<string, string>
		try {
			snapshot = await past.at(point)
			const found = new Map(await rowsOf(snapshot))
			const expected = history.rowsAt(seq, atMs)
			for (const [key, value] of found) expect([key, value]).toEqual([key, expected.get(key)?.value])
			for (const [key, { expiresAtMs }] of expected) {
				// What retention has given up is read from the newest state, where what has expired since may be missing.
				const isGivenUp = nowMs - atMs >= RETENTION_MS && expiresAtMs > 0 && expiresAtMs <= nowMs
				if (!found.has(key)) expect(isGivenUp, `${key} at ${seq}`).toBe(true)
			}
			await snapshot.close()
			read++
		} catch (error) {
			if (!isIsleError(error, 'ISLE_EXPIRED')) throw error
			expect(nowMs - atMs, 'expired within retention').toBeGreaterThanOrEqual(RETENTION_MS)
			expired++
		}
	}
	return { read, expired }
}
