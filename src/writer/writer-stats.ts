/** What `stats` of a writer says. */
import type { L0Depth } from './l0-pressure.ts'
import type { WriterStall } from './stall.ts'

export interface WriterStats extends L0Depth {
	readonly epoch: number
	readonly lastSeq: number
	readonly committedSeq: number
	readonly memtableBytes: number
	/** Memory kept beside it for the next memtables and tables; what is not needed for ten to twenty seconds is let go. */
	readonly idleBytes: number
	readonly frozenMemtables: number
	readonly pendingBlobBytes: number
	readonly commits: number
	/** Why writes wait, if they do. */
	readonly stall: WriterStall | undefined
	readonly failure: string | undefined
}
