/**
 * Checkpoints: the whole manifest at one position of each log, so that opening need not read the logs from their start.
 *
 * The name holds both positions, the maintenance log's first: `checkpoints/<epoch>-<slot>_<epoch>-<slot>`, 16 digits
 * each. Maintainers write them, one owner after another, so that the maintenance position orders them rightly even when
 * a fenced maintainer's last checkpoint arrives late (`docs/fenced-log.md`).
 *
 *     offset  size  field
 *     0       4     magic `ISLC`
 *     4       2     format version
 *     6       2     reserved, 0
 *     8       4     CRC-32 of bytes 0–7 and of the body
 *     12      …     body: writer position (epoch, slot), maintenance position (epoch, slot), last sequence number,
 *                   last commit time (varints); L0: count, TableRefs; runs: count, each id (string), count, TableRefs;
 *                   blob packs: count, BlobPackRefs; change floor (position); marks: count, CommitMarks; pending merges:
 *                   count, PendingMerges; removed: count, RemovedObjects; announced checkpoint (optional
 *                   CheckpointPositions); swept writer epoch, swept maintenance epoch (varints); maintainer (optional
 *                   MaintainerNote)
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, IsleError } from '../errors.ts'
import type { Clock } from '../host/clock.ts'
import { comparePositions, type LogPosition } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import type { CheckpointPositions, Manifest, SortedRun } from './manifest.ts'
import { readByPages } from './paged-read.ts'
import { sumsInSteps } from './run-parts.ts'
import {
	readCheckpointPositions,
	readMaintainerNote,
	readMark,
	readOptional,
	readPendingMerge,
	readPosition,
	readRemovedObject,
	writeCheckpointPositions,
	writeMaintainerNote,
	writeMark,
	writeOptional,
	writePendingMerge,
	writePosition,
	writeRemovedObject,
} from './state-codec.ts'
import { TableIndex } from './table-index.ts'
import {
	readBlobPackRef,
	readCount,
	readId,
	readList,
	readListInSteps,
	readPackedTable,
	readTableRef,
	writeBlobPackRef,
	writeList,
	writeTableRef,
} from './table-ref-codec.ts'

const MAGIC = 0x434c_5349 // 'ISLC', read as a little-endian u32. Persisted: never renumber.
/** Persisted. A reader refuses what is newer. */
const CHECKPOINT_FORMAT_VERSION = 1
const PREAMBLE_BYTES = 12
/** Of a large checkpoint, at once: half a millisecond. */
const CRC_STEP_BYTES = 2_097_152
const FOLDER = 'checkpoints/'
const NAME = /^checkpoints\/(\d{16})-(\d{16})_(\d{16})-(\d{16})$/
const LIST_PAGE_MAX = 1000

export interface CheckpointName extends CheckpointPositions {
	readonly key: string
}

/** A manifest will do: it has both positions. */
export function checkpointKey(positions: CheckpointPositions): string {
	return `${FOLDER}${positionName(positions.maintenancePosition)}_${positionName(positions.writerPosition)}`
}

/** Throws `ISLE_CORRUPT` for a name in the folder that is no checkpoint's. */
export function parseCheckpointKey(key: string): CheckpointName {
	const match = NAME.exec(key)
	if (match === null) throw corrupt(key, 'not the name of a checkpoint:')
	const numbers = match.slice(1).map(Number)
	if (!numbers.every(Number.isSafeInteger)) throw corrupt(key, 'a number beyond 2^53 in the name of a checkpoint:')
	const [maintenanceEpoch, maintenanceSlot, writerEpoch, writerSlot] = numbers
	return {
		key,
		maintenancePosition: { epoch: maintenanceEpoch ?? 0, slot: maintenanceSlot ?? 0 },
		writerPosition: { epoch: writerEpoch ?? 0, slot: writerSlot ?? 0 },
	}
}

