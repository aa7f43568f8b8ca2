/**
 * Holds the import directions. The judge is in import-rules.ts; here it judges the project, and is itself judged by
 * trees with planted violations, one for each rule, read from disk by the same walker.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readSources } from '../../tools/source-tree.ts'
import { type ImportVerdict, judgeImports, layerOf } from './import-rules.ts'

const ROOT = join(import.meta.dirname, '../..')
const JUDGED_FOLDERS = ['src', 'workers', 'examples']

/** Below these the walker or the parser must have missed most of the project. */
const MIN_FILES = 40
const MIN_EDGES = 120

function judgeTree(files: Readonly<Record<string, string>>): ImportVerdict {
	const root = mkdtempSync(join(tmpdir(), 'isledb-architecture-'))
	try {
		for (const [path, text] of Object.entries(files)) {
			mkdirSync(dirname(join(root, path)), { recursive: true })
			writeFileSync(join(root, path), text)
		}
		return judgeImports(readSources(root, JUDGED_FOLDERS))
	} finally {
		rmSync(root, { recursive: true })
	}
}

const SOUND_TREE: Readonly<Record<string, string>> = {
	'src/errors.ts': 'export const e = 1',
	'src/bytes/varint.ts': "import { e } from '../errors.ts'\nexport const v = e",
	'src/host/clock.ts': 'export const now = 1',
	'src/sst/table.ts':
		"import { deflateRawSync } from 'node:zlib'\nimport { v } from '../bytes/varint.ts'\nexport { deflateRawSync, v }",
	'src/sst/codec-deflate.ts': "import { inflateSync } from 'fflate'\nexport { inflateSync }",
	'src/object-store/store.ts': "import { readFile } from 'node:fs/promises'\nexport { readFile }",
	'src/log/log.ts': "import type { T } from './record.ts'\nexport type L = T",
	'src/log/record.ts': "import type { L } from './log.ts'\nexport type T = L | 1",
	'src/manifest/fold.ts': "export * from '../log/log.ts'",
	'src/memtable/memtable.ts': 'export const m = 1',
	'src/runtime/worker-pool.ts':
		"import { Piscina } from 'piscina'\nimport type { J } from '../../workers/jobs.ts'\nexport { Piscina, type J }",
	'src/runtime/actor-thread.ts': "import { wrap } from 'comlink'\nexport { wrap }",
	'src/writer/writer.ts': "import { m } from '../memtable/memtable.ts'\nexport { m }",
	'src/reader/reader.ts': "import type { L } from '../log/log.ts'\nexport type R = L",
	'src/tail/observable.ts': "import { Observable } from 'rxjs'\nexport { Observable }",
	'src/database.ts': "export * from './writer/writer.ts'\nexport * from './reader/reader.ts'",
	'src/index.ts': "export * from './database.ts'",
	'src/cli/main.ts': "import { m } from '../index.ts'\nimport { a } from './options.ts'\nexport { a, m }",
	'src/cli/options.ts': 'export const a = 1',
	'workers/jobs.ts':
		"import { statSync } from 'node:fs'\nimport { v } from '../src/sst/table.ts'\nexport type J = typeof v | typeof statSync",
	'examples/first.ts':
		"import { m } from '../src/index.ts'\nimport { take } from 'rxjs'\nimport { join } from 'node:path'\nexport { join, m, take }",
}

