/**
 * Records of the logs as judges read them, several of them the same: each is decoded once. Bytes in the virtual store are never changed, and
 * stand under one key only.
 */
import type { LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord, type LogRecord } from '../../src/log/record.ts'
import { type Commit, decodeCommit } from '../../src/manifest/commit.ts'

const records = new WeakMap<Uint8Array, LogRecord>()
const commits = new WeakMap<LogRecord, Commit>()

export function recordOf(bytes: Uint8Array, position: LogPosition, key: string): LogRecord {
	const known = records.get(bytes)
	if (known !== undefined) return known
	const record = decodeRecord(bytes, position, key)
	records.set(bytes, record)
	return record
}

export function commitOf(record: LogRecord, key: string): Commit {
	const known = commits.get(record)
	if (known !== undefined) return known
	const { commit } = decodeCommit(record, key)
	commits.set(record, commit)
	return commit
}
