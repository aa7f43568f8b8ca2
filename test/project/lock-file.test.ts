/** The lock file installs anywhere: `npm ci` refuses it when the packages of other platforms are not in it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type LockFile, missingPlatformEntries } from '../../tools/complete-lock.ts'

const ROOT = join(import.meta.dirname, '../..')
const readJson = <T>(name: string): T => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))

test('the lock file has every platform of every native package (else: npm run lock)', () => {
	const lock = readJson<LockFile>('package-lock.json')
	expect(Object.values(lock.packages).filter(entry => entry.optionalDependencies !== undefined).length).toBeGreaterThan(
		3,
	)
	expect([...missingPlatformEntries(lock).keys()]).toEqual([])
})

test('a missing platform is found and completed from its name', () => {
	const lock: LockFile = {
		packages: {
			'node_modules/tool': {
				version: '1.2.3',
				dev: true,
				optionalDependencies: {
					'@tool/linux-x64': '1.2.3',
					'@tool/binding-openharmony-arm64': '1.2.3',
					'@tool/linux-arm-musleabihf': '1.2.3',
				},
			},
			'node_modules/@tool/linux-x64': { version: '1.2.3' },
		},
	}
	const entry = { version: '1.2.3', dev: true, optional: true }
	expect(Object.fromEntries(missingPlatformEntries(lock))).toEqual({
		'node_modules/@tool/binding-openharmony-arm64': { ...entry, cpu: ['arm64'], os: ['openharmony'] },
		'node_modules/@tool/linux-arm-musleabihf': { ...entry, cpu: ['arm'], os: ['linux'], libc: ['musl'] },
	})
})

test('every dependency has an exact version, so that a fresh clone gets what was tested', () => {
	const manifest = readJson<{ dependencies: Record<string, string>; devDependencies: Record<string, string> }>(
		'package.json',
	)
	const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
	expect(versions.length).toBeGreaterThan(10)
	expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
})
