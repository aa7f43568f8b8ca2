/**
 * Prints "passed failed skipped" of vitest's JSON report, for .ci/run. Runs under any Node.js.
 *
 * A test file that failed as a whole (it did not load, a hook threw) counts as one failure. A test file that is there and
 * not in the report ends this with 1: nothing may be green because it did not run.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

const root = process.cwd()
const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const present = readdirSync(join(root, 'test'), { recursive: true })
	.map(path => `test/${path.split(sep).join('/')}`)
	.filter(path => path.endsWith('.test.ts'))
const reported = new Map(report.testResults.map(file => [relative(root, file.name).split(sep).join('/'), file]))
const missing = present.filter(path => !reported.has(path))
if (missing.length > 0 || present.length === 0) {
	console.error(`${present.length} test files, not reported on: ${missing.join(', ')}`)
	process.exit(1)
}

let passed = 0
let failed = 0
let skipped = 0
for (const [path, { assertionResults, status }] of reported) {
	const failedHere = assertionResults.filter(result => result.status === 'failed').length
	passed += assertionResults.filter(result => result.status === 'passed').length
	failed += failedHere
	if (status !== 'passed' && failedHere === 0) {
		failed++
		console.error(`${path} failed as a whole`)
	}
	for (const { status: state, fullName } of assertionResults) {
		if (state === 'passed' || state === 'failed') continue
		skipped++
		console.error(`skipped: ${path}: ${fullName}`)
	}
}
console.log(`${passed} ${failed} ${skipped}`)
