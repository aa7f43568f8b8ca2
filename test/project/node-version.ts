/** Vitest's global set-up: the tests mean something only on a Node.js that the package supports. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is wrong with a version of Node.js, and what to do; `undefined` when it satisfies `range`, which is `>=a.b`. */
export function nodeVersionFault(version: string, range: string): string | undefined {
	const floor = /^>=(\d+)\.(\d+)(?:\.0)?$/.exec(range)
	const actual = /^v?(\d+)\.(\d+)\./.exec(version)
	if (floor === null || actual === null)
		throw new TypeError(`expected \`>=a.b\` and a.b.c, got ${range} and ${version}`)
	const [major, minor] = [Number(actual[1]), Number(actual[2])]
	const [floorMajor, floorMinor] = [Number(floor[1]), Number(floor[2])]
	if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return undefined
	return (
		`the tests need Node.js ${range} and run on ${version}: run them through npm (\`npm test\`, ` +
		'`npm exec -- vitest run …`), which puts the Node.js 24 of tools/node24 first; else install a newer Node.js'
	)
}

/** The floor that package.json promises. */
export function supportedNodeRange(): string {
	const path = join(import.meta.dirname, '../../package.json')
	const { engines }: { readonly engines: { readonly node: string } } = JSON.parse(readFileSync(path, 'utf8'))
	return engines.node
}

export function setup(): void {
	const fault = nodeVersionFault(process.versions.node, supportedNodeRange())
	if (fault !== undefined) throw new Error(fault)
}
