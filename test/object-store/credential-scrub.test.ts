import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { harmlessCopy, withoutCredentials } from '../../src/object-store/credential-scrub.ts'

describe('withoutCredentials', () => {
	test('takes out what has the form of one, and keeps the rest', () => {
		const texts: Readonly<Record<string, string>> = {
			'GET /?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=abc%3D&Expires=1 by AKIAIOSFODNN7EXAMPLE':
				'GET /?AWSAccessKeyId=…&Signature=…&Expires=1 by AKIA…',
			'http://user:pass@host/path': 'http://…@host/path',
			'failed: https://x.test/box/a?sv=1&sig=s3cr3t': 'failed: https://x.test/box/a?…',
			'AccountKey=s3cr3t;BlobEndpoint=x': 'AccountKey=…;BlobEndpoint=x',
			'authorization: Bearer s3cr3t, next': 'authorization: Bearer … next',
			'{"private_key": "s3cr3t", "type": "x"}': '{"private_key": "…", "type": "x"}',
			'a -----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY----- b': 'a … b',
			'Unexpected token s, ..."_key": "s3cr3t"... is not valid JSON': 'a file or an answer is no JSON',
			'Command failed: get-keys --token s3cr3t\nno such user s3cr3t': 'Command failed: …',
			'hash 0123456789abcdef0123456789abcdef.': 'hash ….',
			'nothing to hide in eu-central-1 of log/0000000000000001/0000000000000002':
				'nothing to hide in eu-central-1 of …',
			'The specified bucket does not exist: my-bucket.s3.amazonaws.com':
				'The specified bucket does not exist: my-bucket.s3.amazonaws.com',
		}
		for (const [text, clean] of Object.entries(texts)) expect(withoutCredentials(text)).toBe(clean)
	})

	test('keeps the beginning of what is long, without half a word at its end', () => {
		const long = withoutCredentials(`${'a b '.repeat(1023)}s3cr3t=s3cr3t ${'x'.repeat(1_000_000)}`)
		expect(long.length).toBeLessThanOrEqual(4097)
		expect(long).toMatch(/^a b .* a b …$/)
	})

	test('takes out every key, token and signature of usual length, wherever it stands', () => {
		const base64 = fc.uint8Array({ minLength: 30, maxLength: 120 }).map(bytes => Buffer.from(bytes).toString('base64'))
		const secret = fc
			.oneof(
				base64,
				base64.map(encodeURIComponent),
				base64.map(text => text.replaceAll('+', '-').replaceAll('/', '_')),
				fc.uint8Array({ minLength: 20, maxLength: 64 }).map(bytes => Buffer.from(bytes).toString('hex')),
			)
			.filter(text => /\d/.test(text) || text.length >= 40)
		const words = fc.string({ maxLength: 30 })
		const around = fc.constantFrom(' ', '"', '`', '\n', '<', ':', ',', '(', ';')
		fc.assert(
			fc.property(words, around, secret, around, words, (before, left, hidden, right, after) => {
				expect(withoutCredentials(before + left + hidden + right + after)).not.toContain(hidden)
			}),
			{ numRuns: 2000, examples: [['', ' ', 'AAAAAAAAAAAAAAAAAAAAAAAAF/AAAAAAAAAAAAAAAA==', ' ', '']] },
		)
	})
})

test('a harmless copy has the name, the clean message and where it was thrown, and nothing else', () => {
	const error = Object.assign(new TypeError('no: token=s3cr3t', { cause: new Error('s3cr3t') }), { request: 's3cr3t' })
	const copy = harmlessCopy(error)
	expect([copy.name, copy.message, copy.cause]).toEqual(['TypeError', 'no: token=…', undefined])
	expect(copy.stack).toMatch(/^TypeError: no: token=…\n\s+at /)
	expect(Object.keys(copy)).toEqual(['name'])
	expect(harmlessCopy({ message: 'a bare object' }).message).toBe('a bare object')
	expect(harmlessCopy('text', 'Named')).toMatchObject({ name: 'Named', message: 'text' })
})
