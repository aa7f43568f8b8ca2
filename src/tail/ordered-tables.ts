/**
 * Tables in the order of their sequence numbers, shared by the tails of a process that stand at the same place.
 *
 * Invariant: only the two tables that were ordered last are remembered (a tail holds one, and prepares the next), and only
 * weakly: what no tail holds is freed.
 */
import { SingleFlight } from '../cache/single-flight.ts'
import type { TableSource } from '../cache/table-source.ts'
import { IsleError, isIsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import type { TableRef } from '../manifest/manifest.ts'
import type { JobPool } from '../runtime/job-pool.ts'
import { retryEndlessly } from './endless-retry.ts'
import type { KeyFilter } from './key-filter.ts'
import { type OrderedTable, orderTable } from './ordered-table.ts'

interface Remembered {
	readonly id: string
	readonly table: WeakRef<OrderedTable>
}

export class OrderedTables {
	readonly #source: TableSource
	readonly #pool: JobPool
	readonly #host: Host
	readonly #flights = new SingleFlight<string, OrderedTable>()
	#last: Remembered | undefined
	#secondLast: Remembered | undefined

	constructor(source: TableSource, pool: JobPool, host: Host) {
		this.#source = source
		this.#pool = pool
		this.#host = host
	}

	/**
	 * A table of `loaded`, of which `filter` wants something. Transient errors are waited out.
	 * @throws ISLE_EXPIRED when the table was collected, ISLE_CORRUPT, what else the store throws, the signal's reason.
	 */
	async get(loaded: LoadedCommit, ref: TableRef, filter: KeyFilter, signal: AbortSignal): Promise<OrderedTable> {
		const order = (shared: AbortSignal | undefined): Promise<OrderedTable> =>
			retryEndlessly(this.#host, shared, () =>
				orderTable({
					ref,
					bytes: loaded.inlineTables.get(ref.id),
					filter,
					source: this.#source,
					pool: this.#pool,
					clock: this.#host.clock,
					signal: shared,
				}),
			)
		try {
			// A part belongs to one filter: only whole tables are shared.
			if (!filter.coversTable(ref)) return await order(signal)
			const known = this.#recall(ref.id)
			if (known !== undefined) return known
			const table = await this.#flights.run(ref.id, signal, order)
			this.#remember(ref.id, table)
			return table
		} catch (error) {
			if (!isIsleError(error, 'ISLE_NOT_FOUND')) throw error
			throw new IsleError('ISLE_EXPIRED', `a table of a commit is no longer retained: key=\`${ref.objectKey}\``, {
				cause: error,
				details: { key: ref.objectKey },
			})
		}
	}

	#recall(id: string): OrderedTable | undefined {
		for (const known of [this.#last, this.#secondLast]) if (known?.id === id) return known.table.deref()
		return undefined
	}

	#remember(id: string, table: OrderedTable): void {
		if (this.#last?.id === id) return
		this.#secondLast = this.#last
		this.#last = { id, table: new WeakRef(table) }
	}
}
