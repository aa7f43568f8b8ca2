/**
 * The six workloads of YCSB, A to F, as plain data, and the requests that they make.
 *
 * From "Benchmarking Cloud Serving Systems with YCSB" (Cooper et al., 2010) and the files `workloads/workload[a-f]` of its
 * source: shares of operations, and the distribution of keys. Records have a value of 1,000 bytes (10 fields of 100 there),
 * keys are `user` and a hash of the record's number.
 *
 * One thing differs: scans of E begin at records that were loaded, not at those that were inserted meanwhile.
 */
import type { Random } from '../src/host/random.ts'
import { fnvHash64, ScrambledZipfian, Zipfian } from './key-choosers.ts'

export type YcsbOperation = 'read' | 'update' | 'insert' | 'scan' | 'read-modify-write'

export interface YcsbWorkload {
	readonly name: string
	readonly summary: string
	/** They sum to 1. */
	readonly shares: Readonly<Partial<Record<YcsbOperation, number>>>
	readonly keys: 'zipfian' | 'latest' | 'uniform'
}

export const YCSB_WORKLOADS: readonly YcsbWorkload[] = [
	{ name: 'A', summary: 'half reads, half updates', shares: { read: 0.5, update: 0.5 }, keys: 'zipfian' },
	{ name: 'B', summary: '95 % reads, 5 % updates', shares: { read: 0.95, update: 0.05 }, keys: 'zipfian' },
	{ name: 'C', summary: 'reads', shares: { read: 1 }, keys: 'zipfian' },
	{ name: 'C uniform', summary: 'reads, all records alike', shares: { read: 1 }, keys: 'uniform' },
	{ name: 'D', summary: '95 % reads of the latest, 5 % inserts', shares: { read: 0.95, insert: 0.05 }, keys: 'latest' },
	{ name: 'E', summary: '95 % short scans, 5 % inserts', shares: { scan: 0.95, insert: 0.05 }, keys: 'zipfian' },
	{
		name: 'F',
		summary: 'half reads, half read-modify-writes',
		shares: { read: 0.5, 'read-modify-write': 0.5 },
		keys: 'zipfian',
	},
]

/** Rows of a scan, uniform from 1. */
export const SCAN_ROWS_MAX = 100

export function ycsbKey(record: number): string {
	return `user${fnvHash64(record)}`
}

export interface YcsbRequest {
	readonly operation: YcsbOperation
	/** Of 'latest' how far behind the newest record that is known to be there; of the others the record. An insert has 0. */
	readonly record: number
	/** Of a scan. */
	readonly rows: number
}

/** So many requests on a database of `records`, drawn before the clock runs. */
export function drawRequests(
	{ shares, keys }: YcsbWorkload,
	records: number,
	count: number,
	random: Random,
): YcsbRequest[] {
	const chooser = chooserOf(keys, records, random)
	const operations = Object.entries(shares) as [YcsbOperation, number][]
	return Array.from({ length: count }, () => {
		const operation = operationAt(operations, random.next())
		const rows = operation === 'scan' ? 1 + Math.floor(random.next() * SCAN_ROWS_MAX) : 0
		return { operation, record: operation === 'insert' ? 0 : chooser(), rows }
	})
}

function operationAt(shares: readonly (readonly [YcsbOperation, number])[], drawn: number): YcsbOperation {
	let sum = 0
	for (const [operation, share] of shares) {
		sum += share
		if (drawn < sum) return operation
	}
	// Only by rounding of the sum.
	return shares[0]?.[0] ?? 'read'
}

function chooserOf(keys: YcsbWorkload['keys'], records: number, random: Random): () => number {
	switch (keys) {
		case 'uniform':
			return () => Math.floor(random.next() * records)
		case 'zipfian': {
			const scrambled = new ScrambledZipfian(random, records)
			return () => scrambled.next()
		}
		case 'latest': {
			const behind = new Zipfian(random, records)
			return () => behind.next()
		}
	}
}
