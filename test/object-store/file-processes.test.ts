import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { bodyOf } from '../support/object-racer.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const RACER = fileURLToPath(new URL('../support/object-racer.ts', import.meta.url))
/** `nobody` on Linux: a user whom permissions stop. */
const NOBODY = 65534

interface Racer {
	readonly child: ChildProcess
	readonly lines: Interface
}

function start(parameters: readonly string[], options: { uid?: number; shell?: string } = {}): Racer {
	const command =
		options.shell === undefined
			? [process.execPath, RACER, ...parameters]
			: ['/bin/sh', '-c', options.shell, 'sh', process.execPath, RACER, ...parameters]
	const [program = '', ...rest] = command
	const child = spawn(program, rest, {
		stdio: ['pipe', 'pipe', 'inherit'],
		...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid, env: { PATH: process.env['PATH'] } }),
	})
	if (child.stdout === null) throw new Error('no output')
	return { child, lines: createInterface(child.stdout) }
}

async function linesOf({ child, lines }: Racer): Promise<string[]> {
	const all: string[] = []
	for await (const line of lines) all.push(line)
	if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
	return all
}

/** Two processes create the same 400 keys. True when each of them won some. */
async function race(): Promise<boolean> {
	const directory = join(fresh(), 'not', 'yet', 'there')
	const racers = ['one', 'two'].map(name => start(['race', directory, name, '400']))
	await Promise.all(racers.map(({ lines }) => once(lines, 'line')))
	for (const { child } of racers) child.stdin?.end('go')
	const reports = await Promise.all(racers.map(linesOf))
	const store = await openFileStore({ directory, mustExist: true })
	const winners = reports.map(lines => lines.filter(line => line.startsWith('created ')).map(line => line.slice(8)))
	expect(winners.flat().toSorted()).toEqual(Array.from({ length: 400 }, (_, i) => `race/${i % 7}/${i}`).toSorted())
	expect(reports.flat().filter(line => line.startsWith('exists '))).toHaveLength(400)
	for (const [i, name] of ['one', 'two'].entries()) {
		for (const key of winners[i] ?? []) expect(await store.get(key)).toEqual(bodyOf(key, name))
	}
	expect(await readdir(join(directory, '.isledb-tmp'))).toEqual([])
	return winners.every(keys => keys.length > 0)
}

describe('two processes on one directory', () => {
	test('create every key exactly once between them, beginning with the directories', async () => {
		// A race that one side wins throughout proves little: on a loaded machine a process may come too late for all of it.
		let wasContested = false
		for (let round = 0; round < 10 && !wasContested; round++) wasContested = await race()
		expect(wasContested).toBe(true)
	})

	test('a process that is killed leaves whole objects, all that it reported, and files that the next store sweeps', async () => {
		const directory = fresh()
		let leftovers = 0
		// Five, and more where each came between two writes.
		for (let round = 0; round < 5 || (round < 50 && leftovers === 0); round++) {
			const racer = start(['createForEver', directory, String(round)])
			const reported: string[] = []
			for await (const line of racer.lines) {
				if (line.startsWith('created ')) reported.push(line.slice(8))
				if (reported.length === 5 + round * 7) racer.child.kill('SIGKILL')
			}
			if (racer.child.signalCode === null) await once(racer.child, 'exit')
			expect(reported.length).toBeGreaterThanOrEqual(5 + round * 7)
			leftovers += (await readdir(join(directory, '.isledb-tmp'))).length
			const store = await openFileStore({ directory })
			for (const key of reported) expect(await store.get(key)).toEqual(bodyOf(key, String(round)))
			for (const { key } of (await store.list({ prefix: `kill/${round}-` })).objects) {
				expect(await store.get(key)).toEqual(bodyOf(key, String(round)))
			}
			await store.put('next', bodyOf('next', 'us'))
			await store.close()
			expect(await readdir(join(directory, '.isledb-tmp'))).toEqual([])
		}
		expect(leftovers, 'no round left anything to sweep: the test has lost its point').toBeGreaterThan(0)
	})
})

