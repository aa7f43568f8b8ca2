import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { type CustomEncoding, copyBytes, decodeText, type Encoding, transcoderOf } from '../../src/bytes/encoding.ts'

function roundTrip(encoding: Encoding, value: unknown): unknown {
	const transcoder = transcoderOf(encoding, 'valueEncoding')
	const encoded = transcoder.encode(value, 'value')
	const bytes = typeof encoded === 'string' ? new TextEncoder().encode(encoded) : encoded
	const framed = new Uint8Array([1, 2, 3, ...bytes, 4])
	return transcoder.decode(framed, 3, 3 + bytes.length)
}

describe('an encoding', () => {
	test('of text gives back any text', () => {
		fc.assert(
			fc.property(fc.string({ unit: 'grapheme' }), value => {
				expect(roundTrip('utf8', value)).toBe(value)
			}),
		)
		expect(roundTrip('utf8', '')).toBe('')
		expect(decodeText(Uint8Array.of(0x61, 0xff, 0x62), 0, 3)).toBe('a\ufffdb')
	})

	test('of bytes gives back copies that share nothing with what was given', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 10_000 }), value => {
				expect(roundTrip('buffer', value)).toEqual(value)
			}),
		)
		const source = new Uint8Array(10_000).fill(1)
		for (const bytes of [0, 1, 28, 29, 4096, 4097]) {
			const [copy, neighbour] = [copyBytes(source, 0, bytes), copyBytes(source, 0, bytes)]
			copy.fill(7)
			expect(neighbour.every(byte => byte === 1)).toBe(true)
			expect(source.every(byte => byte === 1)).toBe(true)
			expect(copy.length).toBe(bytes)
		}
	})

	test('of bytes gives copies after a caller has transferred the memory of his, of none and the first ones too', async () => {
		vi.resetModules()
		const { copyBytes: copy } = await import('../../src/bytes/encoding.ts')
		for (const bytes of [0, 0, 5, 0, 5]) {
			const given = copy(new Uint8Array(bytes).fill(1), 0, bytes)
			expect(given).toEqual(new Uint8Array(bytes).fill(1))
			if (given.buffer instanceof ArrayBuffer) structuredClone(given, { transfer: [given.buffer] })
			expect(given.buffer).toMatchObject({ byteLength: 0, detached: true })
		}
	})

	test('of JSON gives back what JSON can say, and refuses what it cannot', () => {
		fc.assert(
			fc.property(fc.jsonValue(), value => {
				expect(roundTrip('json', value)).toEqual(JSON.parse(JSON.stringify(value)))
			}),
		)
		expect(() => transcoderOf('json', 'v').encode(undefined, 'value')).toThrow(TypeError)
		expect(() => transcoderOf('json', 'v').encode(() => 1, 'value')).toThrow(TypeError)
	})

	test('of the application gets bytes of its own and must make bytes', () => {
		let seen: Uint8Array | undefined
		const date: CustomEncoding<Date> = {
			name: 'date',
			encode: value => new Uint8Array(new Float64Array([value.getTime()]).buffer),
			decode: bytes => {
				seen = bytes
				return new Date(new DataView(bytes.buffer).getFloat64(0, true))
			},
		}
		expect(roundTrip(date, new Date(5))).toEqual(new Date(5))
		expect(seen?.buffer.byteLength).toBe(8)
		const wrong = { ...date, encode: () => 'text' as never }
		expect(() => transcoderOf(wrong, 'v').encode(new Date(1), 'value')).toThrow(TypeError)
	})

	test('that is none, and values of a wrong type, are TypeErrors', () => {
		for (const encoding of ['utf16', {}, null, 5, { name: 'x', encode: () => new Uint8Array(0) }]) {
			expect(() => transcoderOf(encoding as Encoding, 'keyEncoding')).toThrow(TypeError)
		}
		for (const value of [1, null, undefined, {}, [1]]) {
			expect(() => transcoderOf('utf8', 'k').encode(value, 'key')).toThrow('`key`')
			expect(() => transcoderOf('buffer', 'k').encode(value, 'key')).toThrow(TypeError)
		}
	})
})
