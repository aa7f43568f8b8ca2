/** Manifests of a few tables, and what a policy chooses for them in short. */
import { type MaintenanceSettings, maintenanceSettings, type RetentionSettings } from '../../src/maintenance/options.ts'
import { choose } from '../../src/maintenance/policy.ts'
import type { PolicyContext } from '../../src/maintenance/policy-scene.ts'
import { EMPTY_MANIFEST } from '../../src/manifest/fold.ts'
import type { Manifest, TableRef } from '../../src/manifest/manifest.ts'
import type { SstMeta } from '../../src/sst/sst-meta.ts'
import { tableOf } from '../support/manifest-arbitraries.ts'

export const MIB = 1_048_576
export const NOW_MS = 1_700_000_000_000
export const HOUR_MS = 3_600_000

export function defaults(retention?: RetentionSettings): MaintenanceSettings {
	const settings = maintenanceSettings({})
	if (settings === undefined) throw new Error('maintenance is on by default')
	return { ...settings, retention }
}

/** Table `seq` of a database: it has this sequence number alone, and all keys unless told otherwise. */
export function table(seq: number, meta: Partial<SstMeta> = {}, keys: readonly [number, number] = [0, 255]): TableRef {
	const plain = tableOf(`t${seq}`, seq, seq)
	const own = {
		storedBytes: 8 * MIB,
		entryCount: 100_000,
		tombstoneCount: 0,
		maxExpiresAtMs: 0,
		halfExpiresAtMs: meta.maxExpiresAtMs ?? 0,
		minWriteMs: NOW_MS,
		maxWriteMs: NOW_MS,
		smallestKey: Uint8Array.of(keys[0]),
		largestKey: Uint8Array.of(keys[1]),
	}
	return { ...plain, meta: { ...plain.meta, ...own, ...meta } }
}

/** `runs` newest first. Sequence numbers are the caller's business. */
export function manifestOf(l0: readonly TableRef[], runs: readonly (readonly TableRef[])[] = []): Manifest {
	return { ...EMPTY_MANIFEST, l0, runs: runs.map((tables, i) => ({ id: `run${i}`, tables })) }
}

export function l0Of(count: number, meta: Partial<SstMeta> = {}): TableRef[] {
	return Array.from({ length: count }, (_, i) => table(1000 + i, meta))
}

export function pick(
	manifest: Manifest,
	context: Partial<PolicyContext> = {},
	settings: MaintenanceSettings = defaults(),
	nowMs: number = NOW_MS,
): unknown {
	const choice = choose(manifest, nowMs, settings, { busy: new Set(), quarantined: new Set(), ...context })
	if (choice === undefined) return undefined
	const tables = choice.kind === 'merge' ? choice.inputs : choice.kind === 'abandon' ? [] : choice.tables
	const runId = 'runId' in choice ? choice.runId : undefined
	const trigger = choice.kind === 'merge' ? choice.trigger : undefined
	return { kind: choice.kind, trigger, runId, ids: tables.map(({ id }) => id) }
}
