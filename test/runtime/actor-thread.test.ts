import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { IsleError } from '../../src/errors.ts'
import { type ActorThread, serveActor, startActorThread } from '../../src/runtime/actor-thread.ts'
import type { CountingActor, CountingSetup } from './fixtures/counting-actor.ts'

const moduleUrl = new URL('fixtures/counting-actor.ts', import.meta.url)
const start = (setup: CountingSetup, onFailure?: (error: unknown) => void): Promise<ActorThread<CountingActor>> =>
	startActorThread<CountingActor>({ moduleUrl, setup, onFailure })

test('an actor in a thread keeps its state between calls and answers each', async () => {
	const thread = await start({ start: 10 })
	expect(await thread.call('add', 5)).toBe(15)
	expect(await Promise.all([thread.call('add', 1), thread.call('add', 1), thread.call('wait', 3)])).toEqual([16, 17, 3])
	await thread.close()
})

test('buffers move into the thread', async () => {
	const thread = await start({ start: 0 })
	const bytes = new Uint8Array(1_000).fill(2)
	expect(await thread.call('sum', bytes, [bytes.buffer])).toBe(2_000)
	expect(bytes.buffer.byteLength).toBe(0)
	await thread.close()
})

test('what the actor says unasked arrives in order, and before the answer of the call that said it', async () => {
	const heard: unknown[] = []
	const thread = await startActorThread<CountingActor>({
		moduleUrl,
		setup: { start: 0 },
		onNotice: notice => heard.push(notice),
	})
	const words = Array.from({ length: 100 }, (_, index) => `word ${index}`)
	for (const from of [0, 50]) {
		const said = words.slice(from, from + 50)
		expect(await thread.call('say', said)).toBe(50)
		expect(heard).toEqual(words.slice(0, from + 50))
	}
	await thread.close()
	expect(heard).toEqual(words)
})

test('errors cross with code, details and cause, and the actor lives on', async () => {
	const thread = await start({ start: 0 })
	const error: unknown = await thread.call('fail', 'ISLE_FENCED').catch((reason: unknown) => reason)
	expect(error).toBeInstanceOf(IsleError)
	expect(error).toMatchObject({ code: 'ISLE_FENCED', details: { where: 'there' } })
	expect((error as Error).cause).toBeInstanceOf(RangeError)
	expect(await thread.call('add', 1)).toBe(1)
	await thread.close()
})

test('an actor that cannot be made fails the start with its own error', async () => {
	await expect(start({ start: 0, isBroken: true })).rejects.toMatchObject({ code: 'ISLE_DENIED' })
})

test('a module that is not there fails the start with ISLE_UNAVAILABLE', async () => {
	const missing = new URL('fixtures/no-such-actor.ts', import.meta.url)
	await expect(startActorThread({ moduleUrl: missing, setup: {} })).rejects.toMatchObject({
		code: 'ISLE_UNAVAILABLE',
		cause: { message: expect.stringContaining('no-such-actor') },
	})
})

test.each([
	['exits', (thread: ActorThread<CountingActor>) => thread.call('exit', 7)],
	['throws outside of any call', (thread: ActorThread<CountingActor>) => thread.call('crash', 'boom')],
])(
	'when its thread %s, calls under way and later ones are ISLE_UNAVAILABLE and the owner is told once',
	async (_, kill) => {
		const told: unknown[] = []
		const thread = await start({ start: 0 }, error => told.push(error))
		const waiting = thread.call('wait', 1e9)
		const killing = kill(thread)
		await expect(killing).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await expect(waiting).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE', cause: expect.any(Error) })
		await expect(thread.call('add', 1)).rejects.toMatchObject({ code: 'ISLE_UNAVAILABLE' })
		await thread.close()
		expect(told).toMatchObject([{ code: 'ISLE_UNAVAILABLE' }])
	},
)

test('close waits for calls under way, closes the actor, and refuses later calls with ISLE_CLOSED', async () => {
	const directory = mkdtempSync(join(tmpdir(), 'isle-actor-'))
	const closedFile = join(directory, 'closed')
	const told: unknown[] = []
	const thread = await start({ start: 1, closedFile }, error => told.push(error))
	const waiting = thread.call('wait', 50)
	const added = thread.call('add', 41)
	await Promise.all([thread.close(), thread.close()])
	expect(await waiting).toBe(50)
	expect(await added).toBe(42)
	expect(readFileSync(closedFile, 'utf8')).toBe('42')
	await expect(thread.call('add', 1)).rejects.toMatchObject({ code: 'ISLE_CLOSED' })
	expect(told).toEqual([])
	rmSync(directory, { recursive: true })
})

test('an actor is not served on a thread that is not its own', () => {
	expect(() => serveActor(async () => ({ close: async () => undefined }))).toThrow()
})

test('an idle actor thread that nobody closed lets the process exit, and a call under way does not', async () => {
	const program = fileURLToPath(new URL('fixtures/leave-actor-open.ts', import.meta.url))
	const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe'] })
	let printed = ''
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', data => {
			printed += data
		})
	}
	const [code] = await once(child, 'exit')
	expect({ code, printed }).toEqual({ code: 0, printed: 'turned 1000\n' })
})
