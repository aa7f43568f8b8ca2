/** Log records, and the commits and edits that are their bodies. */
import { crc32 } from '../../src/bytes/crc32.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord, encodeRecord, type LogRecord } from '../../src/log/record.ts'
import { type CommitBody, decodeCommit, encodeCommitBody, type LoadedCommit } from '../../src/manifest/commit.ts'
import type { EditRecord } from '../../src/manifest/edit.ts'
import { decodeEditRecord, encodeEdits } from '../../src/manifest/edit-codec.ts'
import { GOLDEN_RECORDS } from '../log/golden-records.ts'
import { GOLDEN_COMMITS, GOLDEN_EDITS, GOLDEN_SECTIONS } from '../manifest/golden-manifests.ts'
import { codecFormat, expectThat, type Format, putU32, u32At, WHERE } from './format.ts'
import { joined } from './mutation.ts'

const PREAMBLE_BYTES = 16
const AT: LogPosition = { epoch: 3, slot: 41 }
const owner: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => 0x10 + i)
const nonce: Uint8Array = Uint8Array.from({ length: 8 }, (_, i) => 0x40 + i)

/** Makes the length of the header fit where it does not, and the CRC of it right. */
function sealRecord(bytes: Uint8Array): void {
	if (bytes.length < PREAMBLE_BYTES) return
	if (u32At(bytes, 8) > bytes.length - PREAMBLE_BYTES) putU32(bytes, 8, bytes.length - PREAMBLE_BYTES)
	const header = bytes.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + u32At(bytes, 8))
	putU32(bytes, 12, crc32(header, crc32(bytes.subarray(0, 12))))
}

/** Bytes of the sections are covered by checksums of their own. */
const coveredByRecord = (bytes: Uint8Array): number => PREAMBLE_BYTES + u32At(bytes, 8)

function recordOf(body: Uint8Array, sections: readonly Uint8Array[], position: LogPosition = AT): Uint8Array {
	return joined(...encodeRecord({ kind: 'commit', position, owner, nonce, settledSlots: 7, body, sections }).pieces)
}

/** The record around a body is a part of the sample: what is fuzzed is read as the engine reads it. */
interface Framed<Body> {
	readonly record: LogRecord
	readonly body: Body
}

function framed<Body>(decodeBody: (record: LogRecord) => Body): (bytes: Uint8Array) => Framed<Body> {
	return bytes => {
		const record = decodeRecord(bytes, AT, WHERE)
		return { record, body: decodeBody(record) }
	}
}

function reframed({ record }: Framed<unknown>, body: Uint8Array): Uint8Array {
	const sections = record.sections.map(section => section.bytes)
	return joined(...encodeRecord({ ...record, body, sections }).pieces)
}

function commitBodyOf({ commit, inlineTables }: LoadedCommit, { sections }: LogRecord): CommitBody {
	return {
		...commit,
		tables: commit.tables.map(({ id, objectKey, offset, meta }) => {
			const section = sections.findIndex(candidate => inlineTables.has(id) && candidate.offset === offset)
			return { id, meta, place: section < 0 ? { kind: 'object', objectKey } : { kind: 'inline', section } }
		}),
	}
}

function checkCommit({ commit, inlineTables }: LoadedCommit): void {
	let next = commit.firstSeq
	for (const { id, meta } of commit.tables) {
		expectThat(meta.minSeq === next && meta.maxSeq >= meta.minSeq, 'sequence numbers of a commit have a gap')
		next = meta.maxSeq + 1
		const bytes = inlineTables.get(id)
		expectThat(bytes === undefined || bytes.length === meta.storedBytes, 'a table of another size than it says')
	}
	expectThat(commit.lastSeq === next - 1, 'a commit that does not end with its tables')
}

export const logFormats: readonly Format[] = [
	...Object.entries(GOLDEN_RECORDS).map(([name, content]) =>
		codecFormat<LogRecord>({
			name: `record-${name}`,
			samples: [joined(...encodeRecord(content).pieces)],
			seal: sealRecord,
			covered: coveredByRecord,
			isPlain: true,
			decode: bytes => decodeRecord(bytes, content.position, WHERE),
			encode: record =>
				joined(...encodeRecord({ ...record, sections: record.sections.map(section => section.bytes) }).pieces),
		}),
	),
	codecFormat<Framed<LoadedCommit>>({
		name: 'commit',
		samples: Object.entries(GOLDEN_COMMITS).map(([name, body]) =>
			recordOf(encodeCommitBody(body), GOLDEN_SECTIONS[name] ?? []),
		),
		seal: sealRecord,
		covered: coveredByRecord,
		isPlain: true,
		decode: framed(record => decodeCommit(record, WHERE)),
		encode: value => reframed(value, encodeCommitBody(commitBodyOf(value.body, value.record))),
		check: ({ body }) => checkCommit(body),
	}),
	codecFormat<Framed<EditRecord>>({
		name: 'edits',
		samples: Object.values(GOLDEN_EDITS).map(record => recordOf(encodeEdits(record), [])),
		seal: sealRecord,
		isPlain: true,
		decode: framed(record => decodeEditRecord(record, WHERE)),
		encode: value => reframed(value, encodeEdits(value.body)),
	}),
]
