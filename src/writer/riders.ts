/** Who waits for one commit: groups that share a promise, told first come, first served. */

/**
 * One group. To tell it, and to take what its riders write then, is 2 to 4 ms of work, as much as a PUT by an SDK is: fewer
 * would make commits that cost more than they save.
 */
const GROUP_RIDERS = 1024

interface Group {
	readonly promise: Promise<void>
	readonly resolve: () => void
	readonly reject: (error: unknown) => void
}

export class Riders {
	/** Oldest first. */
	readonly #groups: Group[] = []
	#count = 0

	/** Groups that have not been told. */
	get groupCount(): number {
		return this.#groups.length
	}

	/** All who joined. */
	get count(): number {
		return this.#count
	}

	/** One more; the promise is shared with others of its group. */
	join(): Promise<void> {
		const newest = this.#groups.at(-1)
		const isFull = this.#count % GROUP_RIDERS === 0
		this.#count++
		if (newest !== undefined && !isFull) return newest.promise
		const group = newGroup()
		this.#groups.push(group)
		return group.promise
	}

	/** Tells the oldest `groupCount` groups. Answers how many riders they have at the most. */
	resolve(groupCount: number): number {
		const told = this.#groups.splice(0, groupCount)
		for (const group of told) group.resolve()
		return Math.min(this.#count, told.length * GROUP_RIDERS)
	}

	reject(error: unknown): void {
		for (const group of this.#groups.splice(0)) group.reject(error)
	}
}

function newGroup(): Group {
	let resolve: () => void = () => undefined
	let reject: (error: unknown) => void = () => undefined
	const promise = new Promise<void>((onResolve, onReject) => {
		resolve = onResolve
		reject = onReject
	})
	return { promise, resolve, reject }
}
