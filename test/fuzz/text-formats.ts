/** Text: cursors, positions, names of checkpoints, URLs of clouds; and the file that keeps a cursor. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsleError } from '../../src/errors.ts'
import type { LogPosition } from '../../src/log/log-position.ts'
import { decodePosition, encodePosition } from '../../src/log/log-position-codec.ts'
import { type CheckpointName, checkpointKey, parseCheckpointKey } from '../../src/manifest/checkpoint.ts'
import { checkEndpoint, cloudUrl, parseCloudUrl } from '../../src/object-store/cloud-url.ts'
import { type Cursor, decodeCursor, encodeCursor } from '../../src/tail/cursor.ts'
import { fileCheckpoint } from '../../src/tail/file-checkpoint.ts'
import { byteFormat, expectThat, type Format } from './format.ts'

const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'latin1'))
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** Refusals of an argument: misuse, which has no code. */
function refusal<Value>(decode: () => Value): { readonly value: Value } | undefined {
	try {
		return { value: decode() }
	} catch (error) {
		if (error instanceof TypeError || error instanceof RangeError || isIsleError(error, 'ISLE_CORRUPT'))
			return undefined
		throw error
	}
}

interface TextFormat<Value> {
	readonly name: string
	readonly samples: readonly string[]
	readonly decode: (text: string) => Value
	/** What was accepted must be what this makes of it. */
	readonly encode: (value: Value) => string
}

function textFormat<Value>({ name, samples, decode, encode }: TextFormat<Value>): Format {
	return byteFormat({
		name,
		samples: samples.map(text),
		judge({ bytes, kind }) {
			const input = textOf(bytes)
			const answer = refusal(() => decode(input))
			expectThat(answer !== undefined || kind !== 'sample', 'a sample is refused')
			if (answer === undefined) return 'refused'
			expectThat(encode(answer.value) === input, 'text that is accepted in a second form')
			return 'accepted'
		},
	})
}

const CURSORS: readonly Cursor[] = [
	{ kind: 'change', seq: 0, position: { epoch: 0, slot: 0 } },
	{ kind: 'change', seq: 4096, position: { epoch: 17, slot: 2 ** 40 } },
	{ kind: 'change', seq: Number.MAX_SAFE_INTEGER, position: { epoch: Number.MAX_SAFE_INTEGER, slot: 1 } },
	{
		kind: 'row',
		seq: 9,
		position: { epoch: 1, slot: 2 },
		committedAtMs: 1_700_000_000_000,
		key: Uint8Array.of(0, 0xff, 0x61),
	},
]

const POSITIONS: readonly LogPosition[] = [
	{ epoch: 0, slot: 0 },
	{ epoch: 300, slot: 2 ** 40 },
	{ epoch: Number.MAX_SAFE_INTEGER, slot: 12 },
]

const PARAMETERS = ['region', 'endpoint']
const SECRET = 'hunter2'

/** No message repeats what may be a password. */
function judgeUrl(url: string): 'accepted' | 'refused' {
	try {
		const { bucket, prefix, parameters } = parseCloudUrl(url, 's3', PARAMETERS)
		expectThat(bucket !== '' && !bucket.includes('/') && !bucket.includes('@'), 'a name with more in it')
		expectThat(!prefix.startsWith('/') && !prefix.endsWith('/'), 'a prefix with slashes at its ends')
		if (parameters['endpoint'] !== undefined) checkEndpoint(parameters['endpoint'])
		const again = parseCloudUrl(cloudUrl('s3', bucket, parameters), 's3', PARAMETERS)
		expectThat(JSON.stringify(again.parameters) === JSON.stringify(parameters), 'parameters that do not come back')
		return 'accepted'
	} catch (error) {
		if (!(error instanceof TypeError)) throw error
		// What stands in the place of the scheme, or of the name, is none.
		const scheme = /^[^:]*/.exec(url)?.[0] ?? ''
		const name = /^[^?]*/.exec(url)?.[0].replace(/^.*@/, '') ?? ''
		const isTold = scheme.includes(SECRET) || name.includes(SECRET)
		expectThat(isTold || !error.message.includes(SECRET), 'a message with a secret')
		return 'refused'
	}
}

const URLS = [
	's3://bucket/some/prefix?region=eu-1&endpoint=http://127.0.0.1:9000',
	`s3://user:${SECRET}@bucket/prefix`,
	`s3://bucket?endpoint=http://key:${SECRET}@host/`,
	`s3://bucket?password=${SECRET}`,
	's3://bucket/%20/a%2Fb?region=x',
]

/** A file of its own for each process. */
function fileCheckpointFormat(): Format {
	let path: string | undefined
	const makePath = (): string => {
		const directory = mkdtempSync(join(tmpdir(), 'isledb-fuzz-'))
		process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
		return join(directory, 'cursor')
	}
	return byteFormat({
		name: 'file-checkpoint',
		samples: CURSORS.map(cursor => text(`${encodeCursor(cursor)}\n`)),
		async judge({ bytes, kind }) {
			path ??= makePath()
			writeFileSync(path, bytes)
			let cursor: string | undefined
			try {
				cursor = await fileCheckpoint(path).load()
			} catch (error) {
				expectThat(kind !== 'sample', 'a sample is refused')
				if (!isIsleError(error, 'ISLE_CORRUPT')) throw error
				return 'refused'
			}
			expectThat(cursor !== undefined && encodeCursor(decodeCursor(cursor)) === cursor, 'a cursor that is none')
			return 'accepted'
		},
		// What node:fs reads an empty file into.
		allocationMaxBytes: () => 200_000,
	})
}

export const textFormats: readonly Format[] = [
	textFormat({ name: 'cursor', samples: CURSORS.map(encodeCursor), decode: decodeCursor, encode: encodeCursor }),
	textFormat({
		name: 'position',
		samples: POSITIONS.map(encodePosition),
		decode: value => decodePosition(value),
		encode: encodePosition,
	}),
	textFormat<CheckpointName>({
		name: 'checkpoint-name',
		samples: POSITIONS.slice(0, 2).map(at => checkpointKey({ writerPosition: at, maintenancePosition: at })),
		decode: parseCheckpointKey,
		encode: checkpointKey,
	}),
	byteFormat({ name: 'url', samples: URLS.map(text), judge: ({ bytes }) => judgeUrl(textOf(bytes)) }),
	fileCheckpointFormat(),
]
