/**
 * No bytes: for what has none yet, and for what needs none.
 *
 * One array for all of this thread: it is never transferred, which would detach it for everybody, nor given to a caller,
 * who may transfer what is his.
 */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0)