/** What is added to the sound tree, and the rule that must then speak, at which file. */
const PLANTED: readonly (readonly [rule: string, at: string, files: Readonly<Record<string, string>>])[] = [
	['layer', 'src/bytes/up.ts', { 'src/bytes/up.ts': "import { v } from '../sst/table.ts'\nexport { v }" }],
	[
		'layer',
		'src/memtable/up.ts',
		{ 'src/memtable/up.ts': "import type { J } from '../runtime/worker-pool.ts'\nexport type K = J" },
	],
	['layer', 'src/log/up.ts', { 'src/log/up.ts': "export type K = import('../index.ts').L" }],
	['layer', 'src/errors.ts', { 'src/errors.ts': "export type * from './database.ts'\nexport const e = 1" }],
	['layer', 'src/stuff/new.ts', { 'src/stuff/new.ts': 'export const a = 1' }],
	[
		'sideways-cycle',
		'src/log/back.ts',
		{ 'src/log/back.ts': "import type { L } from '../manifest/fold.ts'\nexport type B = L" },
	],
	[
		'meet-in-the-log',
		'src/reader/w.ts',
		{ 'src/reader/w.ts': "import type { m } from '../writer/writer.ts'\nexport type M = typeof m" },
	],
	[
		'meet-in-the-log',
		'src/writer/r.ts',
		{ 'src/writer/r.ts': "export const load = (): Promise<unknown> => import('../reader/reader.ts')" },
	],
	['worker', 'workers/a.ts', { 'workers/a.ts': "import type { L } from '../src/log/log.ts'\nexport type A = L" }],
	['worker', 'workers/b.ts', { 'workers/b.ts': "import { now } from '../src/host/clock.ts'\nexport { now }" }],
	['worker', 'workers/c.ts', { 'workers/c.ts': "import { connect } from 'node:net'\nexport { connect }" }],
	[
		'worker',
		'src/sst/big.ts',
		{
			'src/sst/big.ts': "export * from '../object-store/store.ts'",
			'workers/d.ts': "export * from '../src/sst/big.ts'",
		},
	],
	[
		'public-api-only',
		'src/cli/deep.ts',
		{ 'src/cli/deep.ts': "import type { L } from '../log/log.ts'\nexport type D = L" },
	],
	[
		'public-api-only',
		'src/inspect/deep.ts',
		{ 'src/inspect/deep.ts': "import { m } from '../database.ts'\nexport { m }" },
	],
	[
		'public-api-only',
		'src/adapters/level/deep.ts',
		{ 'src/adapters/level/deep.ts': "import { m } from '../../writer/writer.ts'\nexport { m }" },
	],
	[
		'public-api-only',
		'examples/deep.ts',
		{ 'examples/deep.ts': "import { m } from '../src/database.ts'\nexport { m }" },
	],
	[
		'edge-package',
		'src/reader/rx.ts',
		{ 'src/reader/rx.ts': "import type { Observable } from 'rxjs'\nexport type O = Observable<1>" },
	],
	['edge-package', 'src/tail/pool.ts', { 'src/tail/pool.ts': "import { Piscina } from 'piscina'\nexport { Piscina }" }],
	[
		'edge-package',
		'src/tail/actor.ts',
		{ 'src/tail/actor.ts': "export const load = (): Promise<unknown> => import('comlink')" },
	],
	[
		'edge-package',
		'src/blob/zip.ts',
		{ 'src/blob/zip.ts': "import { inflateSync } from 'fflate/browser'\nexport { inflateSync }" },
	],
	['edge-package', 'src/log/new.ts', { 'src/log/new.ts': "import x from '@scope/new/deep'\nexport { x }" }],
	['edge-package', 'src/log/q.ts', { 'src/log/q.ts': "export const q = createRequire(import.meta.url)('new')" }],
	[
		'edge-package',
		'src/log/r.ts',
		{
			'src/log/r.ts':
				"import { createRequire } from 'node:module'\nconst require = createRequire('/')\nexport const r: unknown = require('new')",
		},
	],
	['pure', 'src/blob/b.ts', { 'src/blob/b.ts': "export const fs: unknown = process.getBuiltinModule('node:fs')" }],
	['pure', 'src/sst/io.ts', { 'src/sst/io.ts': "import { readFileSync } from 'node:fs'\nexport { readFileSync }" }],
	['inside', 'src/log/t.ts', { 'src/log/t.ts': "import { t } from '../../test/log/t.ts'\nexport { t }" }],
	[
		'computed',
		'src/log/c.ts',
		{ 'src/log/c.ts': 'export const load = (name: string): Promise<unknown> => import(name)' },
	],
	['unresolved', 'src/log/u.ts', { 'src/log/u.ts': "import { nothing } from './nothing.ts'\nexport { nothing }" }],
	[
		'cycle',
		'src/log/a.ts',
		{
			'src/log/a.ts': "export * from './b.ts'",
			'src/log/b.ts': "export * from './c.ts'",
			'src/log/c.ts': "import { type x } from './a.ts'\nexport type X = typeof x",
		},
	],
	['cycle', 'src/log/self.ts', { 'src/log/self.ts': "export * from './self.ts'" }],
]

describe('the imports of the project', () => {
	const verdict = judgeImports(readSources(ROOT, JUDGED_FOLDERS))

	test('point down, and each edge package has its one owner', () => {
		expect(verdict.violations.map(({ rule, path, line, what }) => `${rule}: ${path}:${line} ${what}`)).toEqual([])
	})

	test('were really looked at', () => {
		expect(verdict.fileCount).toBeGreaterThan(MIN_FILES)
		expect(verdict.edgeCount).toBeGreaterThan(MIN_EDGES)
	})
})

describe('the judge of imports', () => {
	test('finds nothing in a sound tree, whose circles are of types only', () => {
		const verdict = judgeTree(SOUND_TREE)
		expect(verdict.violations).toEqual([])
		expect(verdict.fileCount).toBe(Object.keys(SOUND_TREE).length)
		expect(verdict.edgeCount).toBe(24)
	})

	test.each(PLANTED)('finds a planted violation of `%s` in %s', (rule, at, files) => {
		const { violations } = judgeTree({ ...SOUND_TREE, ...files })
		expect(violations.map(violation => `${violation.rule} ${violation.path}`)).toContain(`${rule} ${at}`)
	})

	test('finds each planted violation by one rule only, so that a message names the real fault', () => {
		const others = PLANTED.flatMap(([rule, , files]) =>
			judgeTree({ ...SOUND_TREE, ...files }).violations.filter(violation => violation.rule !== rule),
		)
		expect(others.map(({ rule, path }) => `${rule} ${path}`)).toEqual([])
	})

	test('refuses a file that does not parse', () => {
		expect(() => judgeTree({ 'src/log/broken.ts': 'export const = ' })).toThrow(/cannot parse src\/log\/broken\.ts/)
	})

	test('knows the layers of the table', () => {
		expect(layerOf('src/errors.ts')).toBe(0)
		expect(layerOf('workers/main.ts')).toBe(2)
		expect(layerOf('src/open.ts')).toBe(7)
		expect(layerOf('src/unknown/file.ts')).toBeUndefined()
	})
})
