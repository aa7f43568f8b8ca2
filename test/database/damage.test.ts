/**
 * Damage of any object, as the public API shows it: an error that is typed and names the object, or the right answer; never
 * a wrong answer, a crash or a hang. Nothing is changed by the attempt: once the object is whole again, everything is there.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/host/random.ts'
import {
	type Change,
	type DatabaseReader,
	isIsleError,
	type ObjectStore,
	open,
	openReader,
	openStore,
} from '../../src/index.ts'
import { openWriterLog } from '../../src/manifest/database-logs.ts'
import { ManifestFollower } from '../../src/manifest/manifest-follower.ts'
import { writeCheckpoint } from '../support/commit-writer.ts'
import { FaultyStore, flipBit } from '../support/faulty-store.ts'
import { manualHost } from '../support/manual-clock.ts'

const ROWS = 300
const LARGE_ROWS = [7, 123]
const RANDOM_FLIPS = 25

/** What is wrong with the bytes of an object now. */
interface Damage {
	readonly name: string
	/** Undefined: the object is gone. */
	readonly apply: (bytes: Uint8Array) => Uint8Array | undefined
	/** The error must come, and be this. Otherwise the damage may also go unnoticed, where it does no harm. */
	readonly code?: string
}

const keyOf = (row: number): string => `key ${String(row).padStart(4, '0')}`
const textFor = (row: number): string =>
	LARGE_ROWS.includes(row) ? `large ${row} `.repeat(2_000) : `value of ${row}, which was written in its turn`

/** Tables inside records and beside them, packs of large values, of streams, a takeover, deletes, one checkpoint. */
async function build(hasCheckpoint: boolean): Promise<ObjectStore> {
	const store = await openStore('memory:')
	const options = { flushIntervalMs: 0, blobThresholdBytes: 8192 }
	await using first = await open(store, { ...options, inlineMaxBytes: 0 })
	for (let row = 0; row < ROWS / 2; row++) await first.put(keyOf(row), textFor(row))
	await first.put('deleted', 'value')
	await first.close()
	await using second = await open(store, options)
	for (let row = ROWS / 2; row < ROWS - 1; row++) await second.put(keyOf(row), textFor(row))
	await second.delete('deleted')
	await second.flush()
	if (hasCheckpoint) {
		const follower = await ManifestFollower.open({ store, host: manualHost() })
		await writeCheckpoint(store, follower.manifest)
	}
	await second.putStream(keyOf(ROWS - 1), streamOf(textFor(ROWS - 1)))
	await second.close()
	return store
}

const expected: readonly (readonly [string, string])[] = Array.from({ length: ROWS }, (_, row) => [
	keyOf(row),
	textFor(row),
])

/** Opens, and reads everything in every way. Throws what the database throws, or AssertionError for a wrong answer. */
async function readEverything(store: ObjectStore): Promise<void> {
	await using reader = await openReader(store, { refreshIntervalMs: 0 })
	const rows: [string, string][] = []
	for await (const row of reader.entries()) rows.push(row)
	expect(rows).toEqual(expected)
	const keys = [...expected.map(([key]) => key), 'deleted', 'missing']
	expect(await reader.getMany(keys)).toEqual([...expected.map(([, value]) => value), undefined, undefined])
	for (const row of LARGE_ROWS) expect(await textOf(reader, keyOf(row))).toBe(textFor(row))
}

async function textOf(reader: DatabaseReader, key: string): Promise<string> {
	const pieces: Uint8Array[] = []
	for await (const piece of (await reader.getStream(key)) ?? []) pieces.push(piece)
	return Buffer.concat(pieces).toString()
}

async function* streamOf(text: string): AsyncGenerator<Uint8Array> {
	yield Buffer.from(text)
}

/** The versions of log records, checkpoints, tables (in their footer) and packs stand where each format says. */
function damagesOf(key: string, bytes: Uint8Array): Damage[] {
	const random = seededRandom(bytes.length)
	const cut = (length: number): Damage => ({
		name: `cut to ${length} of ${bytes.length} bytes`,
		apply: whole => whole.slice(0, length),
		code: 'ISLE_CORRUPT',
	})
	const damages: Damage[] = [0, 3, bytes.length >> 1, bytes.length - 1].map(cut)
	damages.push({
		name: 'with bytes of zero instead of its own',
		apply: whole => new Uint8Array(whole.length),
		code: 'ISLE_CORRUPT',
	})
	for (let i = 0; i < RANDOM_FLIPS; i++) {
		const at = Math.floor(random.next() * bytes.length)
		const bit = Math.floor(random.next() * 8)
		damages.push({ name: `bit ${bit} of byte ${at} flipped`, apply: whole => flipped(whole, at, 1 << bit) })
	}
	const isVersioned = key.startsWith('log/') || key.startsWith('checkpoints/')
	if (isVersioned) {
		damages.push({
			name: 'of a newer format version',
			apply: whole => flipped(whole, 4, 0x42),
			code: 'ISLE_UNSUPPORTED',
		})
	}
	if (!isVersioned) damages.push({ name: 'gone', apply: () => undefined, code: 'ISLE_CORRUPT' })
	return damages
}

function flipped(whole: Uint8Array, at: number, mask: number): Uint8Array {
	const bytes = whole.slice()
	bytes[at] = (bytes[at] as number) ^ mask
	return bytes
}

