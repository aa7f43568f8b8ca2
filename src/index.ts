/** The public API, by name. */
export type { CustomEncoding, Encoding, EncodingName } from './bytes/encoding.ts'
export { Database, type DatabaseStats, type OpenOptions, open } from './database.ts'
export { IsleError, type IsleErrorCode, isIsleError } from './errors.ts'
