/**
 * A worker thread of platform.test.ts: a platform without zlib and without addons. It builds a table with every codec that
 * works there and reads the tables that it was given, and posts both.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { BuiltTable } from '../../src/sst/table-builder.ts'

// Before anything of the engine is loaded: it asks for built-in modules only through this.
Reflect.deleteProperty(process, 'getBuiltinModule')
Object.defineProperty(process, 'getBuiltinModule', { value: undefined })

const { build, readAll, smallEntries } = await import('./table-model.ts')
const { isIsleError } = await import('../../src/errors.ts')
const { lz4NativeCodec } = await import('../../src/sst/codec-lz4.ts')
const { nodeZlib } = await import('../../src/bytes/node-zlib.ts')

const codeOf = (act: () => unknown): string => {
	try {
		act()
	} catch (error) {
		return isIsleError(error) ? error.code : String(error)
	}
	return 'none'
}

const given: readonly BuiltTable[] = workerData
parentPort?.postMessage({
	isBare: lz4NativeCodec === undefined && nodeZlib === undefined,
	read: given.map(table => readAll(table)),
	built: (['none', 'deflate', 'lz4'] as const).map(codec => build(smallEntries, { codec })),
	zstd: codeOf(() => build(smallEntries, { codec: 'zstd' })),
})