describe('the sweep of what is not yet an object', () => {
	test('takes what the dead left and what is a day old, and nothing of the living, of strangers, or newer', async () => {
		const directory = fresh()
		const temps = join(directory, '.isledb-tmp')
		let own = ''
		const store = await openFileStore({ directory })
		const peek = (async function* (): AsyncGenerator<Uint8Array> {
			yield new Uint8Array(1)
			own = (await readdir(temps)).find(name => name.startsWith('t-')) ?? ''
		})()
		await store.createFromStream('peeked', peek)
		await store.close()
		const [, machine = '', pid = ''] = own.split('-')
		expect(Number(pid)).toBe(process.pid)
		const dead = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' })
		await once(dead, 'exit')
		const random = '0123456789abcdef01234567'
		const elsewhere = machine === '00000000' ? '11111111' : '00000000'
		const files: Readonly<Record<string, 'swept' | 'kept'>> = {
			[`t-${machine}-${dead.pid}-${random}`]: machine === 'any' ? 'kept' : 'swept',
			[`t-${machine}-${process.ppid}-${random}`]: 'kept',
			[`t-${machine}-${process.pid}-${random}`]: 'kept',
			[`t-${elsewhere}-${dead.pid}-${random}`]: 'kept',
			[`t-${elsewhere}-4321-${random}`]: 'swept',
			'somebody-elses-file': 'kept',
			[`t-${machine}-${dead.pid}-${random}.bak`]: 'kept',
		}
		await mkdir(temps, { recursive: true })
		for (const name of Object.keys(files)) await writeFile(join(temps, name), 'left')
		const dayOldS = Date.parse('2020-01-01') / 1000
		for (const name of [`t-${elsewhere}-4321-${random}`, 'somebody-elses-file']) {
			await utimes(join(temps, name), dayOldS, dayOldS)
		}
		const reader = await openFileStore({ directory })
		await reader.get('peeked')
		await reader.close()
		expect(await readdir(temps), 'a store that only reads sweeps nothing').toHaveLength(Object.keys(files).length)
		const next = await openFileStore({ directory })
		await next.put('x', new Uint8Array(1))
		await next.close()
		const kept = Object.keys(files).filter(name => files[name] === 'kept')
		expect((await readdir(temps)).toSorted()).toEqual(kept.toSorted())
	})
})

describe('what the system really refuses', () => {
	test('a directory without write permission is ISLE_DENIED', async context => {
		if (process.getuid === undefined) return context.skip('this system has no users')
		const directory = fresh()
		await mkdir(directory)
		await chmod(directory, 0o555)
		await chmod(join(directory, '..'), 0o755)
		const isRoot = process.getuid() === 0
		const lines = await linesOf(start(['writeOnce', directory, '', '10'], isRoot ? { uid: NOBODY } : {}))
		if (isRoot && lines.length === 0) {
			console.warn('NOT TESTED: user `nobody` cannot run Node here, and permissions do not stop root')
			return context.skip('nobody cannot run Node here')
		}
		expect(lines).toEqual(['ISLE_DENIED', 'ISLE_DENIED'])
	})

	test('a file past the quota of the process is ISLE_FULL, and leaves nothing behind', async () => {
		const directory = fresh()
		// 64 blocks of 512 or 1024 bytes, as the shell counts: 1 MiB is past it either way.
		const lines = await linesOf(start(['writeOnce', directory, '', '1048576'], { shell: 'ulimit -f 64; exec "$@"' }))
		expect(lines).toEqual(['ISLE_FULL', 'ISLE_FULL'])
		expect(await readdir(join(directory, '.isledb-tmp'))).toEqual([])
		expect(await (await openFileStore({ directory })).get('written')).toBeUndefined()
	})
})
