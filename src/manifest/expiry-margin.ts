/**
 * Entries count as expired this long after they are: clocks differ, and an entry that is dropped too early is lost, one that
 * is dropped late is only hidden.
 */
export const EXPIRY_MARGIN_MS = 300_000