/** The newest by maintenance position, then by writer position; `undefined` when there is none. One LIST a page. */
export async function newestCheckpoint(
	store: ObjectStore,
	options: RequestOptions = {},
): Promise<ListedCheckpoint | undefined> {
	return (await listCheckpoints(store, options)).at(-1)
}

export interface ListedCheckpoint extends CheckpointName {
	readonly bytes: number
	/** By the store's clock: what it holds was done before. */
	readonly lastModifiedMs: number
}

/** All that are on the store, the oldest first. One LIST a page of a thousand. */
export async function listCheckpoints(store: ObjectStore, options: RequestOptions = {}): Promise<ListedCheckpoint[]> {
	const names: ListedCheckpoint[] = []
	for (let startAfter: string | undefined; ; ) {
		const page = await store.list({ ...options, prefix: FOLDER, startAfter, limit: LIST_PAGE_MAX })
		// Names are of fixed width: byte order is the order of positions.
		for (const { key, bytes, lastModifiedMs } of page.objects) {
			names.push({ ...parseCheckpointKey(key), bytes, lastModifiedMs })
		}
		startAfter = page.objects.at(-1)?.key
		if (!page.isTruncated || startAfter === undefined) return names
	}
}

/**
 * Reads the checkpoint that `name` names; `undefined` when it was deleted, because a newer one exists. One GET up to 8 MiB, then
 * one for each 4 MiB. With a `clock` a large one is decoded in slices.
 */
export async function readCheckpoint(
	store: ObjectStore,
	name: CheckpointName & Pick<ListedCheckpoint, 'bytes'>,
	options: RequestOptions & Pick<SliceOptions, 'clock'> = {},
): Promise<Manifest | undefined> {
	const { clock, ...request } = options
	const bytes = await readByPages(store, name.key, name.bytes, request)
	if (bytes === undefined) return undefined
	const manifest = await decodeInSlices(bytes, name.key, { clock, signal: options.signal })
	const isNamed =
		comparePositions(manifest.writerPosition, name.writerPosition) === 0 &&
		comparePositions(manifest.maintenancePosition, name.maintenancePosition) === 0
	if (!isNamed) throw corrupt(name.key, 'a checkpoint of other positions')
	return manifest
}

export function encodeCheckpoint(manifest: Manifest): Uint8Array {
	const writer = new ByteWriter()
	writePosition(writer, manifest.writerPosition)
	writePosition(writer, manifest.maintenancePosition)
	writer.varint(manifest.lastSeq)
	writer.varint(manifest.lastCommitMs)
	writeList(writer, manifest.l0, table => writeTableRef(writer, table))
	writeList(writer, manifest.runs, run => {
		writer.string(run.id)
		writeList(writer, run.tables, table => writeTableRef(writer, table))
	})
	writeList(writer, manifest.blobPacks, pack => writeBlobPackRef(writer, pack))
	writePosition(writer, manifest.changeFloor)
	writeList(writer, manifest.marks, mark => writeMark(writer, mark))
	writeList(writer, manifest.pendingMerges, merge => writePendingMerge(writer, merge))
	writeList(writer, manifest.removed, removed => writeRemovedObject(writer, removed))
	writeOptional(writer, manifest.announced, announced => writeCheckpointPositions(writer, announced))
	writer.varint(manifest.sweptWriterEpoch)
	writer.varint(manifest.sweptMaintenanceEpoch)
	writePosition(writer, manifest.droppedAt)
	writeOptional(writer, manifest.maintainer, note => writeMaintainerNote(writer, note))
	const body = writer.finish()
	const bytes = new Uint8Array(PREAMBLE_BYTES + body.length)
	const view = new DataView(bytes.buffer)
	view.setUint32(0, MAGIC, true)
	view.setUint16(4, CHECKPOINT_FORMAT_VERSION, true)
	view.setUint32(8, crc32(body, crc32(bytes.subarray(0, 8))), true)
	bytes.set(body, PREAMBLE_BYTES)
	return bytes
}

