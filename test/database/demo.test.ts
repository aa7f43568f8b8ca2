/** The demo runs over old data, ends with 0 when all is well, and its reader ends with 1 when a single row is wrong. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { type ProgramEnd, startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const RECORDS = 2000
const DEMO = join(import.meta.dirname, '../../examples/demo')
const scratch = scratchDirectories()

async function run(file: string, ...args: string[]): Promise<ProgramEnd & { readonly output: string }> {
	await using program = startProgram(join(DEMO, file), args)
	const end = await program.ended
	return { ...end, output: program.lines.join('\n') }
}

describe('the demo', () => {
	const directory = scratch()
	const url = pathToFileURL(directory).href
	const dataOptions = ['--records', String(RECORDS), '--directory', directory]

	beforeAll(async () => {
		const old = await open(url)
		await old.put('city/XX/of an earlier run/000000', '{}')
		await old.close()
	})

	test('starts fresh over old data, loads, reads, follows and reports', async () => {
		const { code, output, stderr } = await run('demo.ts', ...dataOptions)
		expect({ code, stderr, output }).toMatchObject({ code: 0, stderr: '' })
		expect(output).toContain('held the data of an earlier run: removed')
		expect(output).toContain('2,000 rows, each equal to the data set, none missing')
		expect(output).toContain('what the tail saw is what was written')
		expect(output).toContain('npm run demo:look')
		expect(output).not.toContain('✗')
	})

	test('leaves data that can be looked at', async () => {
		const { code, output } = await run('look.ts', 'city/NL/', '--limit', '3', '--directory', directory)
		expect(code).toBe(0)
		expect(output).toMatch(/^city\/NL\/.* \{"name":"/)
		expect(output).toMatch(/3 of \d+ rows that begin with city\/NL\//)
		const missing = await run('look.ts', '--directory', scratch())
		expect(missing).toMatchObject({ code: 1, output: expect.stringContaining('run `npm run demo` first') })
	})

	test('has a reader that ends with 1 for a row too many, another value, and one that is missing', async () => {
		const fresh = scratch()
		const changed = ['--records', '10', '--directory', fresh]
		await using db = await open(pathToFileURL(fresh).href, { valueEncoding: 'json' })
		const { output: allMissing, code } = await run('reader.ts', ...changed)
		expect(code).toBe(1)
		expect(allMissing).toContain('missing: city/')
		await db.put('city/XX/nowhere/000000', { name: 'nowhere' }, { durable: true })
		const { output, code: secondCode } = await run('reader.ts', ...changed)
		expect(secondCode).toBe(1)
		expect(output).toContain('not in the data set, or twice: city/XX/nowhere/000000')
		const [key = ''] = /city\/.*$/m.exec(allMissing) ?? []
		await db.put(key, { name: 'another' }, { durable: true })
		expect((await run('reader.ts', ...changed)).output).toContain(`another value: ${key}`)
	})
})
