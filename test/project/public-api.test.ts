/** The public API changes only on purpose: its listing is committed, and compared with what the sources declare. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { API_LISTING, currentApi, listApi } from '../../tools/api-listing.ts'

test('the public API is the committed one (after a change on purpose: npm run api)', () => {
	expect(existsSync(API_LISTING), 'test/project/public-api.txt is not there: run `npm run api` and commit it').toBe(
		true,
	)
	const listing = readFileSync(API_LISTING, 'utf8')
	expect(listing).toMatch(/^\topen$/m)
	expect(currentApi(), 'the public API changed: if on purpose, run `npm run api` and look at its diff').toBe(listing)
})

describe('the listing', () => {
	const FILES: Readonly<Record<string, string>> = {
		'src/index.d.ts':
			"/** The API. */\nexport { open, type Database as Db } from './database.js';\nexport type * from './store.js';",
		'src/database.d.ts': [
			"import type { Store as Bucket } from './store.js';",
			'/** Options. */',
			'interface Options { /** a bound */ readonly limit?: number; }',
			'interface Unused { a: 1 }',
			"export interface Database extends Options { kind: import('./errors.js').Kind; store: Bucket }",
			'export declare function open(url: string): Database;',
			'export declare function open(url: Bucket, options?: Options): Database;',
		].join('\n'),
		'src/store.d.ts': 'export interface Store { url: string }\n',
		'src/errors.d.ts': "export type Kind = 'a';\nexport type Unreached = 'b';\n",
	}

	function list(changes: Readonly<Record<string, string>> = {}): string {
		const root = mkdtempSync(join(tmpdir(), 'isledb-listing-'))
		try {
			for (const [path, text] of Object.entries({ ...FILES, ...changes })) {
				mkdirSync(dirname(join(root, path)), { recursive: true })
				writeFileSync(join(root, path), text)
			}
			return listApi(root, { isledb: 'src/index.d.ts' })
		} finally {
			rmSync(root, { recursive: true })
		}
	}

	test('has each exported name and all that it leads to, and nothing else', () => {
		expect(list()).toBe(`import from 'isledb':
	Db (Database)
	Store
	open

export interface Database extends Options { kind: import('./errors.js').Kind; store: Bucket }

export type Kind = 'a';

interface Options {  readonly limit?: number; }

export interface Store { url: string }

export declare function open(url: string): Database;

export declare function open(url: Bucket, options?: Options): Database;
`)
	})

	test('changes with a type behind a type, and not with a comment or what nobody reaches', () => {
		expect(list({ 'src/errors.d.ts': "export type Kind = 'a' | 'c';\n" })).not.toBe(list())
		expect(
			list({ 'src/errors.d.ts': "/** New words. */\nexport type Kind = 'a';\nexport type Unreached = 'z';\n" }),
		).toBe(list())
	})

	test('refuses a name that nobody declares, and an entry without exports', () => {
		expect(() => list({ 'src/store.d.ts': '', 'src/errors.d.ts': 'export {}' })).toThrow('does not declare')
		expect(() => list({ 'src/index.d.ts': 'export {}' })).toThrow('exports nothing')
	})
})
