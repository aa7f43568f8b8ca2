/**
 * What requests cost, as data: list prices in US dollars, to estimate from and not to bill by. Neither storage nor
 * traffic is counted: within one region traffic is free with both providers.
 */

/** The calls of the store contract, by name. */
export type RequestKind =
	| 'get'
	| 'getRange'
	| 'getStream'
	| 'list'
	| 'put'
	| 'createIfAbsent'
	| 'createFromStream'
	| 'delete'
	| 'deleteMany'

export interface PriceTable {
	/** Whose prices, in which region and class of storage. */
	readonly name: string
	/** Where they were published. */
	readonly source: string
	/** When they were looked up; both have been the same for years. */
	readonly asOf: string
	/** US dollars for one request. */
	readonly usdPerRequest: Readonly<Record<RequestKind, number>>
}

function tiers(write: number, read: number): Readonly<Record<RequestKind, number>> {
	return {
		get: read,
		getRange: read,
		getStream: read,
		list: write,
		put: write,
		createIfAbsent: write,
		createFromStream: write,
		delete: 0,
		deleteMany: 0,
	}
}

/** PUT, COPY, POST, LIST $0.005 a thousand; GET and others $0.0004 a thousand; DELETE free. */
export const S3_STANDARD_PRICES: PriceTable = {
	name: 'Amazon S3 Standard, us-east-1',
	source: 'https://aws.amazon.com/s3/pricing/',
	asOf: '2025',
	usdPerRequest: tiers(0.005 / 1000, 0.0004 / 1000),
}

/** Class A (writes, listings) $0.005 a thousand; class B (reads) $0.0004 a thousand; deletions free. */
export const GCS_STANDARD_PRICES: PriceTable = {
	name: 'Google Cloud Storage Standard, single region',
	source: 'https://cloud.google.com/storage/pricing-examples',
	asOf: '2025',
	usdPerRequest: tiers(0.005 / 1000, 0.0004 / 1000),
}

/** For `memory:` and `file:`. */
export const FREE: PriceTable = {
	name: 'no charge',
	source: 'none',
	asOf: '2025',
	usdPerRequest: tiers(0, 0),
}
