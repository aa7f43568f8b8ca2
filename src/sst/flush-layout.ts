/**
 * What the kernel of flushes (wasm/flush-kernel.ts) and its caller (flush-kernel.ts) agree on, beside what kernel-layout.ts says
 * of blocks that are made: places in the memory that both see. AssemblyScript compiles this file too: numbers only.
 */

/** Where the fields below stand, behind those of kernel-layout.ts; behind it the caller gives out memory. */
export const FLUSH_START = 1280
export const FLUSH_END = 1408

/** Fields of 4 bytes that the caller sets: the entries of the memtable, end to end in the layout of entry-arena.ts. */
export const ARENA = 0
export const ARENA_END = 4
export const ENTRY_COUNT = 8
/** The smallest of the sequence numbers in the entries. */
export const FIRST_DELTA = 12
/** Memory of the sort: four columns of 4 bytes an entry, and ranges of 12 bytes, one for two entries. */
export const REFS = 16
export const SPARE_REFS = 20
export const PACKED = 24
export const SPARE_PACKED = 28
export const RANGES = 32
/** And three tables of `planWord`: marks, weights, counts of digits. */
export const OCCURS = 36
export const WEIGHTS = 40
export const DIGITS = 44
/** Blocks are made from here on, and none is begun from `OUT_LIMIT` on. */
export const OUT = 48
export const OUT_LIMIT = 52
/** What is said of each block that was made. */
export const MADE = 56
/** 8 bytes: the sequence number to which those in the entries are relative. */
export const BASE_SEQ = 72

/** Fields that the kernel sets: a column of the hashes of the distinct keys, and how many they are. */
export const KEY_HASHES = 60
export const HASH_COUNT = 84
/** A column of the entries whose values are references to blobs. */
export const BLOBS = 64
export const BLOB_COUNT = 80
/** 1 when all entries are in blocks. */
export const IS_DONE = 88
export const TOTAL_TOMBSTONES = 92
export const TOTAL_HAS_IMMORTAL = 96
/** Where the last key stands, and how long it is. */
export const LAST_KEY_AT = 100
export const LAST_KEY_BYTES = 104
/** 8 bytes each, of all blocks. */
export const TOTAL_BYTES = 112
export const TOTAL_MAX_EXPIRES_AT = 120
/** Means nothing. */
export const TOUCHED = 108

/** What is said of a block, 4 bytes each. */
export const BLOCK_RECORD_BYTES = 24
export const BLOCK_AT = 0
export const BLOCK_LENGTH = 4
/** Its first key, how much of it the last key before it shares, and 1 when the two are equal. */
export const BLOCK_KEY = 8
export const BLOCK_KEY_BYTES = 12
export const BLOCK_KEY_SHARED = 16
export const BLOCK_KEY_SAME = 20

/** `produce` stops when it has made so many blocks. */
export const BLOCKS_MAX = 256

/** What `produce` and `list` answer when the entries are not what they must be. */
export const BROKEN = -1
