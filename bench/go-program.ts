/**
 * Builds a program of ours in Go, where there is Go: at first use, and whenever its sources change, as `go build` decides.
 *
 * The program, and the copy of `go.mod` that the build may complete, lie in a folder of the user's cache. What it needs comes
 * from where Go is told to get modules, for the engine itself also from a folder of the user's.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

export interface GoProgram {
	readonly name: string
	/** Where its `main.go` and `go.mod` are. */
	readonly folder: string
	/** The engine's module, of which `go.mod` names a version. */
	readonly module: string
	/** A folder with the module, to be used in place of that version. Default: none. */
	readonly moduleFolder?: string | undefined
}

/** Downloading 200 MB of modules and compiling them on two cores takes three minutes. */
const BUILD_MAX_MS = 1_200_000
/** Beside what is wrong, Go tells what it does. */
const GO_IS_BUSY = /^(?:#|go: (?:downloading|finding|found|added|upgraded) |\s*$)/

/** Where the program is, once it is built. */
export function pathOfGoProgram({ name }: Pick<GoProgram, 'name'>): string {
	return join(cacheFolder(name), name)
}

export function versionOfModule({ folder, module }: Pick<GoProgram, 'folder' | 'module'>): string {
	const version = readFileSync(join(folder, 'go.mod'), 'utf8').split(`${module} `)[1]?.split(/\s/)[0]
	if (version === undefined) throw new Error(`go.mod in ${folder} does not require ${module}`)
	return version
}

/** Resolves with why there is no program, on one line; undefined when it is built. */
export async function buildGoProgram(program: GoProgram, say: (line: string) => void): Promise<string | undefined> {
	const go = findGo()
	if (go === undefined) return 'there is no Go on the PATH, nor in GOROOT'
	const { name, folder, module, moduleFolder } = program
	say(`building ${name} with Go, which takes minutes the first time`)
	const cache = cacheFolder(name)
	mkdirSync(cache, { recursive: true })
	const replacement =
		moduleFolder === undefined ? '' : `\nreplace ${module} => ${JSON.stringify(resolve(moduleFolder))}\n`
	writeFileSync(join(cache, 'go.mod'), readFileSync(join(folder, 'go.mod'), 'utf8') + replacement)
	copyFileSync(join(folder, 'go.sum'), join(cache, 'go.sum'))
	const words = ['build', '-mod=mod', `-modfile=${join(cache, 'go.mod')}`, '-o', pathOfGoProgram(program), '.']
	const options = { cwd: folder, env: { ...process.env, GOWORK: 'off' }, timeout: BUILD_MAX_MS }
	return await new Promise(resolve => {
		execFile(go, words, options, (error, _, stderr) => resolve(error === null ? undefined : reasonOf(error, stderr)))
	})
}

function reasonOf(error: Error, stderr: string): string {
	const said = stderr.split('\n').find(line => !GO_IS_BUSY.test(line))
	// An address of where modules come from says nothing to who reads a report.
	return `go build failed: ${(said ?? error.message.split('\n')[0] ?? '').replace(/reading https?:\S+ /, '').trim()}`
}

function findGo(): string | undefined {
	const folders = (process.env['PATH'] ?? '').split(delimiter)
	const root = process.env['GOROOT'] ?? ''
	if (root !== '') folders.push(join(root, 'bin'))
	return folders.map(folder => join(folder, 'go')).find(isProgram)
}

function isProgram(path: string): boolean {
	try {
		accessSync(path, constants.X_OK)
		return true
	} catch {
		return false
	}
}

function cacheFolder(name: string): string {
	const named = process.env['XDG_CACHE_HOME'] ?? ''
	return join(named === '' ? join(homedir(), '.cache') : named, 'isledb-bench', name)
}
