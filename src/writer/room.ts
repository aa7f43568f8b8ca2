/** A promise to wait for until there is room, settled from outside. */

export interface Room {
	readonly promise: Promise<void>
	readonly resolve: () => void
	readonly reject: (error: unknown) => void
}

export function newRoom(): Room {
	let resolve: () => void = () => undefined
	let reject: (error: unknown) => void = () => undefined
	const promise = new Promise<void>((onResolve, onReject) => {
		resolve = onResolve
		reject = onReject
	})
	// A caller that does not wait is told by its next call.
	promise.catch(() => undefined)
	return { promise, resolve, reject }
}
