/**
 * `npm run fuzz`: every decoder against changed bytes.
 *
 *     npm run fuzz -- --inputs 100000                      so many of every format, from a fresh seed
 *     npm run fuzz -- --inputs 100000 --seed 7 --format commit,table-lz4
 *     npm run fuzz -- --seed 7 --format commit --input 1234         one input again
 *     npm run fuzz -- --controls                           each decoder with a check taken out (planted-damage.ts): must be found
 *     npm run fuzz -- --planted number-in-any-form --format blob-ref       one of them
 *
 * It prints inputs a second by format, and what it finds; the exit code says whether it found something.
 */
import { parseArgs } from 'node:util'
import { systemHost } from '../../src/host/host.ts'
import type { Format } from './format.ts'
import { FORMATS } from './formats.ts'
import { type Find, type FuzzReport, fuzz } from './fuzzer.ts'
import { loadDamaged, PLANTED_DAMAGE, type PlantedDamage } from './planted-damage.ts'

const { values: args } = parseArgs({
	options: {
		inputs: { type: 'string' },
		seed: { type: 'string' },
		format: { type: 'string' },
		input: { type: 'string' },
		planted: { type: 'string' },
		controls: { type: 'boolean' },
		finds: { type: 'string' },
	},
})
const { clock, random } = systemHost
const DEFAULT_INPUTS = 10_000
/** Seeds are 31 bits. */
const SEEDS = 2 ** 31
const SHOWN_CHARACTERS = 2000

function numbered(name: 'inputs' | 'seed' | 'input' | 'finds'): number | undefined {
	const text = args[name]
	if (text === undefined) return undefined
	const value = Number(text)
	if (text === '' || !Number.isInteger(value) || value < 0) {
		throw new RangeError(`Expected --${name} to be a whole number, got '${text}'`)
	}
	return value
}

function chosen(formats: readonly Format[]): readonly Format[] {
	if (args.format === undefined) return formats
	const names = args.format.split(',')
	const unknown = names.filter(name => !formats.some(format => format.name === name))
	if (unknown.length > 0) {
		const known = formats.map(format => format.name).join(', ')
		throw new RangeError(`Expected --format to be among ${known}; got ${unknown.join(', ')}`)
	}
	return formats.filter(format => names.includes(format.name))
}

function show({ format, inputs, accepted, refused, mostAllocatedBytes }: FuzzReport, ms: number): void {
	const perSecond = Math.round((1000 * inputs) / Math.max(1, ms))
	const kib = Math.round(mostAllocatedBytes / 1024)
	const columns = [format.padEnd(32), String(inputs).padStart(9), String(perSecond).padStart(8)]
	console.log(`${columns.join(' ')} a second, ${accepted} accepted, ${refused} refused, at most ${kib} KiB for one`)
}

function showFind({ format, seed, input, what, shown }: Find): void {
	console.log(`FOUND in ${format}: ${what}\n  ${shown.slice(0, SHOWN_CHARACTERS)}`)
	const planted = args.planted === undefined ? '' : ` --planted ${args.planted}`
	console.log(`again: npm run fuzz -- --seed ${seed} --format ${format} --input ${input}${planted}`)
}

function damageNamed(name: string): PlantedDamage {
	const damage = PLANTED_DAMAGE.find(candidate => candidate.name === name)
	if (damage !== undefined) return damage
	throw new RangeError(`Expected --planted to be among ${PLANTED_DAMAGE.map(known => known.name).join(', ')}`)
}

/** False when something was found. */
async function runFormats(seed: number): Promise<boolean> {
	const one = numbered('input')
	const inputs = one === undefined ? (numbered('inputs') ?? DEFAULT_INPUTS) : 1
	const damage = args.planted === undefined ? undefined : damageNamed(args.planted)
	const formats = damage === undefined ? FORMATS : await loadDamaged(damage)
	let found = 0
	let total = 0
	const beganMs = clock.monotonicMs()
	for (const format of chosen(formats)) {
		const formatBeganMs = clock.monotonicMs()
		const limits = { maxFinds: numbered('finds') ?? 1, hangMs: damage?.hangMs }
		const report = await fuzz(format, { seed, inputs, first: one ?? 0, ...limits })
		show(report, clock.monotonicMs() - formatBeganMs)
		for (const find of report.finds) showFind(find)
		found += report.finds.length
		total += report.inputs
	}
	const seconds = (clock.monotonicMs() - beganMs) / 1000
	const peakMib = Math.round(process.resourceUsage().maxRSS / 1024)
	console.log(`${total} inputs in ${seconds.toFixed(1)} s, ${found} finds; the process took at most ${peakMib} MiB`)
	return found === 0
}

/** False when a planted damage was not found. */
async function runControls(seed: number): Promise<boolean> {
	let areFound = true
	for (const damage of PLANTED_DAMAGE) {
		const format = (await loadDamaged(damage)).find(candidate => candidate.name === damage.format)
		if (format === undefined) throw new RangeError(`Expected a format ${damage.format}`)
		const { finds, inputs } = await fuzz(format, { seed, inputs: damage.inputsMax, hangMs: damage.hangMs })
		const what = finds[0]?.what.split('\n')[0]
		if (what === undefined) console.log(`NOT FOUND ${damage.name} in ${inputs} inputs of ${damage.format}`)
		else console.log(`found ${damage.name} in ${inputs} inputs of ${damage.format}: ${what}`)
		areFound &&= what !== undefined
	}
	return areFound
}

const seed = numbered('seed') ?? Math.floor(random.next() * SEEDS)
console.log(`seed ${seed}`)
if (!(args.controls === true ? await runControls(seed) : await runFormats(seed))) process.exitCode = 1
