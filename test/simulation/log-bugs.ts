/** Planted bugs of writing, of fencing, and of the checkpoints that both logs begin with. */

import { bug, type PlantedBug } from './planted-bug.ts'

export const LOG_BUGS: readonly PlantedBug[] = [
	bug(
		'short',
		'own-record-fences',
		'a writer that finds its own record, whose reply was lost, takes it for that of another',
		1600,
		'src/log/log-owner.ts',
		"if (isSameAppend(found, content)) return 'ours'",
		"if (isSameAppend(found, content)) return 'fenced'",
	),
	bug(
		'short',
		'doubt-is-fenced',
		'a PUT whose outcome nobody knows is taken for a takeover: what would be asked again ends the writer',
		800,
		'src/log/log-owner.ts',
		"if (verdict === 'fenced') throw",
		"if (verdict !== 'ours') throw",
	),
	bug(
		'short',
		'lost-race-skipped',
		'a claimer that lost a slot to a commit claims the next one, without reading what has come between',
		400,
		'src/log/claim.ts',
		'await barrier.raceLost(end.position)\n\t\t\tcontinue',
		'end = { ...end, position: { epoch: end.position.epoch, slot: end.position.slot + 1 } }\n\t\t\tcontinue',
	),
	bug(
		'short',
		'stream-numbered-first',
		'a value that comes piece by piece takes its place before its first piece, and not with its last',
		400,
		'src/writer/writer.ts',
		'const stored = await this.#packer.store(source, options?.signal)',
		'this.#buffer.active.put(ownKey, NO_BYTES, KIND_TOMBSTONE, 0)\n\t\tconst stored = await this.#packer.store(source, options?.signal)',
	),
	bug(
		'long',
		'checkpoint-of-later',
		'a checkpoint is named for a commit more than it holds',
		400,
		'src/manifest/maintenance-owner.ts',
		'await this.#createCheckpoint(manifest)',
		'await this.#createCheckpoint({ ...manifest, writerPosition: { ...writerPosition, slot: writerPosition.slot + 1 } })',
	),
	bug(
		'long',
		'memory-in-flight-uncounted',
		'what is on its way to the store does not count as memory of the writer',
		800,
		'src/writer/write-buffer.ts',
		'const bytes = memtable.bytes + packBytes',
		'const bytes = 0 * packBytes',
	),
]
