/**
 * Counts the bytes that code in JavaScript asks for by a number: `new Uint8Array(n)` and its like, `Buffer.alloc(n)`. One that would pass
 * the limit throws before anything is allocated, so that a length that claims gigabytes costs nothing and is told all the same, even
 * where the decoder takes what was thrown for damage.
 *
 * What the runtime allocates in C++ (zlib, the LZ4 addon, the kernel's memory) is not seen here: the command prints the peak of the process.
 */

const ARRAYS = ['ArrayBuffer', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'Float64Array', 'Array'] as const
const BUFFER_CALLS = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const

export class AllocationMeter implements Disposable {
	readonly #restore: (() => void)[] = []
	#bytes = 0
	#limitBytes = Number.POSITIVE_INFINITY
	/** What went past the limit, of the last `begin`. */
	excess: string | undefined

	/** From here on until it is disposed; two at a time do not work. */
	constructor() {
		for (const name of ARRAYS) this.#meterArray(name)
		for (const name of BUFFER_CALLS) this.#meterBuffer(name)
	}

	begin(limitBytes: number): void {
		this.#bytes = 0
		this.#limitBytes = limitBytes
		this.excess = undefined
	}

	/** Nothing is limited any more; answers what was asked for since `begin`. */
	end(): number {
		this.#limitBytes = Number.POSITIVE_INFINITY
		return this.#bytes
	}

	[Symbol.dispose](): void {
		for (const restore of this.#restore) restore()
	}

	#count(bytes: number, what: string): void {
		this.#bytes += bytes
		if (this.#bytes <= this.#limitBytes) return
		this.excess = `${what}: ${this.#bytes} bytes asked for, ${this.#limitBytes} are allowed`
		throw new Error(this.excess)
	}

	#meterArray(name: (typeof ARRAYS)[number]): void {
		const original: unknown = Reflect.get(globalThis, name)
		if (typeof original !== 'function') throw new TypeError(`Expected a constructor ${name}`)
		const unit = 'BYTES_PER_ELEMENT' in original ? Number(original.BYTES_PER_ELEMENT) : name === 'Array' ? 8 : 1
		const metered: typeof original = new Proxy(original, {
			construct: (target, args, newTarget): object => {
				if (args.length === 1 && typeof args[0] === 'number') this.#count(args[0] * unit, `new ${name}(${args[0]})`)
				return Reflect.construct(target, args, newTarget === metered ? target : newTarget)
			},
		})
		Reflect.set(globalThis, name, metered)
		this.#restore.push(() => void Reflect.set(globalThis, name, original))
	}

	#meterBuffer(name: (typeof BUFFER_CALLS)[number]): void {
		const original = Buffer[name]
		Reflect.set(Buffer, name, (bytes: number, ...rest: []) => {
			this.#count(bytes, `Buffer.${name}(${bytes})`)
			return original.call(Buffer, bytes, ...rest)
		})
		this.#restore.push(() => void Reflect.set(Buffer, name, original))
	}
}
