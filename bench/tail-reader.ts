/**
 * The other process of the tail scenario: `tail-reader.ts <url> <poll interval in ms>` follows a database, and says by IPC
 * that it does, and of each change when it came, in milliseconds of the wall clock of this machine.
 */
import { openReader } from '../src/index.ts'

const [url = '', pollIntervalMs = '100'] = process.argv.slice(2)
await using reader = await openReader(url, { prefix: 'db' })
let isFollowing = false
const ended = new AbortController()
process.once('disconnect', () => ended.abort())
try {
	const options = { from: 'start' as const, pollIntervalMs: Number(pollIntervalMs), signal: ended.signal }
	for await (const changes of reader.changes(options)) {
		const cameMs = performance.timeOrigin + performance.now()
		if (isFollowing) process.send?.({ kind: 'changes', cameMs, keys: changes.map(({ key }) => String(key)) })
		else process.send?.({ kind: 'following' })
		isFollowing = true
	}
} catch (error) {
	if (!ended.signal.aborted) throw error
}