async function errorOf(call: () => Promise<unknown>): Promise<unknown> {
	try {
		await call()
	} catch (error) {
		return error
	}
	return undefined
}

describe.each([
	['without a checkpoint', false],
	['with a checkpoint', true],
])('damage of any object of a database %s', (_, hasCheckpoint) => {
	let store: ObjectStore
	let keys: string[]

	beforeAll(async () => {
		store = await build(hasCheckpoint)
		keys = (await store.list()).objects.map(object => object.key)
		const folders = new Set(keys.map(key => key.slice(0, key.indexOf('/'))))
		expect([...folders]).toEqual(['blobs', ...(hasCheckpoint ? ['checkpoints'] : []), 'log', 'sst'])
	})

	test('is a typed error or does no harm, and the object can be put back', async () => {
		const noticed = new Map<string, number>()
		for (const key of keys) {
			const whole = await store.get(key)
			if (whole === undefined) throw new Error(`no object ${key}`)
			for (const { name, apply, code } of damagesOf(key, whole)) {
				const damaged = apply(whole)
				if (damaged === undefined) await store.delete(key)
				else await store.put(key, damaged)
				const error = await errorOf(() => readEverything(store))
				const what = `${key} ${name}: ${String(error)}`
				if (error !== undefined) {
					expect(isIsleError(error, 'ISLE_CORRUPT') || isIsleError(error, 'ISLE_UNSUPPORTED'), what).toBe(true)
					noticed.set(key, (noticed.get(key) ?? 0) + 1)
				}
				// A record below a checkpoint is not read any more, and its table only where it still holds what is wanted.
				const isNeeded = !(hasCheckpoint && key.startsWith('log/'))
				if (code !== undefined && isNeeded) expect(isIsleError(error) ? error.code : error, what).toBe(code)
				await store.put(key, whole)
			}
		}
		await readEverything(store)
		const unnoticed = keys.filter(key => !noticed.has(key) && !(hasCheckpoint && key.startsWith('log/')))
		expect(unnoticed).toEqual([])
	})

	test('of the log or the checkpoint keeps a writer from taking over, and is not made worse', async () => {
		const before = await contents(store)
		let refusals = 0
		for (const key of keys.filter(name => name.startsWith('log/') || name.startsWith('checkpoints/'))) {
			const whole = before.get(key) ?? new Uint8Array(0)
			for (const { name, apply, code } of damagesOf(key, whole).filter(damage => damage.code !== undefined)) {
				await store.put(key, apply(whole) ?? whole)
				// Below a checkpoint a record is read for its table at the most, and not when a writer opens.
				if ((await errorOf(async () => await (await openReader(store)).close())) !== undefined) {
					const error = await errorOf(async () => await (await open(store)).close())
					expect(isIsleError(error) ? error.code : error, `${key} ${name}`).toBe(code)
					refusals++
				}
				await store.put(key, whole)
			}
		}
		expect(refusals).toBeGreaterThan(10)
		expect(await contents(store)).toEqual(before)
		await readEverything(store)
	})

	test('ends a tail with a typed error, behind everything that came before it', async () => {
		const copy = await build(hasCheckpoint)
		await using db = await open(copy, { flushIntervalMs: 0 })
		const damaging = new FaultyStore(copy)
		await using reader = await openReader(damaging, { refreshIntervalMs: 0 })
		const { lastSeq } = db.stats()
		await db.put('before', 'value', { durable: true })
		const record = openWriterLog(copy).key({ epoch: db.stats().epoch, slot: 1 })
		damaging.fail({ operation: 'get', key: record, times: 1000 }, flipBit(200))
		const seen: Change<string, string>[] = []
		const error = await errorOf(async () => {
			for await (const changes of reader.changes({ from: { timeMs: 0 }, pollIntervalMs: 1 })) {
				seen.push(...changes)
				if (seen.length === lastSeq + 1) await db.put('damaged', 'value', { durable: true })
			}
		})
		expect(isIsleError(error, 'ISLE_CORRUPT') && error.message, String(error)).toContain(record)
		expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: lastSeq + 1 }, (_seq, index) => index + 1))
		// It says where to go on, and there it does.
		const cursor = isIsleError(error) ? error.details['cursor'] : undefined
		expect(cursor).toBe(seen.at(-1)?.cursor)
		damaging.heal()
		for await (const changes of reader.changes({ from: String(cursor), pollIntervalMs: 1 })) {
			expect(changes.map(({ key }) => key)).toEqual(['damaged'])
			break
		}
	})

	test('positive control: another value in a table that is whole is a wrong answer', async () => {
		const other = await build(hasCheckpoint)
		await using db = await open(other, { flushIntervalMs: 0 })
		await db.put(keyOf(5), 'another value', { durable: true })
		expect(isIsleError(await errorOf(() => readEverything(other)))).toBe(false)
		await expect(readEverything(other)).rejects.toThrow('deeply equal')
	})
})

async function contents(store: ObjectStore): Promise<Map<string, Uint8Array>> {
	const all = new Map<string, Uint8Array>()
	for (const { key } of (await store.list()).objects) all.set(key, (await store.get(key)) ?? new Uint8Array(0))
	return all
}
