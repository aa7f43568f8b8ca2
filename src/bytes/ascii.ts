/** Text that is known to be ASCII. */

/** `Buffer`'s own method works on any Uint8Array; of many bytes it costs half of `utf8Slice`. */
const { latin1Slice } = Buffer.prototype as unknown as {
	latin1Slice: (this: Uint8Array, start: number, end: number) => string
}

/** The text of `bytes[start, end)`, which are ASCII. */
export function decodeAscii(bytes: Uint8Array, start: number, end: number): string {
	return latin1Slice.call(bytes, start, end)
}
