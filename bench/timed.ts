/** Milliseconds that `work` takes until it resolves. */
export async function timed(work: () => Promise<unknown> | undefined): Promise<number> {
	const started = performance.now()
	await work()
	return performance.now() - started
}
