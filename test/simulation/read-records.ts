/**
 * Records of the logs of one history as judges read them, several of them the same: each is decoded once. Bytes in the virtual store are
 * never changed, and stand under one key only.
 */
import type { LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord, type LogRecord } from '../../src/log/record.ts'
import { type Commit, decodeCommit } from '../../src/manifest/commit.ts'

export class ReadRecords {
	readonly #records = new Map<Uint8Array, LogRecord>()
	readonly #commits = new Map<LogRecord, Commit>()

	record(bytes: Uint8Array, position: LogPosition, key: string): LogRecord {
		const known = this.#records.get(bytes)
		if (known !== undefined) return known
		const record = decodeRecord(bytes, position, key)
		this.#records.set(bytes, record)
		return record
	}

	commit(record: LogRecord, key: string): Commit {
		const known = this.#commits.get(record)
		if (known !== undefined) return known
		const { commit } = decodeCommit(record, key)
		this.#commits.set(record, commit)
		return commit
	}
}
