import { expect, test } from 'vitest'
import { joinBody } from '../../src/object-store/body.ts'
import { type FileCalls, systemFileCalls } from '../../src/object-store/file-calls.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { scratchDirectories } from '../support/scratch-directory.ts'

const fresh = scratchDirectories()
const MIB = 1_048_576

/** No two stretches of it that begin at other places are alike. */
function counted(bytes: number): Uint8Array {
	const words = new Uint32Array(Math.ceil(bytes / 4)).map((_, i) => Math.imul(i, 0x9e3779b1))
	return new Uint8Array(words.buffer, 0, bytes)
}

/** Notes the bytes of each call, of which `part` are written. */
function noted(asked: number[], part: (bytes: number) => number): FileCalls {
	return {
		...systemFileCalls,
		writev: (fd, pieces) => {
			const all = joinBody(pieces)
			asked.push(all.byteLength)
			return systemFileCalls.writev(fd, [all.subarray(0, part(all.byteLength))])
		},
	}
}

test.each([
	['a body of one piece', [counted(3 * MIB + 5)], [MIB, MIB, MIB, 5]],
	['a body in shared memory', [shared(MIB + 1)], [MIB, 1]],
	[
		'a body of several pieces, none of them alone',
		[counted(10), new Uint8Array(0), counted(2 * MIB), counted(20), counted(30)],
		[10, MIB, MIB, 50],
	],
])('%s is written by calls of at most a mebibyte', async (_, pieces, calls) => {
	const asked: number[] = []
	const store = await openFileStore({ directory: fresh(), calls: noted(asked, bytes => bytes) })
	await store.put('body', pieces)
	expect(asked).toEqual(calls)
	expect(Buffer.compare((await store.get('body')) ?? new Uint8Array(0), joinBody(pieces))).toBe(0)
	await store.close()
})

test('a body is whole though each call writes less than it was asked to', async () => {
	const asked: number[] = []
	const body = [counted(2 * MIB + 7), counted(100), counted(MIB)]
	const store = await openFileStore({ directory: fresh(), calls: noted(asked, bytes => Math.ceil((bytes * 2) / 3)) })
	await store.createIfAbsent('body', body)
	expect(Math.max(...asked)).toBeLessThanOrEqual(MIB)
	expect(asked.length).toBeGreaterThan(6)
	expect(Buffer.compare((await store.get('body')) ?? new Uint8Array(0), joinBody(body))).toBe(0)
	await store.close()
})

function shared(bytes: number): Uint8Array {
	const view = new Uint8Array(new SharedArrayBuffer(bytes))
	view.set(counted(bytes))
	return view
}
