/** A process with a database ends when its program does, and says nothing on its own; what it was told of a bad disk is typed. */
import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { isIsleError, open, openReader } from '../../src/index.ts'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const scratch = scratchDirectories()
const FIXTURES = join(import.meta.dirname, 'fixtures')

describe('a process ends by itself, silently', () => {
	test.each(['all-closed', 'reader-open', 'iterators-open', 'nothing-closed'])('with %s', async how => {
		await using program = startProgram(join(FIXTURES, 'leave.ts'), [pathToFileURL(scratch()).href, how])
		const end = await program.ended
		expect(program.lines).toEqual(['read 100, threads true', 'left'])
		expect(end).toEqual({ code: 0, signal: undefined, stderr: '' })
	})

	test('once it has unsubscribed from a tail, and not while it is subscribed', async () => {
		const url = pathToFileURL(scratch()).href
		await using program = startProgram(join(FIXTURES, 'leave.ts'), [url, 'tail-open'])
		await program.line('left')
		await using db = await open(url)
		await db.put('stop', 'now', { durable: true })
		const end = await program.ended
		expect(program.lines).toEqual(['read 100, threads true', 'left', 'saw stop'])
		expect(end).toEqual({ code: 0, signal: undefined, stderr: '' })
	})

	test('positive control: a program that cannot end is noticed', async () => {
		await using program = startProgram('--eval', ["console.log('on'); process.stdin.resume()"])
		await program.line('on')
		program.kill('SIGTERM')
		expect((await program.ended).signal).toBe('SIGTERM')
	})
})

/** Root may write everywhere: for the time of a call this process is somebody else. */
async function asNobody<T>(call: () => Promise<T>): Promise<T> {
	if (process.seteuid === undefined || process.geteuid?.() !== 0) return await call()
	process.seteuid(65_534)
	try {
		return await call()
	} finally {
		process.seteuid(0)
	}
}

async function codeOf(call: () => Promise<unknown>): Promise<string> {
	try {
		await call()
	} catch (error) {
		return isIsleError(error) ? error.code : String(error)
	}
	return 'none'
}

describe.skipIf(process.platform === 'win32')('a directory', () => {
	test('that may not be written is ISLE_DENIED for a writer, and is read as before', async () => {
		const directory = scratch()
		chmodSync(dirname(directory), 0o755)
		const url = pathToFileURL(directory).href
		const writer = await open(url)
		await writer.put('key', 'value')
		await writer.close()
		const everyDirectory = ['', 'log', 'log/0000000000000000', 'log/0000000000000001']
		for (const path of everyDirectory) chmodSync(join(directory, path), 0o555)
		try {
			await asNobody(async () => {
				expect(await codeOf(() => open(url))).toBe('ISLE_DENIED')
				await using reader = await openReader(url)
				expect(await reader.get('key')).toBe('value')
			})
		} finally {
			for (const path of everyDirectory) chmodSync(join(directory, path), 0o755)
		}
		await using again = await open(url)
		expect(await again.get('key')).toBe('value')
	})

	test('that may not be made is ISLE_DENIED', async () => {
		const parent = scratch()
		chmodSync(dirname(parent), 0o755)
		mkdirSync(parent, { recursive: true, mode: 0o555 })
		const url = pathToFileURL(join(parent, 'db')).href
		expect(await asNobody(() => codeOf(() => open(url)))).toBe('ISLE_DENIED')
	})

	test('in which a file cannot grow any more is ISLE_FULL, and loses nothing that was durable', async () => {
		const url = pathToFileURL(scratch()).href
		// 200 blocks of 512 bytes: a limit of the system on each file, as a quota or a full disk is one.
		const script = `ulimit -f 200 && exec "$0" "$@"`
		await using program = startProgram(join(FIXTURES, 'full-writer.ts'), [url], { shell: script })
		const { stderr } = await program.ended
		expect(stderr).toBe('')
		const [durable = '', told, close] = program.lines
		expect([told, close]).toEqual(['told ISLE_FULL ISLE_FULL', 'close ISLE_FULL'])
		const last = Number(durable.split(' ')[1])
		expect(last).toBeGreaterThan(64)
		await using reader = await openReader(url)
		let rows = 0
		for await (const _ of reader.keys()) rows++
		// 1 + 2 + 4 + … + the last round that was flushed.
		expect(rows).toBe(2 * last - 1)
	})
})
