/**
 * What the operations of each kind read through: the same caches, with what is asked for counted for that kind. Each is made at the
 * first operation of its kind: who opens a database does some of them, and most of what opening would make is these.
 */
import type { TableSource } from '../cache/table-source.ts'
import type { OperationCounts } from '../object-store/operation-counts.ts'
import type { BlobReader } from './blob-reader.ts'
import type { Operations } from './operations.ts'

export interface ReadWay {
	readonly source: TableSource
	readonly blobs: BlobReader
	readonly counts: OperationCounts
}

export class ReadWays {
	readonly #base: Pick<ReadWay, 'source' | 'blobs'>
	readonly #operations: Operations
	#get: ReadWay | undefined
	#getMany: ReadWay | undefined
	#getStream: ReadWay | undefined
	#scan: ReadWay | undefined
	#prefetch: ReadWay | undefined

	constructor(base: Pick<ReadWay, 'source' | 'blobs'>, operations: Operations) {
		this.#base = base
		this.#operations = operations
	}

	get get(): ReadWay {
		this.#get ??= this.#wayOf(this.#operations.get)
		return this.#get
	}

	get getMany(): ReadWay {
		this.#getMany ??= this.#wayOf(this.#operations.getMany)
		return this.#getMany
	}

	get getStream(): ReadWay {
		this.#getStream ??= this.#wayOf(this.#operations.getStream)
		return this.#getStream
	}

	get scan(): ReadWay {
		this.#scan ??= this.#wayOf(this.#operations.scan)
		return this.#scan
	}

	get prefetch(): ReadWay {
		this.#prefetch ??= this.#wayOf(this.#operations.prefetch)
		return this.#prefetch
	}

	#wayOf(counts: OperationCounts): ReadWay {
		const { source, blobs } = this.#base
		return { source: source.countedBy(counts), blobs: blobs.countedBy(counts), counts }
	}
}
