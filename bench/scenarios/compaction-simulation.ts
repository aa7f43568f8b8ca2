/** What compaction costs at 100 GB and 1 TB, by simulation of its policies. */
import { maintenanceSettings } from '../../src/maintenance/options.ts'
import { CompactionSimulation, type SimulatedWorkload } from '../compaction-simulation.ts'
import type { Case, Figures, Scenario, Target, Task } from '../scenario.ts'

const TABLE = 'policies at size, simulated'
const GB = 1e9
const HOUR_MS = 3_600_000
/** A full memtable, with LZ4. */
const FLUSH_BYTES = 8e6
const ENTRY_BYTES = 60

const SIZES: Readonly<Record<string, number>> = { '100 GB': 100 * GB, '1 TB': 1000 * GB }
/** 100,000 of them. */
const TINY_COMMITS_BYTES = 30e6

function workloadOf(kind: string, bytes: number): SimulatedWorkload {
	const usual = { ingestBytes: bytes, flushBytes: FLUSH_BYTES, entryBytes: ENTRY_BYTES, isLoaded: false }
	// 12 hours for all of it.
	const flushEveryMs = (12 * HOUR_MS * FLUSH_BYTES) / bytes
	switch (kind) {
		case 'overwrite evenly':
			return { ...usual, keyCount: bytes / ENTRY_BYTES, isLoaded: true, flushEveryMs }
		case 'insert evenly':
			// As many keys as writes that find a free one: three times as many.
			return { ...usual, keyCount: (3 * bytes) / ENTRY_BYTES, flushEveryMs }
		default:
			return { ...usual, keyCount: 0, flushEveryMs }
	}
}

const KINDS = ['overwrite evenly', 'insert evenly', 'append', 'append, kept 2 h by hours']

function cases(): Case[] {
	const large = Object.keys(SIZES).flatMap(size => KINDS.map(kind => ({ size, kind })))
	const all = [...large, { size: '30 MB', kind: 'durable commits of 300 bytes' }]
	return all.map(({ size, kind }) => ({
		engine: 'isledb',
		label: `${size}, ${kind}`,
		table: TABLE,
		settings: { size, kind },
	}))
}

async function measure({ settings, progress }: Task): Promise<Figures> {
	const kind = String(settings['kind'])
	const isTiny = kind.startsWith('durable')
	const isKept = kind.includes('kept')
	const retention = isKept
		? { mode: 'time-window' as const, retentionPeriodMs: 2 * HOUR_MS, segmentDurationMs: HOUR_MS, retentionCount: 10 }
		: undefined
	const maintenance = maintenanceSettings({ retention })
	if (maintenance === undefined) throw new Error('maintenance is on by default')
	const bytes = SIZES[String(settings['size'])] ?? TINY_COMMITS_BYTES
	const workload = isTiny
		? {
				ingestBytes: bytes,
				flushBytes: 300,
				entryBytes: 100,
				keyCount: bytes / 100,
				isLoaded: false,
				flushEveryMs: 1,
			}
		: workloadOf(kind, bytes)
	return { ...new CompactionSimulation(maintenance, workload).run(progress) }
}

function targets(of: (engine: string, label: string) => Figures | undefined): Target[] {
	const most = (name: string, required: number, label: string, figure: string): Target => ({
		name,
		isAtLeast: false,
		required,
		actual: of('isledb', label)?.[figure],
		digits: 2,
	})
	return [
		most('1 TB, overwrite: write amplification', 12, '1 TB, overwrite evenly', 'writeAmplification'),
		most('1 TB, overwrite: space amplification', 1.6, '1 TB, overwrite evenly', 'spaceAmplification'),
		most('1 TB, append: write amplification', 2.1, '1 TB, append', 'writeAmplification'),
		most('PUTs for each tiny commit', 0.02, '30 MB, durable commits of 300 bytes', 'putsPerCommit'),
	]
}

export const scenario: Scenario = {
	name: 'compaction-simulation',
	summary: 'what the policies of compaction write at 100 GB and 1 TB, without the bytes',
	records: 1,
	repeat: 1,
	engines: ['isledb'],
	cases,
	measure,
	columns: {
		[TABLE]: [
			{ title: 'write amp', figure: 'writeAmplification', digits: 2 },
			{ title: 'space amp', figure: 'spaceAmplification', digits: 2 },
			{ title: 'runs max', figure: 'runsMax', digits: 0 },
			{ title: 'mean', figure: 'runsMean', digits: 1 },
			{ title: 'tables', figure: 'tablesMax', digits: 0 },
			{ title: 'largest merge GB', figure: 'mergeBytesMax', digits: 2, unit: GB },
			{ title: 'PUTs/GB', figure: 'putsPerGb', digits: 0 },
			{ title: 'GETs/GB', figure: 'getsPerGb', digits: 0 },
			{ title: 'merges', figure: 'merges', digits: 0 },
		],
	},
	targets,
	notes: [
		'Flushes are 8 MB as stored (16 MiB memtables, LZ4) and count once; settings are the defaults. Overwrites begin on a full',
		'database and replace as much as it holds. Merges take no time here: while a real one runs for hours, runs pile up beside it.',
	],
}
