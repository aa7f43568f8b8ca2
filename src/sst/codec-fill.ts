/** Puts what a library decompressed where it belongs. */

/** Copies `result` into `raw`. @throws when it is not exactly as long. */
export function fill(raw: Uint8Array, result: Uint8Array): void {
	if (result.length !== raw.length) throw new Error(`${result.length} bytes came out where ${raw.length} were declared`)
	raw.set(result)
}