/** An empty or truncated checkpoint is damage, never an empty database. */
export function decodeCheckpoint(bytes: Uint8Array, where: string): Manifest {
	const steps = decodeSteps(bytes, where)
	for (;;) {
		const step = steps.next()
		if (step.done === true) return step.value
	}
}

interface SliceOptions {
	/** Other events happen between slices. Default: one slice. */
	readonly clock?: Clock | undefined
	readonly signal?: AbortSignal | undefined
}

/** The same, about a millisecond at a time: a checkpoint of 100,000 tables takes 70. */
async function decodeInSlices(bytes: Uint8Array, where: string, { clock, signal }: SliceOptions): Promise<Manifest> {
	if (clock === undefined) return decodeCheckpoint(bytes, where)
	const steps = decodeSteps(bytes, where)
	for (;;) {
		const step = steps.next()
		if (step.done === true) return step.value
		await clock.yieldToIo()
		signal?.throwIfAborted()
	}
}

function* decodeSteps(bytes: Uint8Array, where: string): Generator<void, Manifest, void> {
	const body = yield* checkedBody(bytes, where)
	const reader = new ByteReader(body, where)
	const writerPosition = readPosition(reader)
	const maintenancePosition = readPosition(reader)
	const lastSeq = reader.varint()
	const lastCommitMs = reader.varint()
	const l0 = yield* readListInSteps(reader, where, () => readTableRef(reader, where))
	const runs: SortedRun[] = []
	for (const count = readCount(reader, where); runs.length < count; ) {
		const id = readId(reader)
		const run = { id, tables: yield* readListInSteps(reader, where, () => readPackedTable(reader, body, where)) }
		runs.push(run)
	}
	// What the first read and the first edit ask for: they would look at every table in one turn.
	for (const run of runs) yield* sumsInSteps(run)
	yield* TableIndex.inSteps(runs)
	const manifest: Manifest = {
		writerPosition,
		maintenancePosition,
		lastSeq,
		lastCommitMs,
		l0,
		runs,
		blobPacks: yield* readListInSteps(reader, where, () => readBlobPackRef(reader)),
		changeFloor: readPosition(reader),
		marks: yield* readListInSteps(reader, where, () => readMark(reader)),
		pendingMerges: readList(reader, where, () => readPendingMerge(reader, where)),
		removed: yield* readListInSteps(reader, where, () => readRemovedObject(reader)),
		announced: readOptional(reader, where, () => readCheckpointPositions(reader)),
		sweptWriterEpoch: reader.varint(),
		sweptMaintenanceEpoch: reader.varint(),
		droppedAt: readPosition(reader),
		maintainer: readOptional(reader, where, () => readMaintainerNote(reader, where)),
	}
	reader.expectEnd()
	return manifest
}

function* checkedBody(bytes: Uint8Array, where: string): Generator<void, Uint8Array, void> {
	const preamble = new ByteReader(bytes, where)
	if (preamble.u32() !== MAGIC) throw corrupt(where, 'not a checkpoint: wrong magic')
	const version = preamble.u16()
	if (version > CHECKPOINT_FORMAT_VERSION) {
		throw new IsleError(
			'ISLE_UNSUPPORTED',
			`checkpoint format ${version} is newer than this release reads: key=\`${where}\``,
		)
	}
	if (version === 0 || preamble.u16() !== 0) throw corrupt(where, 'a checkpoint whose preamble makes no sense')
	const storedCrc = preamble.u32()
	const body = bytes.subarray(PREAMBLE_BYTES)
	let crc = crc32(bytes.subarray(0, 8))
	for (let from = 0; from < body.length; from += CRC_STEP_BYTES) {
		if (from > 0) yield
		crc = crc32(body.subarray(from, from + CRC_STEP_BYTES), crc)
	}
	if (crc !== storedCrc) throw corrupt(where, 'checkpoint checksum mismatch')
	return body
}

function positionName(position: LogPosition): string {
	return `${String(position.epoch).padStart(16, '0')}-${String(position.slot).padStart(16, '0')}`
}
