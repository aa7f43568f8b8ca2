/**
 * Completes package-lock.json: `npm run lock`, after every `npm install` that changes it.
 *
 * Native tools come as one optional package per platform. When the registry that wrote the lock file did not serve some
 * of them, npm leaves them out, and `npm ci` then refuses the whole lock file as "not in sync", on every platform. The
 * missing entries can be written without the registry: the version stands in the package that asks for them, the
 * platform in their name. They have no integrity hash; npm reads them only to see that this platform does not want them.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface LockEntry {
	readonly version?: string
	readonly dev?: boolean
	readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface LockFile {
	readonly packages: Readonly<Record<string, LockEntry>>
}

interface PlatformEntry extends LockEntry {
	readonly version: string
	readonly cpu: readonly string[]
	readonly libc?: readonly string[]
	readonly optional: true
	readonly os: readonly string[]
}

const SYSTEMS = /\b(?:aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)\b/
const PROCESSORS = /\b(?:arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|wasm32|x64)\b/

/** The optional packages that an entry asks for and the lock file lacks, by their path in it. */
export function missingPlatformEntries(lock: LockFile): Map<string, PlatformEntry> {
	const present = new Set(Object.keys(lock.packages).map(path => path.slice(path.lastIndexOf('node_modules/') + 13)))
	const missing = new Map<string, PlatformEntry>()
	for (const entry of Object.values(lock.packages)) {
		for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
			if (!present.has(name)) missing.set(`node_modules/${name}`, platformEntry(name, version, entry.dev === true))
		}
	}
	return missing
}

function platformEntry(name: string, version: string, isDev: boolean): PlatformEntry {
	const os = SYSTEMS.exec(name)?.[0]
	const cpu = PROCESSORS.exec(name)?.[0]
	if (os === undefined || cpu === undefined) throw new Error(`expected a platform in the name of \`${name}\``)
	if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`expected an exact version of \`${name}\`, got ${version}`)
	return {
		version,
		cpu: [cpu],
		...(isDev ? { dev: true } : {}),
		...(/\bmusl\b|musleabi/.test(name) ? { libc: ['musl'] } : {}),
		optional: true,
		os: [os],
	}
}

if (process.argv[1] === import.meta.filename) {
	const path = join(import.meta.dirname, '../package-lock.json')
	const lock: LockFile = JSON.parse(readFileSync(path, 'utf8'))
	const missing = missingPlatformEntries(lock)
	const packages = Object.entries({ ...lock.packages, ...Object.fromEntries(missing) })
	packages.sort(([a], [b]) => (a < b ? -1 : 1))
	writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`)
	console.log(`package-lock.json: ${missing.size} entries for other platforms added`)
}
