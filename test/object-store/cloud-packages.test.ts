/** What a user meets who has not installed an SDK: shown in a process whose modules are resolved where there is none. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importOptional } from '../../src/object-store/optional-package.ts'
import { startProgram } from '../support/process.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()

const PROGRAM = `
import { openStore } from './src/object-store/open-store.ts'
for (const url of ['azblob://box?account=someone', 'gs://bucket']) {
	const error = await openStore(url).catch(error => error)
	console.log(error.code, error.message)
}
`

test('a missing SDK is ISLE_UNSUPPORTED that names the package and the command', async () => {
	const folder = fresh()
	mkdirSync(folder)
	writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
	writeFileSync(join(folder, 'program.ts'), PROGRAM)
	for (const name of ['errors.ts', 'bytes', 'host', 'object-store']) {
		cpSync(join(import.meta.dirname, '../../src', name), join(folder, 'src', name), { recursive: true })
	}
	await using program = startProgram(join(folder, 'program.ts'))
	expect((await program.ended).stderr).toBe('')
	const [azure, gcs] = program.lines
	expect(azure).toMatch(/^ISLE_UNSUPPORTED .*`npm install @azure\/storage-blob`/)
	expect(gcs).toMatch(/^ISLE_UNSUPPORTED .*`npm install @google-cloud\/storage`/)
})

test('an SDK that is there and lacks something of its own fails with its own error', async () => {
	const error = Object.assign(new Error(`Cannot find package 'other' imported from /x/@azure/storage-blob/index.js`), {
		code: 'ERR_MODULE_NOT_FOUND',
	})
	await expect(importOptional('@azure/storage-blob', () => Promise.reject(error))).rejects.toBe(error)
	const broken = new SyntaxError(`in '@azure/storage-blob'`)
	await expect(importOptional('@azure/storage-blob', () => Promise.reject(broken))).rejects.toBe(broken)
})
