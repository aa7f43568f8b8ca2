/**
 * Some blocks of a table, one after another, as plain data: what a job needs of the table's index to read them.
 *
 * Made by `SstTable.blockRun`; it crosses threads.
 */

export interface BlockRun {
	/** Index of the first block in its table. */
	readonly firstBlock: number
	/** Where each block ends, counted from the start of the first: at least one, ascending. */
	readonly ends: Uint32Array
	/**
	 * Separators (see block-index.ts) of the blocks and of the one behind them, one after another, and where each ends.
	 * One more than there are blocks; when the table ends with the run, as many.
	 */
	readonly separators: Uint8Array
	readonly separatorEnds: Uint32Array
	/** No block declares more raw bytes than this. */
	readonly rawMaxBytes: number
}
