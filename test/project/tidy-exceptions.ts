/** Where the rules of tidy-rules.ts give way, and why: a line without a need is a fault too. */

/** Files of more than 300 lines (never more than 400), each with the reason why it is one piece. */
export const LONG_FILES: Readonly<Record<string, string>> = {
	'src/database.ts': 'composition: what each public method says to its caller, and one line over the part that does it',
	'src/maintenance/maintainer.ts':
		'one loop with its states: each way from one to another is understood beside the others, and work, takeover and calls have files of their own',
	'src/reader/read-core.ts':
		'every read over one view and the three ways on from it (in memory, cold, renewed); lookups and scans have files of their own',
	'src/sst/block.ts':
		'one decoded block: its searches and its accessors share the layout that is unpacked once, and allocate nothing',
	'src/sst/table-builder.ts':
		'one table while it is built: entries, stored blocks and made blocks all end in the same few fields',
	'src/writer/writer.ts':
		'every mutation and what follows it, around one state; what has a name of its own is in the files beside it',
	'test/log/fenced-log-histories.test.ts':
		'one history: its roles, its faults and its planted bugs are understood together or not at all',
	'test/maintenance/history.ts':
		'one history: what may happen in which order, on one store and clock; writers, maintainers and what is kept open are beside it',
}

/** Test files that ask the machine for time, timers or randomness, each with the reason why no injected one will do. */
export const REAL_TIME_TESTS: Readonly<Record<string, string>> = {
	'test/project/markdown-blocks.ts': 'ends programs of other processes that do not end by themselves',
}
