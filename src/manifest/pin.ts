/**
 * Pins: durable snapshots. A pin is an object `pins/<id>` that holds a state; no object of that state is deleted while the
 * pin is there and has not expired.
 *
 *     offset  size  field
 *     0       4     magic `ISLP`
 *     4       2     format version
 *     6       2     reserved, 0
 *     8       4     CRC-32 of bytes 0–7 and of the body
 *     12      …     body: name (string), created, expires (varints, milliseconds; expires 0: never), checkpoint (length-prefixed)
 *
 * Why it is safe: a pin counts only if, after it was written, none of its objects is found removed; the collector lists the
 * pins after the removal of an object is committed and before it deletes it. So either the collector sees the pin, or whoever
 * made the pin sees the removal. A pin is never changed: renewing writes a new object, then deletes the old one.
 */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { crc32 } from '../bytes/crc32.ts'
import { corrupt, IsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
import { EMPTY_MANIFEST } from './fold.ts'
import type { Manifest } from './manifest.ts'

const MAGIC = 0x504c_5349 // 'ISLP', read as a little-endian u32. Persisted: never renumber.
/** Persisted. A reader refuses what is newer. */
const PIN_FORMAT_VERSION = 1
const PREAMBLE_BYTES = 12
const FOLDER = 'pins/'
const ID_BYTES = 16
export const PIN_NAME_MAX_BYTES = 256
const CHECKPOINT_MAX_BYTES = 1_073_741_824

export interface Pin {
	/** Chosen by the user; several pins may have one name. */
	readonly name: string
	/** By the clock of whoever made it. */
	readonly createdMs: number
	/** By wall clocks; 0: never. */
	readonly expiresMs: number
	/** The state: its tables, packs and positions; nothing of what maintenance had under way. */
	readonly manifest: Manifest
}

export interface StoredPin extends Pin {
	readonly key: string
}

/** What a pin keeps of a state. */
export function pinnedState(manifest: Manifest): Manifest {
	const { writerPosition, maintenancePosition, lastSeq, lastCommitMs, l0, runs, blobPacks } = manifest
	return { ...EMPTY_MANIFEST, writerPosition, maintenancePosition, lastSeq, lastCommitMs, l0, runs, blobPacks }
}

export function encodePin(pin: Pin): Uint8Array {
	const writer = new ByteWriter()
	writer.string(pin.name)
	writer.varint(pin.createdMs)
	writer.varint(pin.expiresMs)
	writer.lengthPrefixed(encodeCheckpoint(pinnedState(pin.manifest)))
	const body = writer.finish()
	const bytes = new Uint8Array(PREAMBLE_BYTES + body.length)
	const view = new DataView(bytes.buffer)
	view.setUint32(0, MAGIC, true)
	view.setUint16(4, PIN_FORMAT_VERSION, true)
	view.setUint32(8, crc32(body, crc32(bytes.subarray(0, 8))), true)
	bytes.set(body, PREAMBLE_BYTES)
	return bytes
}

/** @throws ISLE_CORRUPT naming `where`; ISLE_UNSUPPORTED for a newer version. */
export function decodePin(bytes: Uint8Array, where: string): Pin {
	const preamble = new ByteReader(bytes, where)
	if (preamble.u32() !== MAGIC) throw corrupt(where, 'not a pin: wrong magic')
	const version = preamble.u16()
	if (version > PIN_FORMAT_VERSION) {
		throw new IsleError('ISLE_UNSUPPORTED', `pin format ${version} is newer than this release reads: key=\`${where}\``)
	}
	if (version === 0 || preamble.u16() !== 0) throw corrupt(where, 'a pin whose preamble makes no sense')
	const storedCrc = preamble.u32()
	const body = bytes.subarray(PREAMBLE_BYTES)
	if (crc32(body, crc32(bytes.subarray(0, 8))) !== storedCrc) throw corrupt(where, 'pin checksum mismatch')
	const reader = new ByteReader(body, where)
	const pin: Pin = {
		name: reader.string(PIN_NAME_MAX_BYTES),
		createdMs: reader.varint(),
		expiresMs: reader.varint(),
		manifest: decodeCheckpoint(reader.lengthPrefixed(CHECKPOINT_MAX_BYTES), where),
	}
	reader.expectEnd()
	return pin
}

/** Every object that the state needs. */
export function objectsOf({ l0, runs, blobPacks }: Manifest): Set<string> {
	const keys = new Set(l0.map(table => table.objectKey))
	for (const run of runs) for (const table of run.tables) keys.add(table.objectKey)
	for (const pack of blobPacks) keys.add(pack.objectKey)
	return keys
}

export interface CreatePinOptions extends RequestOptions {
	readonly store: ObjectStore
	readonly host: Host
	readonly name: string
	/** 0: never. */
	readonly expiresMs: number
	/** The state to keep. */
	readonly manifest: Manifest
	/** The newest state of both logs, read after this was called: a strong refresh. */
	refresh(): Promise<Manifest>
}

/**
 * Writes a pin and checks that it counts. One PUT, and what `refresh` costs.
 * @throws ISLE_EXPIRED when an object of the state was removed meanwhile: pin a newer state. Nothing is left behind then.
 */
export async function createPin(options: CreatePinOptions): Promise<StoredPin> {
	const { store, host, name, expiresMs, manifest, signal } = options
	if (new TextEncoder().encode(name).length > PIN_NAME_MAX_BYTES) {
		throw new RangeError(`Expected \`name\` to have at most ${PIN_NAME_MAX_BYTES} bytes, got '${name.slice(0, 40)}…'`)
	}
	const key = FOLDER + Buffer.from(host.random.bytes(ID_BYTES)).toString('hex')
	const pin: Pin = { name, createdMs: host.clock.nowMs(), expiresMs, manifest: pinnedState(manifest) }
	try {
		// The name is random, and the bytes are the same at each attempt: a retry changes nothing.
		await store.put(key, encodePin(pin), { signal })
		const lost = firstUnheld(pin.manifest, await options.refresh())
		if (lost !== undefined) {
			throw new IsleError('ISLE_EXPIRED', `the state that was to be pinned is gone: key=\`${lost}\``, {
				details: { key: lost },
			})
		}
	} catch (error) {
		await store.delete(key).catch(() => undefined)
		throw error
	}
	return { ...pin, key }
}

/** An object of `pinned` that the state `now` does not hold any more, if there is one: it is removed, or deleted already. */
function firstUnheld(pinned: Manifest, now: Manifest): string | undefined {
	const held = objectsOf(now)
	return [...objectsOf(pinned)].find(key => !held.has(key))
}

/** Deletes the pin: what only it kept is collected. Idempotent. */
export async function releasePin(store: ObjectStore, key: string, options: RequestOptions = {}): Promise<void> {
	await store.delete(key, options)
}

/**
 * The same state under a new object with another expiry, then the old one is deleted. The state stays pinned throughout: the
 * old pin must not have expired.
 * @throws ISLE_EXPIRED when the old pin is gone.
 */
export async function renewPin(
	options: RequestOptions & {
		readonly store: ObjectStore
		readonly host: Host
		readonly key: string
		readonly expiresMs: number
	},
): Promise<StoredPin> {
	const { store, host, key, expiresMs, signal } = options
	const old = await readPin(store, key, { signal })
	if (old === undefined) throw new IsleError('ISLE_EXPIRED', `the pin is gone: key=\`${key}\``, { details: { key } })
	const renewed = { ...old, key: FOLDER + Buffer.from(host.random.bytes(ID_BYTES)).toString('hex'), expiresMs }
	await store.put(renewed.key, encodePin(renewed), { signal })
	// Between reading and writing it may have expired and been deleted, and then its objects: the old pin must still be there.
	if ((await readPin(store, key, { signal })) === undefined) {
		await store.delete(renewed.key)
		throw new IsleError('ISLE_EXPIRED', `the pin is gone: key=\`${key}\``, { details: { key } })
	}
	await store.delete(key, { signal })
	return renewed
}

/** `undefined` when it was released. One GET. */
export async function readPin(
	store: ObjectStore,
	key: string,
	options: RequestOptions = {},
): Promise<StoredPin | undefined> {
	const bytes = await store.get(key, options)
	return bytes === undefined ? undefined : { ...decodePin(bytes, key), key }
}

/** Keys of all pins. One LIST a page. */
export async function listPinKeys(store: ObjectStore, options: RequestOptions = {}): Promise<string[]> {
	const keys: string[] = []
	for (let startAfter: string | undefined; ; startAfter = keys.at(-1)) {
		const page = await store.list({ ...options, prefix: FOLDER, startAfter })
		keys.push(...page.objects.map(object => object.key))
		if (!page.isTruncated) return keys
	}
}
