/**
 * Random histories of the real log code: owners with pipelined appends, claimers, collectors that delete at once below
 * checkpoints (grace 0), readers, lost replies, late duplicates and crashes. Every store operation is a point where
 * anyone may run. The controls plant one protocol bug each and must be caught.
 */
import { expect, test } from 'vitest'
import { isIsleError } from '../../src/errors.ts'
import { claimLog, type LogReplay, replayLog } from '../../src/log/claim.ts'
import {
	FencedLog,
	type FencedLogOptions,
	type ReadForwardOptions,
	type ReadForwardResult,
} from '../../src/log/fenced-log.ts'
import { comparePositions, LOG_START, type LogPosition } from '../../src/log/log-position.ts'
import { decodeRecord, encodeRecord, NOBODY } from '../../src/log/record.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { LogOracle } from '../support/log-oracle.ts'
import { Scheduler } from '../support/scheduled-store.ts'
import { textCheckpointKey } from '../support/text-log.ts'

type Bug =
	| 'none'
	| 'claimerDoesNotLook'
	| 'readerDoesNotLook'
	| 'deleteSeals'
	| 'sealBehindTheLastSlot'
	| 'acknowledgeAtOnce'
	| 'believeEverySeal'

interface Checkpoint {
	readonly position: LogPosition
	readonly values: readonly string[]
}

