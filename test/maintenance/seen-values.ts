/** What a reader has seen of each key that writers of `three-processes.ts` write: it never goes back. */
import { printLine } from '../support/print-line.ts'
import { isOlder } from './three-processes.ts'

export class SeenValues {
	readonly #newest = new Map<string, string>()

	/** Some of the keys. */
	get someKeys(): string[] {
		return [...this.#newest.keys()].slice(0, 50)
	}

	/** Says so when `value` is older than one that was seen. */
	see(key: string, value: string | undefined): void {
		const tag = tagOf(value)
		if (tag === undefined) return
		const before = this.#newest.get(key)
		if (before !== undefined && isOlder(tag, before)) printLine(`fault ${key} goes back from ${before} to ${tag}`)
		this.#newest.set(key, tag)
	}
}

/** Run and number of the operation that wrote it. */
export function tagOf(value: string | undefined): string | undefined {
	return value?.slice(0, value.indexOf(' '))
}
