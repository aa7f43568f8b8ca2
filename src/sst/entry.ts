/**
 * What every layer means by an entry: kinds, limits, sequence numbers.
 *
 * Entries are ordered by user key (bytes, unsigned, ascending), then by sequence number, newest first.
 */
import { brokenInvariant } from '../errors.ts'

/** Persisted in tables: never renumber. */
export const KIND_TOMBSTONE = 0
/** The value stands beside its key. Persisted: never renumber. */
export const KIND_VALUE = 1
/** The value is an encoded `BlobRef`. Persisted: never renumber. */
export const KIND_BLOB = 2

export type EntryKind = typeof KIND_TOMBSTONE | typeof KIND_VALUE | typeof KIND_BLOB

/** Keys are 1 byte to 64 KiB. */
export const KEY_MAX_BYTES = 65_536
/** Values handed over in memory are 0 bytes to 256 MiB; larger ones are streams. */
export const VALUE_MAX_BYTES = 268_435_456

declare const seqBrand: unique symbol
/** Position of a mutation in the one order of a database, from 1. 0 stands before the first. */
export type Seq = number & { readonly [seqBrand]: true }

/** 2^53 − 1 is 285 years at a million writes a second. */
export function toSeq(value: number): Seq {
	if (!(Number.isSafeInteger(value) && value >= 0)) throw brokenInvariant(`sequence number ${value}`)
	return value as Seq
}

/** 0 means "never expires". An entry is gone from the instant `expiresAtMs` on. */
export function isExpired(expiresAtMs: number, nowMs: number): boolean {
	return expiresAtMs !== 0 && expiresAtMs <= nowMs
}
