/**
 * Leaves a shared promise when `signal` aborts: the caller's wait ends with the signal's reason, the work goes on for
 * whoever else waits for it.
 */
export function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
	if (signal === undefined) return promise
	return new Promise((resolve, reject) => {
		const onAbort = (): void => reject(signal.reason)
		if (signal.aborted) {
			promise.catch(() => undefined)
			onAbort()
			return
		}
		signal.addEventListener('abort', onAbort, { once: true })
		const leave = (): void => signal.removeEventListener('abort', onAbort)
		promise.then(
			value => {
				leave()
				resolve(value)
			},
			(error: unknown) => {
				leave()
				reject(error)
			},
		)
	})
}