const FAULTS = { lostReplies: 0.03, lateDuplicates: 0.15 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const digits = (value: number): string => String(value).padStart(16, '0')

async function checkpoints(store: ObjectStore): Promise<LogPosition[]> {
	const { objects } = await store.list({ prefix: 'checkpoint/' })
	return objects.map(({ key }) => {
		const [, epoch, slot] = key.split('/')
		return { epoch: Number(epoch), slot: Number(slot) }
	})
}

/** A planted bug: claims behind the highest used slot, not at the first free one. */
class SkippingLog extends FencedLog {
	override async readForward(from: LogPosition, options: ReadForwardOptions): Promise<ReadForwardResult> {
		const result = await super.readForward(from, options)
		const { objects } = await this.store.list({ prefix: `log/${digits(result.position.epoch)}/` })
		const slots = objects.map(({ key }) => Number(key.split('/')[2]) + 1)
		return { ...result, position: { ...result.position, slot: Math.max(result.position.slot, ...slots) } }
	}
}

/** A planted bug: an owner in doubt takes any seal in its slot for a proof that its record is not in the log. */
class BelievingLog extends FencedLog {
	readonly #honest: FencedLog

	constructor(options: FencedLogOptions) {
		super(options)
		this.#honest = new FencedLog(options)
	}

	override confirm(result: ReadForwardResult): Promise<boolean> {
		return this.#honest.confirm(result)
	}

	override async isBelowCheckpoint(): Promise<boolean> {
		return false
	}
}

class History {
	readonly #scheduler: Scheduler
	readonly #bug: Bug
	readonly oracle: LogOracle = new LogOracle()
	#values = 0

	constructor(seed: number, bug: Bug) {
		this.#scheduler = new Scheduler(seed)
		this.#bug = bug
	}

	async run(): Promise<void> {
		const scheduler = this.#scheduler
		const roles: readonly [string, (me: string) => Promise<void>][] = [
			['writer A', this.#writer],
			['writer B', this.#writer],
			['writer C', this.#writer],
			['collector 1', this.#collector],
			['collector 2', this.#collector],
			['reader 1', this.#reader],
			['reader 2', this.#reader],
			['barrier', this.#barrier],
		]
		for (const [name, role] of roles) {
			scheduler.start(
				name,
				() => role(name),
				error => this.#check(error, name),
			)
		}
		await scheduler.run(20_000)
		scheduler.start(
			'final',
			() => this.#final(),
			error => this.oracle.problems.push(`final: ${String(error)}`),
		)
		await scheduler.run(20_000)
	}

	/** Fenced, unavailable and indeterminate are what the protocol may answer; anything else is a bug. */
	#check(error: unknown, name: string): void {
		for (const code of ['ISLE_FENCED', 'ISLE_UNAVAILABLE', 'ISLE_INDETERMINATE'] as const) {
			if (isIsleError(error, code)) return
		}
		this.oracle.problems.push(`${name}: ${String(error)}`)
	}

	#log(name: string, looks: boolean, crashesBeforeLook = 0): FencedLog {
		const scheduler = this.#scheduler
		const store = scheduler.storeOf(name, FAULTS)
		const options = {
			store,
			folder: 'log',
			newestCheckpoint: async () => {
				if (scheduler.chance(crashesBeforeLook)) await scheduler.crash(name)
				return looks ? (await checkpoints(store)).at(-1) : undefined
			},
		}
		if (this.#bug === 'sealBehindTheLastSlot') return new SkippingLog(options)
		return this.#bug === 'believeEverySeal' ? new BelievingLog(options) : new FencedLog(options)
	}

	#replay(log: FencedLog): LogReplay & { values: string[] } {
		const replay = {
			values: [] as string[],
			async restart(): Promise<LogPosition> {
				for (;;) {
					const newest = (await checkpoints(log.store)).at(-1)
					if (newest === undefined) {
						replay.values = []
						return LOG_START
					}
					const bytes = await log.store.get(textCheckpointKey(newest))
					if (bytes === undefined) continue
					const checkpoint: Checkpoint = JSON.parse(decoder.decode(bytes))
					replay.values = [...checkpoint.values]
					return checkpoint.position
				}
			},
			apply: (record: { readonly body: Uint8Array }) => void replay.values.push(decoder.decode(record.body)),
		}
		return replay
	}

	#writer = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		for (let life = 0; life < 3; life++) {
			const log = this.#log(me, this.#bug !== 'claimerDoesNotLook', 0.05)
			const replay = this.#replay(log)
			const owner = await claimLog({ log, host: scheduler.hostOf(me), replay })
			this.oracle.claim(me, owner.epoch, replay.values)
			for (let batch = 0; batch < 2 + scheduler.pick(4); batch++) {
				const flight = Array.from({ length: 1 + scheduler.pick(3) }, () => {
					const sent = this.oracle.send(`${me}.${life}.${this.#values++}`, owner.epoch)
					if (this.#bug === 'acknowledgeAtOnce') this.oracle.acknowledge(sent)
					const { committed } = owner.append(encoder.encode(sent.value), [])
					return committed.then(
						() => this.oracle.acknowledge(sent),
						error => isIsleError(error, 'ISLE_FENCED') && this.oracle.fence(sent),
					)
				})
				if (scheduler.chance(0.04)) await scheduler.crash(me)
				await Promise.all(flight)
				if (owner.failure !== undefined) throw owner.failure
			}
			if (scheduler.chance(0.5)) return
		}
	}

	#collector = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		for (let round = 0; round < 6; round++) {
			const log = this.#log(me, true)
			const replay = this.#replay(log)
			const position = await replayLog(log, replay)
			const checkpoint: Checkpoint = { position, values: replay.values }
			await log.store.createIfAbsent(textCheckpointKey(position), encoder.encode(JSON.stringify(checkpoint)))
			if (scheduler.chance(0.2)) continue
			const newest = (await checkpoints(log.store)).at(-1)
			if (newest !== undefined) await this.#deleteBelow(log.store, newest)
		}
	}

	/** Commits below a checkpoint, any subset in any order; never a seal; checkpoints but the newest two. */
	async #deleteBelow(store: ObjectStore, newest: LogPosition): Promise<void> {
		const scheduler = this.#scheduler
		const doomed = (await store.list({ prefix: 'log/' })).objects.filter(({ key }) => {
			const [, epoch, slot] = key.split('/')
			const position = { epoch: Number(epoch), slot: Number(slot) }
			if (comparePositions(position, newest) >= 0) return false
			const bytes = scheduler.objects.get(key)
			return (
				bytes !== undefined && (this.#bug === 'deleteSeals' || decodeRecord(bytes, position, key).kind === 'commit')
			)
		})
		while (doomed.length > 0) {
			const [next] = doomed.splice(scheduler.pick(doomed.length), 1)
			if (next !== undefined && !scheduler.chance(0.3)) await store.delete(next.key)
		}
		if (!scheduler.chance(0.5)) return
		for (const old of (await checkpoints(store)).slice(0, -2)) await store.delete(textCheckpointKey(old))
	}

	/** What a claimer does that loses its races: seals of nobody's, ahead of the end as it was some time ago. */
	#barrier = async (me: string): Promise<void> => {
		const scheduler = this.#scheduler
		const log = this.#log(me, true)
		for (let round = 0; round < 3; round++) {
			const from = await this.#replay(log).restart({})
			const { position: end } = await log.readForward(from, { windowSlots: 2, onCommit: () => undefined })
			if (end.epoch === 0) continue
			const position = { epoch: end.epoch, slot: end.slot + 1 + scheduler.pick(4) }
			const names = { owner: NOBODY, nonce: scheduler.random.bytes(8) }
			const seal = encodeRecord({ kind: 'seal', position, ...names, body: new Uint8Array(0), sections: [] })
			await log.createSlot(position, seal.pieces)
		}
	}

	#reader = async (me: string): Promise<void> => {
		const log = this.#log(me, this.#bug !== 'readerDoesNotLook')
		const replay = this.#replay(log)
		let position = await replay.restart({})
		for (let round = 0; round < 8; round++) {
			const before = [...this.oracle.acknowledged]
			const provisional: string[] = []
			const end = await log.readForward(position, {
				windowSlots: 1 + this.#scheduler.pick(4),
				onCommit: record => provisional.push(decoder.decode(record.body)),
			})
			if (await log.confirm(end)) {
				replay.values.push(...provisional)
				position = end.position
			} else position = await replayLog(log, replay)
			this.oracle.view(me, replay.values, before)
		}
	}

	async #final(): Promise<void> {
		const store = this.#scheduler.storeOf('final', { lostReplies: 0, lateDuplicates: 0 })
		const log = new FencedLog({ store, folder: 'log', newestCheckpoint: async () => (await checkpoints(store)).at(-1) })
		const replay = this.#replay(log)
		await replayLog(log, replay)
		this.oracle.judge(replay.values)
	}
}

async function histories(count: number, firstSeed: number, bug: Bug): Promise<{ bad: string[]; acknowledged: number }> {
	const bad: string[] = []
	let acknowledged = 0
	for (let seed = firstSeed; seed < firstSeed + count; seed++) {
		const history = new History(seed, bug)
		await history.run().catch(error => history.oracle.problems.push(String(error)))
		acknowledged += history.oracle.acknowledged.length
		if (history.oracle.problems.length > 0) bad.push(`seed ${seed}: ${history.oracle.problems[0]}`)
		if (bug !== 'none' && bad.length > 0) break
	}
	return { bad, acknowledged }
}

/** More by hand: ISLE_LOG_HISTORIES=100000 ISLE_LOG_SEED=7 npm test -- test/log */
const COUNT = Number(process.env.ISLE_LOG_HISTORIES ?? 1500)
const SEED = Number(process.env.ISLE_LOG_SEED ?? 1)

test('no acknowledged append is lost, stale or out of order in random histories at grace 0', async () => {
	const { bad, acknowledged } = await histories(COUNT, SEED, 'none')
	expect(bad, `of seeds ${SEED} … ${SEED + COUNT - 1}`).toEqual([])
	expect(acknowledged).toBeGreaterThan(COUNT * 5)
})

const BUGS = [
	'claimerDoesNotLook',
	'readerDoesNotLook',
	'deleteSeals',
	'sealBehindTheLastSlot',
	'acknowledgeAtOnce',
] as const

test.each(BUGS)('the planted bug %s is found within 2,000 histories', async bug => {
	const { bad } = await histories(2000, 1, bug)
	expect(bad).not.toEqual([])
})
// The corner needs a lost reply, a checkpoint, a deletion and a stalled claimer at once: about one history in 10,000.
test.runIf(COUNT >= 30_000)('the planted bug believeEverySeal is found within 30,000 histories', async () => {
	const { bad } = await histories(30_000, 1, 'believeEverySeal')
	expect(bad).not.toEqual([])
})
