/**
 * Turns the caller's keys into bytes for a lookup, without an allocation per call.
 *
 * Invariant: the array that `encode` returns is valid until the next call of `encode`; who needs it longer copies it.
 */

import type { Transcoder } from '../bytes/encoding.ts'
import { NO_BYTES } from '../bytes/no-bytes.ts'
import { KEY_MAX_BYTES } from '../sst/entry.ts'

/** A code unit of UTF-16 takes at the most three bytes of UTF-8. */
const UTF8_MAX_BYTES_PER_UNIT = 3
/** Views over the scratch memory are kept for keys up to this length: a new view costs as much as encoding the key. */
const KEPT_VIEW_MAX_BYTES = 256

const encoder = new TextEncoder()

export class KeyEncoder {
	readonly #transcoder: Transcoder<unknown>
	/** Made for the first key: some who open a database never ask for one. */
	#scratch: Uint8Array = NO_BYTES
	/** By length; made as they are asked for. */
	readonly #views: (Uint8Array | undefined)[] = []

	constructor(transcoder: Transcoder<unknown>) {
		this.#transcoder = transcoder
	}

	/** Bytes of a key to look up. TypeError for a wrong type, RangeError for a wrong length. */
	encode(key: unknown): Uint8Array {
		const encoded = this.#transcoder.encode(key, 'key')
		const bytes = typeof encoded === 'string' ? this.#encodeText(encoded) : encoded
		if (bytes.length === 0 || bytes.length > KEY_MAX_BYTES) {
			throw new RangeError(`Expected \`key\` to be 1 to ${KEY_MAX_BYTES} bytes long, got ${bytes.length}`)
		}
		return bytes
	}

	/** Bytes of a bound of a range, owned by the caller: it may be empty. */
	encodeBound(bound: unknown, what: string): Uint8Array {
		const encoded = this.#transcoder.encode(bound, what)
		// A copy of scratch memory: `TextEncoder.encode` allocates outside of V8's heap.
		return new Uint8Array(typeof encoded === 'string' ? this.#encodeText(encoded) : encoded)
	}

	#encodeText(text: string): Uint8Array {
		if (this.#scratch === NO_BYTES) this.#scratch = new Uint8Array(KEPT_VIEW_MAX_BYTES * UTF8_MAX_BYTES_PER_UNIT)
		const scratch = this.#scratch
		const units = text.length
		if (units <= KEPT_VIEW_MAX_BYTES) {
			let i = 0
			for (; i < units; i++) {
				const unit = text.charCodeAt(i)
				if (unit > 0x7f) break
				scratch[i] = unit
			}
			if (i === units) return this.#view(units)
		} else if (units * UTF8_MAX_BYTES_PER_UNIT > scratch.length) {
			if (units > KEY_MAX_BYTES) return encoder.encode(text)
			this.#scratch = new Uint8Array(units * UTF8_MAX_BYTES_PER_UNIT)
			this.#views.length = 0
		}
		return this.#view(encoder.encodeInto(text, this.#scratch).written)
	}

	#view(length: number): Uint8Array {
		if (length > KEPT_VIEW_MAX_BYTES) return this.#scratch.subarray(0, length)
		let view = this.#views[length]
		if (view === undefined) {
			view = this.#scratch.subarray(0, length)
			this.#views[length] = view
		}
		return view
	}
}
