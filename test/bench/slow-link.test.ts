/** The link of the benchmark, by what arrives: bytes in their order, ends, and nothing after it is closed. */
import { createServer, request, type Server } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSlowLink, type SlowLink } from '../../bench/slow-link.ts'

const BODY = Buffer.from(Uint8Array.from({ length: 9_000_001 }, (_, i) => (i * 7 + (i >>> 8)) & 255))

let server: Server
let link: SlowLink

beforeAll(async () => {
	server = createServer((incoming, outgoing) => incoming.pipe(outgoing))
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
	const address = server.address()
	const port = typeof address === 'object' && address !== null ? address.port : 0
	link = await openSlowLink(`http://127.0.0.1:${port}`, { rttMs: 3, uploadMbit: 4_000 })
})
afterAll(async () => {
	await link.close()
	server.closeAllConnections()
	await new Promise(resolve => server.close(resolve))
})

/** What comes back of `body`. */
const echo = (body: Buffer): Promise<Buffer> =>
	new Promise((resolve, reject) => {
		const asking = request(link.endpoint, { method: 'POST' }, answer => {
			const pieces: Uint8Array[] = []
			answer.on('data', (piece: Uint8Array) => pieces.push(piece))
			answer.once('error', reject).once('end', () => resolve(Buffer.concat(pieces)))
		})
		asking.on('error', reject)
		asking.end(body)
	})

test('passes bodies on whole and in order, both ways, several at once', async () => {
	const bodies = [BODY, BODY.subarray(1), BODY.subarray(0, 1), Buffer.alloc(0)]
	const answers = await Promise.all(bodies.map(echo))
	for (const [i, body] of bodies.entries()) expect(Buffer.compare(answers[i] ?? Buffer.from('none'), body)).toBe(0)
})

test('ends a connection whose other end is gone', async () => {
	const broken = await openSlowLink('http://127.0.0.1:9', { rttMs: 0 })
	const failure = await fetch(broken.endpoint).catch((error: unknown) => error)
	expect(failure).toBeInstanceOf(TypeError)
	await broken.close()
})
