/**
 * What the demo prints: headings, results, and progress that redraws one line on a terminal and prints a plain line now
 * and then elsewhere.
 */
const { stdout } = process
const isTerminal: boolean = stdout.isTTY === true && process.env['CI'] === undefined
const hasColor: boolean = isTerminal && process.env['NO_COLOR'] === undefined

const paint =
	(code: string) =>
	(text: string): string =>
		hasColor ? `\u001b[${code}m${text}\u001b[0m` : text
export const bold: (text: string) => string = paint('1')
export const dim: (text: string) => string = paint('2')
const green = paint('32')
const red = paint('31')
const cyan = paint('36')

export const say = (text = ''): void => void stdout.write(`${text}\n`)

/** `1  Load 171,075 records`. */
export function heading(number: number, text: string): void {
	say(`\n  ${cyan(String(number))}  ${bold(text)}`)
}

/** One result: what, how it went, and a figure beside it. */
export function result(name: string, text: string, figure = ''): void {
	say(`     ${green('✓')} ${name.padEnd(9)} ${figure === '' ? text : `${text.padEnd(68)} ${dim(figure)}`}`)
}

export function failure(text: string): void {
	say(`     ${red('✗')} ${text}`)
}

export const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
export const plural = (count: number, name: string): string => `${whole(count)} ${name}${count === 1 ? '' : 's'}`
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
export const seconds = (ms: number): string => (ms < 1000 ? `${whole(ms)} ms` : `${(ms / 1000).toFixed(2)} s`)
export const rate = (count: number, ms: number): string => `${whole((count / Math.max(ms, 0.001)) * 1000)}/s`

const BAR_WIDTH = 30
/** A terminal is redrawn this often; elsewhere a line is printed this often. */
const REDRAW_MS = 80
const LINE_MS = 1000

/** Progress of one piece of work. */
export class Progress {
	readonly #total: number
	#drawnMs = Number.NEGATIVE_INFINITY

	constructor(total: number) {
		this.#total = total
		if (!isTerminal) this.#drawnMs = performance.now()
	}

	/** `describe` is asked only when something is drawn. */
	update(done: number, describe: () => string): void {
		const nowMs = performance.now()
		if (nowMs - this.#drawnMs < (isTerminal ? REDRAW_MS : LINE_MS)) return
		this.#drawnMs = nowMs
		const share = this.#total === 0 ? 1 : Math.min(1, done / this.#total)
		const percent = `${Math.floor(share * 100)} %`.padStart(5)
		if (!isTerminal) {
			say(`       ${percent}  ${describe()}`)
			return
		}
		const full = Math.round(share * BAR_WIDTH)
		const bar = green('━'.repeat(full)) + dim('━'.repeat(BAR_WIDTH - full))
		const room = Math.max(20, (stdout.columns || 100) - BAR_WIDTH - 16)
		stdout.write(`\r\u001b[2K     ${bar} ${percent}  ${describe().slice(0, room)}`)
	}

	/** Takes the bar away: a result follows. */
	end(): void {
		if (isTerminal) stdout.write('\r\u001b[2K')
	}
}
