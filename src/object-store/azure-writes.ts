/**
 * Writing to Azure Blob Storage: whole objects in one request, large ones and streams as staged blocks.
 *
 * Create-if-absent is `If-None-Match: *`: 201 created; 409 `BlobAlreadyExists` and 412 mean that the key is taken. With
 * blocks the condition stands at the commit. Block ids carry random bytes, because uncommitted blocks belong to the key
 * and not to the upload: with the same ids two uploads of one key would commit each other's bytes. A key with staged
 * blocks alone has no object; Azurite nevertheless answers a conditional write in one request that it exists.
 *
 * Invariants: a conditional request is sent once; a block may be sent again, under the same id; at most
 * `MAX_BLOCKS_UNDER_WAY` blocks of one upload are under way; a block that failed fails the upload.
 */
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob'
import { isIsleError } from '../errors.ts'
import { azureCode, azureError, azureStatus } from './azure-errors.ts'
import type { CloudUpload, WriteCondition, WriteVerdict } from './cloud-driver.ts'
import type { RequestLimits } from './request-limits.ts'

const MIB = 1024 * 1024
/** A block takes up to 4000 MiB, a blob 50,000 blocks: 390 GiB at this size. */
export const BLOCK_BYTES: number = 8 * MIB
const MAX_BLOCKS_UNDER_WAY = 4
/** Answers' deadlines that the commit gets, which puts the blocks together and is sent once: 60 s. */
const COMMIT_PATIENCE = 6
const BLOCK_ID_RANDOM_BYTES = 12
/** Digits of the number of a block: all ids of a blob have one length (the service demands it). */
const BLOCK_NUMBER_DIGITS = 6

export class AzureWrites {
	readonly #container: ContainerClient
	readonly #limits: RequestLimits

	constructor(container: ContainerClient, limits: RequestLimits) {
		this.#container = container
		this.#limits = limits
	}

	/** One request for one object. */
	writeWhole(key: string, body: Uint8Array, condition: WriteCondition, signal: AbortSignal): Promise<WriteVerdict> {
		const deadlineMs = this.#limits.deadlineMs(body.byteLength)
		return this.#limits.once({ operation: 'write', key }, signal, deadlineMs, inner => {
			const options = { conditions: conditionsOf(condition), abortSignal: inner }
			return this.#verdict('write', key, () => this.#blob(key).upload(body, body.byteLength, options))
		})
	}

	newUploadId(): string {
		return Buffer.from(this.#limits.host.random.bytes(BLOCK_ID_RANDOM_BYTES)).toString('hex')
	}

	/** Repeated while the store is away: the same block twice is one. */
	stage(key: string, blockId: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
		const options = { signal, repeatSignal: signal, deadlineMs: this.#limits.deadlineMs(body.byteLength) }
		return this.#limits.repeated({ operation: 'stageBlock', key }, options, async inner => {
			try {
				await this.#blob(key).stageBlock(blockId, body, body.byteLength, { abortSignal: inner })
			} catch (error) {
				throw azureError(error, 'stageBlock', key, this.#container.containerName)
			}
		})
	}

	commit(
		key: string,
		blockIds: readonly string[],
		condition: WriteCondition,
		signal: AbortSignal,
	): Promise<WriteVerdict> {
		const conditions = conditionsOf(condition)
		const deadlineMs = this.#limits.answerMs * COMMIT_PATIENCE
		return this.#limits.once({ operation: 'commitBlocks', key }, signal, deadlineMs, async inner => {
			const blob = this.#blob(key)
			try {
				return await this.#verdict('commitBlocks', key, () =>
					blob.commitBlockList([...blockIds], { conditions, abortSignal: inner }),
				)
			} catch (error) {
				// The commit of another upload has dropped our blocks: ours took no effect, and the key is taken.
				const areDropped = isIsleError(error) && error.details['error'] === 'InvalidBlockList'
				if (areDropped && condition === 'absent' && (await this.#isThere(blob, key, inner))) return 'exists'
				throw error
			}
		})
	}

	#blob(key: string): BlockBlobClient {
		return this.#container.getBlockBlobClient(key)
	}

	async #verdict(operation: string, key: string, write: () => Promise<unknown>): Promise<WriteVerdict> {
		try {
			await write()
			return 'created'
		} catch (error) {
			if (isTaken(error)) return 'exists'
			throw azureError(error, operation, key, this.#container.containerName)
		}
	}

	async #isThere(blob: BlockBlobClient, key: string, signal: AbortSignal): Promise<boolean> {
		try {
			return await blob.exists({ abortSignal: signal })
		} catch (error) {
			throw azureError(error, 'commitBlocks', key, this.#container.containerName)
		}
	}
}

/** One object in blocks; a body that fits into the last part is one request. */
export class BlockUpload implements CloudUpload {
	readonly #writes: AzureWrites
	readonly #key: string
	readonly #condition: WriteCondition
	readonly #signal: AbortSignal
	readonly #stop = new AbortController()
	readonly #uploadId: string
	readonly #blockIds: string[] = []
	readonly #underWay = new Set<Promise<void>>()
	#failure: { readonly cause: unknown } | undefined

	constructor(writes: AzureWrites, key: string, condition: WriteCondition, signal: AbortSignal) {
		this.#writes = writes
		this.#key = key
		this.#condition = condition
		this.#signal = AbortSignal.any([signal, this.#stop.signal])
		this.#uploadId = writes.newUploadId()
	}

	async write(part: Uint8Array): Promise<void> {
		while (this.#underWay.size >= MAX_BLOCKS_UNDER_WAY) await Promise.race(this.#underWay)
		this.#throwIfFailed()
		const number = String(this.#blockIds.length).padStart(BLOCK_NUMBER_DIGITS, '0')
		const id = Buffer.from(this.#uploadId + number).toString('base64')
		this.#blockIds.push(id)
		const staging: Promise<void> = this.#writes.stage(this.#key, id, part, this.#signal).then(
			() => void this.#underWay.delete(staging),
			(cause: unknown) => {
				this.#underWay.delete(staging)
				this.#failure ??= { cause }
			},
		)
		this.#underWay.add(staging)
	}

	async finish(last: Uint8Array): Promise<WriteVerdict> {
		if (this.#blockIds.length === 0) {
			return this.#writes.writeWhole(this.#key, last, this.#condition, this.#signal)
		}
		if (last.byteLength > 0) await this.write(last)
		await Promise.all(this.#underWay)
		this.#throwIfFailed()
		return this.#writes.commit(this.#key, this.#blockIds, this.#condition, this.#signal)
	}

	/** The service drops uncommitted blocks after a week, and bills them until then. */
	abandon(): void {
		this.#stop.abort()
	}

	#throwIfFailed(): void {
		if (this.#failure !== undefined) throw this.#failure.cause
	}
}

/** True for the two answers that say: the key has an object, nothing was changed. */
function isTaken(error: unknown): boolean {
	const status = azureStatus(error)
	return (status === 409 && azureCode(error) === 'BlobAlreadyExists') || status === 412
}

function conditionsOf(condition: WriteCondition): { ifNoneMatch?: string } {
	return condition === 'absent' ? { ifNoneMatch: '*' } : {}
}
