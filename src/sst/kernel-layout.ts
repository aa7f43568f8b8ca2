/**
 * What the kernel of merges (wasm/merge-kernel.ts) and its caller (merge-kernel.ts) agree on: places in the memory that
 * both see, and what the kernel stops for. AssemblyScript compiles this file too: numbers only.
 */

/** Where the fields below stand; behind it the caller gives out memory. */
export const STATE_START = 1024
export const STATE_END = 1280

/** Fields of 4 bytes that the caller sets before a merge, from STATE_START. */
export const SLOTS = 0
export const SLOT_COUNT = 4
export const LOSERS = 8
export const TREE_HEADS = 12
export const PREFIX = 16
export const LAST_KEY = 20
/** Where the entries of the block that is made stand; before it there is room for a header and the longest key. */
export const DATA = 24
export const ENDS = 28
export const SEQS = 32
export const EXPIRIES = 36
export const KINDS = 40
export const HASHES = 44
export const TOUCHED = 48
export const BLOCK_BYTES = 52
export const DROPS_TOMBSTONES = 56
/** How often in a row a block is not passed because a small one would end before it. */
export const PATIENCE = 60
/** 8 bytes. */
export const EXPIRE_BEFORE_MS = 64
/** 8 bytes, set by the caller whenever a table begins and a block ends: a table ends when the block at hand has so many bytes. */
export const ROOM_BYTES = 72

/** Fields that the kernel sets. */
export const WINNER = 80
export const MADE_AT = 84
export const MADE_BYTES = 88
export const MADE_COUNT = 92
export const MADE_TOMBSTONES = 96
export const MADE_HAS_IMMORTAL = 100
export const MADE_PREFIX_BYTES = 104
export const MADE_DATA_BYTES = 108
export const TOUCHED_COUNT = 112
/** Where the value of the last entry stands, and how long it is. */
export const VALUE_AT = 116
export const VALUE_BYTES = 120
/** 8 bytes each. */
export const MADE_MIN_SEQ = 128
export const MADE_MAX_SEQ = 136
export const MADE_MAX_EXPIRES_AT = 144
export const ENTRIES_READ = 152
export const ENTRIES_WRITTEN = 160
export const TOMBSTONES_DROPPED = 168
export const EXPIRED_DROPPED = 176
/** The two sources that have the same version of a key. */
export const BROKEN_FIRST = 184
export const BROKEN_SECOND = 188

/** A slot holds a source and its block at hand. Set by the caller: */
export const SLOT_BYTES = 96
export const SLOT_BLOCK = 0
export const SLOT_LENGTH = 4
export const SLOT_POSITIONS = 8
export const SLOT_HEADS = 12
export const SLOT_SEQS = 16
/** The entry that comes next, and the one behind the last; equal: the source has ended. */
export const SLOT_AT = 20
export const SLOT_END = 24
/** 1: the block may go to the output as it is stored, as far as the caller knows. */
export const SLOT_PASSABLE = 28
/** Set by `open`. */
export const SLOT_PREFIX = 32
export const SLOT_PREFIX_BYTES = 36
export const SLOT_KIND = 40
/** 0: all entries are of SLOT_KIND. */
export const SLOT_KINDS = 44
export const SLOT_EXPIRIES = 48
export const SLOT_EXPIRY_WIDTH = 52
/** 8 bytes. */
export const SLOT_MIN_EXPIRES_AT = 56
export const SLOT_PREFIX_HASH = 64
/** 1: an entry of the block at hand of the output is from here. */
export const SLOT_TOUCHED = 68

/** What `run` stops for, and how it goes on. */
export const STOP_END = 0
/** The winner's block has no more entries: open the next one (or none), then `FROM_NEXT`. */
export const STOP_BLOCK = 1
/** The entry at hand does not fit: `encode`, then `FROM_APPEND`. */
export const STOP_FULL = 2
/** The table is full: `encode`, begin a table, then `FROM_APPEND`. */
export const STOP_TABLE = 3
/** The winner's whole block comes before all others: take it and `skip`, or go on with `FROM_TAKE`. */
export const STOP_PASS = 4
/** A reference to a blob was appended: go on with `FROM_ADVANCE`. */
export const STOP_BLOB = 5
/** The order of the entries is broken. */
export const STOP_ORDER = 6
/** Two sources have the same version of a key. */
export const STOP_TWICE = 7

export const FROM_LOOK = 0
export const FROM_NEXT = 1
export const FROM_TAKE = 2
export const FROM_APPEND = 3
export const FROM_ADVANCE = 4

/** Bytes that the kernel may read or write behind what it copies. */
export const SLACK_BYTES = 16
