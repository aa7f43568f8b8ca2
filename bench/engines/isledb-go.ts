/**
 * IsleDB for Go, which this project follows, by the program in `peers/isledb-go`. It is built at first use, where there is Go;
 * `ISLEDB_GO_SOURCE` names a folder with the module, where it is not to be had as others are.
 *
 * Used as its documentation says is fastest, or as trials have shown: one goroutine that writes, flushes whenever too much is
 * pending, and in the background without a pause; a block cache for all of the data where reads are cached (with it a get
 * took a third); values of 64 KiB at the most, which halves the memory that each memtable clears. Its file store does not
 * fsync, so that "durable" is weaker here: written and renamed. It has no gets of many keys, batches, or reverse scans.
 * What was written is read back and compared in every run.
 */
import { join } from 'node:path'
import { buildGoProgram, type GoProgram, pathOfGoProgram, versionOfModule } from '../go-program.ts'
import { digestOf, type ProgramEngine, runProgram } from '../program-engine.ts'

const PROGRAM: GoProgram = {
	name: 'isledb-go',
	folder: join(import.meta.dirname, '../peers/isledb-go'),
	module: 'github.com/ankur-anand/isledb',
	moduleFolder: process.env['ISLEDB_GO_SOURCE'] || undefined,
}

export const engine: ProgramEngine = {
	kind: 'program',
	name: 'isledb-go',
	version: PROGRAM.moduleFolder === undefined ? versionOfModule(PROGRAM) : 'of the folder in ISLEDB_GO_SOURCE',
	stores: ['file'],
	putsInFlight: 1,
	hasBatches: false,
	codecName: codec => (codec === 'none' ? 'none' : 'snappy'),
	settings: codec =>
		`compression ${codec === 'none' ? 'none' : 'snappy'}, background flush each 10 ms, maintenance in the same process (it looks each 5 s), ` +
		'block cache of 2 GiB where reads are cached, no fsync (its file store has none), durable puts of many clients by one ' +
		'flush for all of them, loops in Go',
	prepare: say => buildGoProgram(PROGRAM, say),
	measure({ plan, settings, directory, progress }) {
		const { scenario, records, valueBytes, seed, seconds } = plan
		const task = {
			scenario,
			directory,
			compression: settings['codec'] === 'none' ? 'none' : 'snappy',
			records,
			valueBytes,
			seed,
			seconds,
			mode: settings['mode'],
			isUnmaintained: settings['isUnmaintained'],
			digest: digestOf(plan),
		}
		return runProgram(pathOfGoProgram(PROGRAM), task, progress)
	},
}
