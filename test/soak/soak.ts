/**
 * `npm run soak -- --minutes N [--seed N] [--store URL] [--turn-seconds N]`: mixed load with takeovers for a long time; the exit code says
 * whether all was right, memory and openings stayed as they were, and nothing was left over. Without a store: in a directory of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { systemHost } from '../../src/host/host.ts'
import { verdictOf } from './soak-report.ts'
import { soak } from './soak-run.ts'

const { values: args } = parseArgs({
	options: {
		minutes: { type: 'string', default: '1' },
		seed: { type: 'string', default: String(Math.floor(systemHost.random.next() * 1_000_000_000)) },
		store: { type: 'string' },
		'turn-seconds': { type: 'string', default: '5' },
	},
})
/** Each way of taking over, twice. */
const MIN_TURNS = 8

function numberOf(name: 'minutes' | 'seed' | 'turn-seconds'): number {
	const value = Number(args[name])
	if (args[name] === '' || !(value >= 0)) throw new RangeError(`Expected --${name} to be a number, got '${args[name]}'`)
	return value
}

const directory = mkdtempSync(join(tmpdir(), 'isledb-soak-'))
try {
	const seed = numberOf('seed')
	const beganMs = systemHost.clock.monotonicMs()
	console.log(`seed ${seed}`)
	const report = await soak({
		url: args.store ?? pathToFileURL(directory).href,
		seed,
		durationMs: numberOf('minutes') * 60_000,
		minTurns: MIN_TURNS,
		turnMs: numberOf('turn-seconds') * 1000,
		onTurn: turn => {
			if (process.stderr.isTTY) process.stderr.write(`\rturn ${turn + 1} `)
		},
	})
	const { text, isSound } = verdictOf(report)
	console.log(`${((systemHost.clock.monotonicMs() - beganMs) / 60_000).toFixed(1)} minutes\n${text}`)
	if (!isSound) process.exitCode = 1
} finally {
	rmSync(directory, { recursive: true, force: true })
}
