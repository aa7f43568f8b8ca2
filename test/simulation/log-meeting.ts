/**
 * An owner of a log that stands still at any point, two that take the log over from it, and a collector without grace: the code of
 * `src/log` on a store where their requests come in any order. Each of the owners appends, when it has become one.
 *
 * What must hold, whatever the order: what was acknowledged is in the log, what was refused is not; whoever becomes the owner of an epoch,
 * makes a checkpoint, or reads in the end has read all that stands before. The log is what came first in each slot.
 */
import { isIsleError } from '../../src/errors.ts'
import type { Clock } from '../../src/host/clock.ts'
import type { Host } from '../../src/host/host.ts'
import { seededRandom } from '../../src/host/random.ts'
import type { LogReplay } from '../../src/log/claim.ts'
import type { FencedLog } from '../../src/log/fenced-log.ts'
import type { LogOwner } from '../../src/log/log-owner.ts'
import { LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord, encodeRecord, type LogRecord, NONCE_BYTES, OWNER_BYTES } from '../../src/log/record.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { importPatched, type SourcePatch } from '../support/patched-modules.ts'
import { textHash } from './faults.ts'
import type { OrderedRequest } from './ordered-store.ts'
import type { Doubt, Meeting } from './orders.ts'

/** The modules of the log, with patches or without. */
export interface LogCode {
	readonly claim: typeof import('../../src/log/claim.ts')
	readonly fenced: typeof import('../../src/log/fenced-log.ts')
	readonly owner: typeof import('../../src/log/log-owner.ts')
}

export interface MeetingPlan {
	readonly what: string
	/** Of the owner: one after another, or all at once. */
	readonly appends: number
	readonly isPipelined: boolean
	/** Of the first create of the owner. */
	readonly doubt: Doubt | undefined
	readonly claimers: number
	readonly readers: number
}

