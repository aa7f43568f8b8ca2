/**
 * Tables in the order of their sequence numbers, shared by the tails of a process that stand at the same place.
 *
 * Invariant: only the table that was ordered last is remembered, and only weakly: what no tail holds is freed.
 */
import { SingleFlight } from '../cache/single-flight.ts'
import type { TableSource } from '../cache/table-source.ts'
import { IsleError, isIsleError } from '../errors.ts'
import type { Host } from '../host/host.ts'
import type { LoadedCommit } from '../manifest/commit.ts'
import type { TableRef } from '../manifest/manifest.ts'
import { retryEndlessly } from './endless-retry.ts'
import type { KeyFilter } from './key-filter.ts'
import { type OrderedTable, orderTable } from './ordered-table.ts'

export class OrderedTables {
	readonly #source: TableSource
	readonly #host: Host
	readonly #flights = new SingleFlight<string, OrderedTable>()
	#lastId = ''
	#last: WeakRef<OrderedTable> | undefined

	constructor(source: TableSource, host: Host) {
		this.#source = source
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
					clock: this.#host.clock,
					signal: shared,
				}),
			)
		try {
			// A part belongs to one filter: only whole tables are shared.
			if (!filter.coversTable(ref)) return await order(signal)
			const last = this.#lastId === ref.id ? this.#last?.deref() : undefined
			if (last !== undefined) return last
			const table = await this.#flights.run(ref.id, signal, order)
			this.#lastId = ref.id
			this.#last = new WeakRef(table)
			return table
		} catch (error) {
			if (!isIsleError(error, 'ISLE_NOT_FOUND')) throw error
			throw new IsleError('ISLE_EXPIRED', `a table of a commit is no longer retained: key=\`${ref.objectKey}\``, {
				cause: error,
				details: { key: ref.objectKey },
			})
		}
	}
}
