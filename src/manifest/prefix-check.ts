/** Refuses to make a database where something else lies already. */
import { IsleError } from '../errors.ts'
import type { ObjectStore, RequestOptions } from '../object-store/object-store.ts'

/** Keys that a database which is being made by somebody else may show. */
const OURS = /^(log\/\d{16}\/\d{16}|probe\/[^/]+)$/

/** For a prefix without a checkpoint and without a log: `ISLE_FOREIGN_PREFIX` when it holds anything. One LIST. */
export async function assertPrefixIsFree(store: ObjectStore, options: RequestOptions = {}): Promise<void> {
	const page = await store.list({ ...options, limit: 10 })
	const foreign = page.objects.find(object => !OURS.test(object.key))
	if (foreign === undefined) return
	throw new IsleError(
		'ISLE_FOREIGN_PREFIX',
		`the prefix holds objects that are not a database's: key=\`${foreign.key}\``,
		{
			details: { key: foreign.key },
		},
	)
}
