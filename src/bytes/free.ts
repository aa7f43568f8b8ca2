/**
 * Frees the memory of a buffer at once: it is detached, and empty from then on.
 *
 * Left to the garbage collector, buffers of megabytes live on until V8 thinks of them, which it does after tens of megabytes
 * more in each thread.
 */
export function freeBuffer(buffer: ArrayBuffer): void {
	if (!buffer.detached) buffer.transfer(0)
}
