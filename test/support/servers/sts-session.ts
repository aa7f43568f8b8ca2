/**
 * Temporary credentials from a server's own token service (AWS STS, which Ceph RGW speaks too): one signed request, by
 * hand, because the SDK for it is no dependency of the project.
 *
 * The signature is Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto'
import { systemClock } from '../../../src/host/clock.ts'
import type { ReachedServer } from './s3-test-store.ts'

export interface Session {
	readonly accessKeyId: string
	readonly secretAccessKey: string
	readonly sessionToken: string
}

/** Takes a role for so many seconds. */
export async function assumeRole(server: ReachedServer, role: string, seconds: number): Promise<Session> {
	const body = new URLSearchParams({
		Action: 'AssumeRole',
		Version: '2011-06-15',
		RoleArn: `arn:aws:iam:::role/${role}`,
		RoleSessionName: 'test',
		DurationSeconds: String(seconds),
	}).toString()
	const answer = await fetch(server.endpoint, { method: 'POST', body, headers: signed(server, body) })
	const text = await answer.text()
	if (!answer.ok) throw new Error(`no session: ${answer.status} ${text}`)
	const field = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1] ?? ''
	const [accessKeyId, secretAccessKey] = [field('AccessKeyId'), field('SecretAccessKey')]
	return { accessKeyId, secretAccessKey, sessionToken: field('SessionToken') }
}

function signed({ endpoint, accessKeyId, secretAccessKey }: ReachedServer, body: string): Record<string, string> {
	const time = new Date(systemClock.nowMs()).toISOString().replace(/[-:]|\.\d+/g, '')
	const scope = [time.slice(0, 8), 'us-east-1', 'sts', 'aws4_request']
	const headers = {
		'content-type': 'application/x-www-form-urlencoded',
		host: new URL(endpoint).host,
		'x-amz-content-sha256': hash(body),
		'x-amz-date': time,
	}
	const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
	const names = Object.keys(headers).join(';')
	const canonical = ['POST', '/', '', lines.join(''), names, hash(body)].join('\n')
	const toSign = ['AWS4-HMAC-SHA256', time, scope.join('/'), hash(canonical)].join('\n')
	const key = scope.reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`)
	const signature = hmac(key, toSign).toString('hex')
	const credential = `Credential=${accessKeyId}/${scope.join('/')}`
	return { ...headers, authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${signature}` }
}

function hash(text: string): string {
	return createHash('sha256').update(text).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
	return createHmac('sha256', key).update(text).digest()
}
