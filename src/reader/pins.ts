/**
 * Making, finding and ending the pins of a database.
 *
 * Steps of `pin`: take a state, write it into an object of its own, read both logs strongly: it counts if none of its objects
 * was removed by then (rule of `manifest/pin.ts`). Where one was, the state that was just read is tried next.
 */
import { describe } from '../arguments.ts'
import { IsleError, isIsleError } from '../errors.ts'
import { comparePositions, LOG_START } from '../log/log-position.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { createPin, listPinKeys, readPin, releasePin, type StoredPin } from '../manifest/pin.ts'
import type { OpenSnapshots } from './open-snapshots.ts'
import { expiryOf, type Pin, type PinHome, type PinOptions } from './pin.ts'
import type { ReadOptions } from './read-core.ts'

/** A pin as `pins` lists it. */
export type PinInfo =
	| {
			readonly kind: 'pin'
			readonly name: string
			readonly id: string
			/** By the clock of whoever made it. */
			readonly createdMs: number
			/** By wall clocks; 0 is never. */
			readonly expiresMs: number
			readonly lastSeq: number
			/** Bytes of the tables and packs that it keeps. */
			readonly storedBytes: number
	  }
	/** Damaged, or of a newer release. It keeps everything from being collected until it is released by its id. */
	| { readonly kind: 'unreadable'; readonly id: string; readonly error: unknown }

/** Where `pin` takes states from. */
export interface PinSource {
	/** What is to be pinned: all that was accepted before the call is committed in it. */
	pinnable(options: ReadOptions): Promise<Manifest>
	/** The newest state of both logs, read after this was called. */
	refreshed(options: ReadOptions): Promise<Manifest>
}

/** States that are tried before giving up: each loss needs a merge and a collection within one round trip or two. */
const MAX_ATTEMPTS = 10
/** Pins that are read side by side. */
const PARALLEL_READS = 8
const ID = /^pins\/[0-9a-f]{32}$/

export class Pins<Key, Value> {
	readonly #home: PinHome
	readonly #source: PinSource
	readonly #snapshots: OpenSnapshots<Key, Value>

	constructor(home: PinHome, source: PinSource, snapshots: OpenSnapshots<Key, Value>) {
		this.#home = home
		this.#source = source
		this.#snapshots = snapshots
	}

	async pin(name: string, options: PinOptions): Promise<Pin<Key, Value>> {
		checkName(name)
		const { store, host } = this.#home
		const expiresMs = expiryOf(options, host)
		const { signal } = options
		signal?.throwIfAborted()
		let manifest = await this.#source.pinnable({ signal })
		// Whatever lies in a prefix without a database keeps one from being made there.
		if (comparePositions(manifest.writerPosition, LOG_START) === 0) throw noDatabase()
		for (let attempt = 1; ; attempt++) {
			let newest = manifest
			const refresh = async (): Promise<Manifest> => {
				newest = await this.#source.refreshed({ signal })
				return newest
			}
			try {
				const stored = await createPin({ store, host, name, expiresMs, manifest, refresh, signal })
				return this.#snapshots.openPin(stored, this.#home)
			} catch (error) {
				if (!isIsleError(error, 'ISLE_EXPIRED') || attempt === MAX_ATTEMPTS) throw error
				manifest = newest
			}
		}
	}

	async list(options: ReadOptions): Promise<PinInfo[]> {
		options.signal?.throwIfAborted()
		const found = await this.#readAll(options)
		return found.map(pin => (pin.kind === 'unreadable' ? pin : infoOf(pin.stored)))
	}

	/** The newest of that name that has not expired. */
	async open(name: string, options: ReadOptions): Promise<Pin<Key, Value>> {
		checkName(name)
		options.signal?.throwIfAborted()
		const stored = isId(name) ? await this.#readById(name, options) : await this.#newestOf(name, options)
		const { expiresMs } = stored
		if (expiresMs === 0 || expiresMs > this.#home.host.clock.nowMs()) {
			return this.#snapshots.openPin(stored, this.#home)
		}
		throw new IsleError('ISLE_EXPIRED', `the pin has expired: name=\`${stored.name}\` expiresMs=\`${expiresMs}\``, {
			details: { name: stored.name, key: stored.key, expiresMs },
		})
	}

