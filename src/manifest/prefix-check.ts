/**
 * Refuses to make a database where something else lies already.
 *
 * Every database begins with a seal at the start of its log, before anything else but the probe of the store; it is never
 * deleted. So whoever found that slot free and then finds any other object looks at the slot once more: still free means
 * that the objects are somebody else's (or that the log lost its beginning), taken means that a database was just made.
 */
import { corrupt, IsleError } from '../errors.ts'
import { LOG_START } from '../log/log-position.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'
import { openWriterLog } from './database-logs.ts'

/** What the probe of the store may have left behind: it runs before a database is made. */
const PROBE = /^probe\/[^/]+$/
const LOG_RECORD = /^log\/\d{16}\/\d{16}$/

/**
 * For a prefix without a checkpoint whose log was found free at its start: `ISLE_FOREIGN_PREFIX` when it holds anything,
 * `ISLE_CORRUPT` when that is the rest of a log. One LIST; one GET more when the prefix is not empty.
 */
export async function assertPrefixIsFree(store: ObjectStore, options: RequestOptions = {}): Promise<void> {
	const page = await store.list(options)
	const others = page.objects.filter(object => !PROBE.test(object.key))
	if (others.length === 0) return
	const start = openWriterLog(store).key(LOG_START)
	if ((await store.get(start, options)) !== undefined) return
	const foreign = others.find(object => !LOG_RECORD.test(object.key))
	if (foreign === undefined) throw corrupt(start, 'the first record of the log is missing, and others are there,')
	throw new IsleError(
		'ISLE_FOREIGN_PREFIX',
		`the prefix holds objects that are not a database's: key=\`${foreign.key}\``,
		{ details: { key: foreign.key } },
	)
}
