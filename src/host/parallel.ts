/** Runs `work` for each item, at most `limit` at a time. Rejects with the first failure, once all that began have ended. */
export async function forEachBounded<Item>(
	items: Iterable<Item>,
	limit: number,
	work: (item: Item) => Promise<void>,
): Promise<void> {
	const iterator = items[Symbol.iterator]()
	const failures: unknown[] = []
	const worker = async (): Promise<void> => {
		while (failures.length === 0) {
			const next = iterator.next()
			if (next.done === true) return
			try {
				await work(next.value)
			} catch (error) {
				failures.push(error)
			}
		}
	}
	await Promise.all(Array.from({ length: limit }, worker))
	if (failures.length > 0) throw failures[0]
}
