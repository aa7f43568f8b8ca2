import { expect, test } from 'vitest'
import { nodeVersionFault, supportedNodeRange } from './node-version.ts'

test('the tests run on a Node.js that the package supports', () => {
	expect(supportedNodeRange()).toMatch(/^>=22\./)
	expect(nodeVersionFault(process.versions.node, supportedNodeRange())).toBeUndefined()
})

test('a Node.js below the floor is refused with what to do, one at the floor or above is not', () => {
	for (const version of ['22.18.0', '22.19.1', '23.0.0', '24.21.0', '100.0.0']) {
		expect(nodeVersionFault(version, '>=22.18')).toBeUndefined()
	}
	for (const version of ['22.17.9', '20.20.2', '9.99.0']) {
		expect(nodeVersionFault(version, '>=22.18')).toContain('run them through npm')
	}
	expect(() => nodeVersionFault('24.0.0', '^24')).toThrow(TypeError)
})

test('types are stripped by Node.js itself, in this process and without a flag', () => {
	expect(process.features.typescript).toBe('strip')
	expect(process.execArgv.filter(flag => flag.includes('strip-types') || flag.includes('loader'))).toEqual([])
})
