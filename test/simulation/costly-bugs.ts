/** Planted bugs with which every answer is right, and costs more than it may: see budgets.ts. */

import { bug, type PlantedBug } from './planted-bug.ts'

export const COSTLY_BUGS: readonly PlantedBug[] = [
	bug(
		'short',
		'blocks-forgotten',
		'a block is not kept: a get of what was just read asks the store again',
		2000,
		'src/cache/table-source.ts',
		'for (const [i, block] of blocks.entries()) {',
		'for (const [i, block] of blocks.entries()) {\n\t\t\tif (i === 0) continue',
	),
	bug(
		'short',
		'polls-look',
		'each poll of a reader looks at the checkpoints',
		2000,
		'src/manifest/manifest-follower.ts',
		'return nowMs - this.#confirmedMs >= this.#gracePeriodMs / 2',
		'return nowMs >= this.#confirmedMs',
	),
	bug(
		'short',
		'commits-read-back',
		'a commit is read although the store has said that it stands',
		400,
		'src/log/log-owner.ts',
		"if (outcome.kind === 'created') return",
		"if (outcome.kind === 'created' && (await this.#settle(content, key)) === 'ours') return",
	),
	bug(
		'short',
		'tail-polls-twice',
		'a tail polls twice as often as it was asked to',
		4000,
		'src/tail/poller.ts',
		'this.#lastPollMs + Math.min(...this.#members.values()) + this.#pauseMs',
		'this.#lastPollMs + Math.min(...this.#members.values()) / 2 + this.#pauseMs',
	),
	bug(
		'short',
		'records-read-twice',
		'a tail reads again the records that its poll has just read',
		4000,
		'src/tail/recent-commits.ts',
		'if (!this.#isWanted) return',
		'if (this.#isWanted) return',
	),
	bug(
		'short',
		'checkpoints-of-nothing',
		'a maintainer that leaves writes a checkpoint although nothing has happened since the last one',
		4000,
		'src/maintenance/policy-checkpoint.ts',
		"if (isClosing) return garbage.oldestMs === undefined ? undefined : 'garbage that waits for it'",
		"if (isClosing) return 'the owner closes'",
	),
]
