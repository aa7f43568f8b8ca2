/** An entry as it stands in a memtable (layout: src/sst/entry-arena.ts): where its parts are. */

export const HEADER_BYTES: usize = 16
const LENGTH_MASK: u32 = 0x1fff_ffff
const KIND_SHIFT: u32 = 29

export function seqDeltaAt(at: usize): u32 {
	return load<u32>(at)
}

export function keyAt(at: usize): usize {
	return at + HEADER_BYTES
}

export function keyBytesAt(at: usize): i32 {
	return load<i32>(at, 12)
}

export function valueBytesAt(at: usize): i32 {
	return i32(load<u32>(at, 8) & LENGTH_MASK)
}

export function kindAt(at: usize): i32 {
	return i32((load<u32>(at, 8) >> KIND_SHIFT) & 3)
}

export function padded(bytes: i32): usize {
	return usize((bytes + 3) & ~3)
}

export function valueAt(at: usize): usize {
	return at + HEADER_BYTES + padded(keyBytesAt(at))
}

function hasExpiryAt(at: usize): bool {
	return load<i32>(at, 8) < 0
}

/** 0 means never. */
export function expiresAtMsAt(at: usize): f64 {
	if (!hasExpiryAt(at)) return 0
	return f64(load<u64>(valueAt(at) + padded(valueBytesAt(at))))
}

/** Where the entry behind it begins. */
export function endAt(at: usize): usize {
	return valueAt(at) + padded(valueBytesAt(at)) + (hasExpiryAt(at) ? 8 : 0)
}
