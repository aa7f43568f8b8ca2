/**
 * Deletions one by one, several at once, for stores that have no batch: in the order of the keys, each of them once.
 * After a failure none is begun; those under way end first, so that nothing is deleted behind the caller's back.
 */

/** At one time: with 50 ms a request 320 deletions a second. */
const MAX_UNDER_WAY = 16

/** Deletes every key by `deleteOne`; rejects with the first failure, or with the reason of `signal`. */
export async function deleteEach(
	keys: Iterable<string>,
	signal: AbortSignal,
	deleteOne: (key: string) => Promise<void>,
): Promise<void> {
	const waiting = new Set(keys).values()
	let failure: { readonly cause: unknown } | undefined
	const worker = async (): Promise<void> => {
		for (const key of waiting) {
			if (failure !== undefined || signal.aborted) return
			try {
				await deleteOne(key)
			} catch (cause) {
				failure ??= { cause }
			}
		}
	}
	await Promise.all(Array.from({ length: MAX_UNDER_WAY }, worker))
	signal.throwIfAborted()
	// Assigned in the workers, which the compiler does not follow.
	const failed = failure as { readonly cause: unknown } | undefined
	if (failed !== undefined) throw failed.cause
}