	/** Answers how many there were. */
	async release(name: string, options: ReadOptions): Promise<number> {
		checkName(name)
		options.signal?.throwIfAborted()
		const { store } = this.#home
		if (isId(name)) {
			const isThere = (await listPinKeys(store, options)).includes(name)
			await releasePin(store, name, options)
			return isThere ? 1 : 0
		}
		const found = await this.#readAll(options)
		const keys = found.flatMap(pin => (pin.kind === 'pin' && pin.stored.name === name ? [pin.stored.key] : []))
		for (const key of keys) await releasePin(store, key, options)
		return keys.length
	}

	async #newestOf(name: string, options: ReadOptions): Promise<StoredPin> {
		const found = await this.#readAll(options)
		let newest: StoredPin | undefined
		for (const pin of found) {
			if (pin.kind !== 'pin' || pin.stored.name !== name) continue
			if (newest === undefined || isNewer(pin.stored, newest)) newest = pin.stored
		}
		if (newest !== undefined) return newest
		// A pin that cannot be read may be the one.
		const unreadable = found.find(pin => pin.kind === 'unreadable')
		if (unreadable?.kind === 'unreadable') throw unreadable.error
		throw noSuchPin(name)
	}

	async #readById(id: string, options: ReadOptions): Promise<StoredPin> {
		const stored = await readPin(this.#home.store, id, options)
		if (stored === undefined) throw noSuchPin(id)
		return stored
	}

	async #readAll(options: ReadOptions): Promise<(ReadPin | UnreadablePin)[]> {
		const keys = await listPinKeys(this.#home.store, options)
		const pins: (ReadPin | UnreadablePin)[] = []
		for (let from = 0; from < keys.length; from += PARALLEL_READS) {
			const read = await Promise.all(keys.slice(from, from + PARALLEL_READS).map(id => this.#read(id, options)))
			for (const pin of read) if (pin !== undefined) pins.push(pin)
		}
		return pins
	}

	async #read(id: string, options: ReadOptions): Promise<ReadPin | UnreadablePin | undefined> {
		try {
			const stored = await readPin(this.#home.store, id, options)
			return stored === undefined ? undefined : { kind: 'pin', stored }
		} catch (error) {
			if (!isIsleError(error, 'ISLE_CORRUPT') && !isIsleError(error, 'ISLE_UNSUPPORTED')) throw error
			return { kind: 'unreadable', id, error }
		}
	}
}

interface ReadPin {
	readonly kind: 'pin'
	readonly stored: StoredPin
}
type UnreadablePin = Extract<PinInfo, { kind: 'unreadable' }>

function infoOf({ name, key, createdMs, expiresMs, manifest }: StoredPin): PinInfo {
	const { l0, runs, blobPacks, lastSeq } = manifest
	const tables = [...l0, ...runs.flatMap(run => run.tables)]
	const tableBytes = tables.reduce((sum, table) => sum + table.meta.storedBytes, 0)
	const storedBytes = blobPacks.reduce((sum, pack) => sum + pack.bytes, tableBytes)
	return { kind: 'pin', name, id: key, createdMs, expiresMs, lastSeq, storedBytes }
}

/** Of two with one name the one that shows more; then the one that lasts longer: a renewed one beside the one it replaces. */
function isNewer(a: StoredPin, b: StoredPin): boolean {
	if (a.createdMs !== b.createdMs) return a.createdMs > b.createdMs
	return a.expiresMs === 0 || (b.expiresMs !== 0 && a.expiresMs > b.expiresMs)
}

function isId(name: string): boolean {
	return ID.test(name)
}

function noSuchPin(name: string): IsleError {
	return new IsleError('ISLE_NOT_FOUND', `there is no such pin: name=\`${name}\``, { details: { name } })
}

function noDatabase(): IsleError {
	return new IsleError('ISLE_NOT_FOUND', 'there is no database yet of which a state could be pinned')
}

function checkName(name: unknown): void {
	if (typeof name !== 'string') throw new TypeError(`Expected \`name\` to be a string, got ${describe(name)}`)
	if (name === '') throw new RangeError('Expected `name` to be the name of a pin, got an empty string')
}