/** Windows of one slot: what is read side by side otherwise is read one by one. */
const LIMITS: readonly SourcePatch[] = [
	{ file: 'src/log/claim.ts', find: 'const OPEN_WINDOW_SLOTS = 8', replace: 'const OPEN_WINDOW_SLOTS = 1' },
	{
		file: 'src/log/fenced-log.ts',
		find: 'const LOOK_BEHIND_SLOTS: number = APPENDS_IN_FLIGHT_MAX',
		replace: 'const LOOK_BEHIND_SLOTS: number = 0',
	},
	{ file: 'src/log/fenced-log.ts', find: 'const WINDOW_MAX_SLOTS = 256', replace: 'const WINDOW_MAX_SLOTS = 1' },
]
const CHECKPOINTS = 'checkpoints/'
/** Of a log record: see docs/object-layout.md. */
const KIND_OFFSET = 6
const KIND_SEAL = 2
const RETRIES = { maxAttempts: 3, budgetMs: 30_000, basePauseMs: 50, maxPauseMs: 5000 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export async function loadLogCode(name: string, patches: readonly SourcePatch[] = []): Promise<LogCode> {
	const load = (file: string): Promise<unknown> =>
		importPatched(file, `log-${name}`, [...LIMITS, ...patches], ['src/log/'])
	return {
		claim: (await load('src/log/claim.ts')) as LogCode['claim'],
		fenced: (await load('src/log/fenced-log.ts')) as LogCode['fenced'],
		owner: (await load('src/log/log-owner.ts')) as LogCode['owner'],
	}
}

/** What somebody took for the whole log before a position, and what had been acknowledged when he began to read. */
interface View {
	readonly who: string
	readonly least: readonly string[]
	readonly position: LogPosition
	readonly values: readonly string[]
}

export class LogMeeting implements Meeting {
	readonly actors: Meeting['actors']
	readonly doubts: Meeting['doubts']
	readonly ordered: ReadonlySet<string>
	readonly #code: LogCode
	readonly #plan: MeetingPlan
	/** What was acknowledged, and what was refused as not committed. */
	readonly #verdicts: { readonly value: string; readonly isCommitted: boolean }[] = []
	readonly #views: View[] = []
	#hasCheckpoint = false
	readonly #ended = new Set<LogOwner>()
	#owner: LogOwner | undefined

	constructor(code: LogCode, plan: MeetingPlan) {
		this.#code = code
		this.#plan = plan
		const claimers = ['claimer 1', 'claimer 2'].slice(0, plan.claimers)
		this.actors = new Map([
			['owner', () => this.#own()],
			...claimers.map(name => [name, (store: ObjectStore) => this.#claim(name, store)] as const),
			['collector', (store: ObjectStore) => this.#collect(store)],
			...(plan.readers === 0 ? [] : [['reader', (store: ObjectStore) => this.#read(store)] as const]),
		])
		this.ordered = new Set(plan.isPipelined ? ['owner'] : [])
		this.doubts = new Map(plan.doubt === undefined ? [] : [['owner:0', plan.doubt]])
	}

	/** Epoch 1 has its owner, who has appended once. */
	async prepare(storeOf: (actor: string) => ObjectStore): Promise<void> {
		const host = hostOf('owner')
		const owner = host.random.bytes(OWNER_BYTES)
		const nonce = host.random.bytes(NONCE_BYTES)
		const seal = { kind: 'seal', position: LOG_START, owner, nonce, body: new Uint8Array(0), sections: [] } as const
		const log = this.#logOf(storeOf('owner'))
		await log.createSlot(LOG_START, encodeRecord(seal).pieces)
		this.#owner = new this.#code.owner.LogOwner({ log, host, epoch: 1, owner, retryBudget: RETRIES })
		await this.#append(this.#owner, 'owner 0')
	}

	isSettled({ kind, key }: OrderedRequest, content: Uint8Array | undefined, others: ReadonlySet<string>): boolean {
		if (others.size === 0) return true
		const collects = others.has('collector')
		if (kind === 'list') return !collects || this.#hasCheckpoint
		if (content === undefined || kind === 'delete') return false
		// Seals and checkpoints are never deleted, and nothing is overwritten.
		return !collects || key.startsWith(CHECKPOINTS) || content[KIND_OFFSET] === KIND_SEAL
	}

	async judge(store: ObjectStore, firsts: ReadonlyMap<string, Uint8Array>): Promise<string[]> {
		const { values, before } = chainOf(firsts)
		const replay = new TextReplay(store)
		try {
			const position = await this.#code.claim.replayLog(this.#logOf(store), replay)
			this.#views.push({ who: 'the last reader', least: this.#acknowledged, position, values: replay.values })
		} catch (error) {
			return [`the last reader: ${String(error)}`]
		}
		const log = values.join()
		const wrong = this.#verdicts
			.filter(({ value, isCommitted }) => values.includes(value) !== isCommitted)
			.map(
				({ value, isCommitted }) => `${value} was ${isCommitted ? 'acknowledged' : 'refused'}, and the log is: ${log}`,
			)
		for (const view of this.#views) {
			const seen = view.values.join()
			const missed = view.least.filter(value => !view.values.includes(value)).join()
			if (missed !== '') wrong.push(`${view.who} read '${seen}', when ${missed} had been acknowledged`)
			const expected = before.get(keyOf(view.position))?.join()
			if (expected !== seen)
				wrong.push(`${view.who} read '${seen}' before ${keyOf(view.position)}, and the log is: ${log}`)
		}
		return wrong
	}

	async #own(): Promise<void> {
		const owner = this.#owner
		if (owner === undefined) return
		const under: Promise<void>[] = []
		for (let number = 1; number <= this.#plan.appends && owner.failure === undefined; number++) {
			under.push(this.#append(owner, `owner ${number}`))
			if (!this.#plan.isPipelined) await under.at(-1)
		}
		await Promise.all(under)
	}

	async #claim(name: string, store: ObjectStore): Promise<void> {
		const replay = new TextReplay(store)
		const least = this.#acknowledged
		const options = { log: this.#logOf(store), host: hostOf(name), replay, retryBudget: RETRIES }
		const owner = await this.#code.claim.claimLog(options)
		this.#views.push({ who: name, least, position: owner.nextPosition, values: [...replay.values] })
		await this.#append(owner, name)
	}

	/** As far as it has read all is in its checkpoint, and goes. */
	async #collect(store: ObjectStore): Promise<void> {
		const { position, replay } = await this.#readAs('collector', store)
		await store.createIfAbsent(CHECKPOINTS + pathOf(position), encoder.encode(JSON.stringify(replay.values)))
		this.#hasCheckpoint = true
		await Promise.all(replay.applied.map(key => store.delete(key)))
	}

	async #read(store: ObjectStore): Promise<void> {
		await this.#readAs('reader', store)
	}

	async #readAs(
		who: string,
		store: ObjectStore,
	): Promise<{ readonly position: LogPosition; readonly replay: TextReplay }> {
		const least = this.#acknowledged
		const replay = new TextReplay(store)
		const position = await this.#code.claim.replayLog(this.#logOf(store), replay)
		this.#views.push({ who, least, position, values: [...replay.values] })
		return { position, replay }
	}

	get #acknowledged(): string[] {
		return this.#verdicts.filter(({ isCommitted }) => isCommitted).map(({ value }) => value)
	}

	async #append(owner: LogOwner, value: string): Promise<void> {
		try {
			await owner.append(encoder.encode(value), []).committed
			this.#verdicts.push({ value, isCommitted: true })
		} catch (error) {
			if (!isIsleError(error, 'ISLE_FENCED') && !isIsleError(error, 'ISLE_INDETERMINATE')) throw error
			// Of those in flight behind the first one nobody knows more than that.
			if (error.code === 'ISLE_FENCED' && !this.#ended.has(owner)) this.#verdicts.push({ value, isCommitted: false })
			this.#ended.add(owner)
		}
	}

	#logOf(store: ObjectStore): FencedLog {
		return new this.#code.fenced.FencedLog({ store, folder: 'log', newestCheckpoint: () => newestCheckpoint(store) })
	}
}

/** Folds commits to their texts. */
class TextReplay implements LogReplay {
	readonly #store: ObjectStore
	values: string[] = []
	/** Keys of the commits that it has read. */
	applied: string[] = []

	constructor(store: ObjectStore) {
		this.#store = store
	}

	async restart(): Promise<LogPosition> {
		this.values = []
		this.applied = []
		const newest = await newestCheckpoint(this.#store)
		if (newest === undefined) return LOG_START
		const bytes = await this.#store.get(CHECKPOINTS + pathOf(newest))
		if (bytes === undefined) throw new Error('nobody deletes checkpoints')
		// `collect` has written it.
		this.values = JSON.parse(decoder.decode(bytes)) as string[]
		return newest
	}

	apply({ position, body }: LogRecord): void {
		this.values.push(decoder.decode(body))
		this.applied.push(keyOf(position))
	}
}

async function newestCheckpoint(store: ObjectStore): Promise<LogPosition | undefined> {
	const { objects } = await store.list({ prefix: CHECKPOINTS })
	const [, epoch, slot] = objects.at(-1)?.key.split('/') ?? []
	return epoch === undefined ? undefined : { epoch: Number(epoch), slot: Number(slot) }
}

/** The log, by what came first in each slot: its values, and those before each of its positions. */
function chainOf(firsts: ReadonlyMap<string, Uint8Array>): {
	readonly values: readonly string[]
	readonly before: ReadonlyMap<string, readonly string[]>
} {
	const values: string[] = []
	const before = new Map<string, readonly string[]>()
	for (let position = LOG_START; ; ) {
		const key = keyOf(position)
		before.set(key, [...values])
		const bytes = firsts.get(key)
		if (bytes === undefined) return { values, before }
		const record = decodeRecord(bytes, position, key)
		if (record.kind === 'commit') values.push(decoder.decode(record.body))
		position =
			record.kind === 'seal'
				? { epoch: position.epoch + 1, slot: 0 }
				: { epoch: position.epoch, slot: position.slot + 1 }
	}
}

function keyOf(position: LogPosition): string {
	return `log/${pathOf(position)}`
}

function pathOf({ epoch, slot }: LogPosition): string {
	return `${String(epoch).padStart(16, '0')}/${String(slot).padStart(16, '0')}`
}

/** Its clock stands still, and pauses are over at once: all that counts is the order of requests. */
function hostOf(name: string): Host {
	const clock: Clock = {
		nowMs: () => 0,
		monotonicMs: () => 0,
		schedule: (_delayMs, fire) => {
			queueMicrotask(fire)
			return { cancel: () => undefined }
		},
		yieldToIo: () => Promise.resolve(),
	}
	return { clock, random: seededRandom(textHash(name)) }
}
