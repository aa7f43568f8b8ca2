/** Checks of what callers pass: misuse is a plain `TypeError` or `RangeError` that names the argument. */

/** `value`, or `fallback` when it is undefined; an integer from `min` to `max`, both inclusive. */
export function integerOption(name: string, value: unknown, fallback: number, min: number, max: number): number {
	if (value === undefined) return fallback
	if (typeof value !== 'number') throw new TypeError(`Expected \`${name}\` to be a number, got ${describe(value)}`)
	if (!Number.isInteger(value) || value < min || value > max) {
		throw new RangeError(`Expected \`${name}\` to be an integer from ${min} to ${max}, got ${value}`)
	}
	return value
}

/** `value`, or `fallback` when it is undefined; one of `choices`. */
export function choiceOption<Choice extends string>(
	name: string,
	value: unknown,
	fallback: Choice,
	choices: readonly Choice[],
): Choice {
	if (value === undefined) return fallback
	const choice = choices.find(candidate => candidate === value)
	if (choice !== undefined) return choice
	const known = choices.map(candidate => `'${candidate}'`).join(', ')
	throw new RangeError(`Expected \`${name}\` to be one of ${known}, got ${describe(value)}`)
}

/** Refuses names that no option has: a misspelt option must not silently mean its default. */
export function refuseUnknownOptions(where: string, options: unknown, known: readonly string[]): void {
	if (typeof options !== 'object' || options === null) {
		throw new TypeError(`Expected \`${where}\` to be an object, got ${describe(options)}`)
	}
	for (const name of Object.keys(options)) {
		if (!known.includes(name)) throw new TypeError(`Expected \`${where}\` to have only known options, got \`${name}\``)
	}
}

/** A short text for messages: never the whole of a large value. */
export function describe(value: unknown): string {
	if (typeof value === 'string') return value.length > 40 ? `'${value.slice(0, 40)}…'` : `'${value}'`
	if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
		return String(value)
	return typeof value
}
