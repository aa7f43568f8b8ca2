/** What killed test runs leave in the temporary directory is taken away by the next one, and nothing else is. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'
import { makeOwnedFolder } from '../support/servers/owned-folder.ts'

const fresh = scratchDirectories()

test('a folder of a killed process is removed, one of a living process and one without an owner stay', async () => {
	const parent = fresh()
	mkdirSync(join(parent, 'server-unmarked'), { recursive: true })
	mkdirSync(join(parent, 'server-damaged'))
	writeFileSync(join(parent, 'server-damaged', 'isledb-test-owner'), 'somebody else entirely')
	const module = pathToFileURL(join(import.meta.dirname, '../support/servers/owned-folder.ts')).href
	const file = join(parent, 'maker.ts')
	writeFileSync(
		file,
		`import { makeOwnedFolder } from '${module}'
console.log(makeOwnedFolder('server-', process.argv[2]))
process.stdin.resume()
`,
	)
	await using program = startProgram(file, [parent])
	const left = await program.line(parent)
	const own = makeOwnedFolder('server-', parent)
	expect(existsSync(left), 'its owner lives').toBe(true)
	program.kill('SIGKILL')
	await program.ended
	const next = makeOwnedFolder('server-', parent)
	expect(existsSync(left), 'its owner is dead').toBe(false)
	expect(readdirSync(parent).map(name => join(parent, name))).toEqual(
		expect.arrayContaining([own, next, join(parent, 'server-unmarked'), join(parent, 'server-damaged')]),
	)
})
