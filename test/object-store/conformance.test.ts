import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/object-store/conformance.ts'
import { countingStore } from '../../src/object-store/counting-store.ts'
import { openFileStore } from '../../src/object-store/file-store.ts'
import { MemoryStore } from '../../src/object-store/memory-store.ts'
import type { ObjectStore } from '../../src/object-store/object-store.ts'
import { prefixedStore } from '../../src/object-store/prefixed-store.ts'
import { retryingStore } from '../../src/object-store/retrying-store.ts'
import { FaultyStore } from '../support/faulty-store.ts'

let scratch = ''
let stores = 0
beforeAll(async () => {
	scratch = await mkdtemp(join(tmpdir(), 'isledb-conformance-'))
})
afterAll(() => rm(scratch, { recursive: true }))

function fileStore(fsync: 'always' | 'never'): Promise<ObjectStore> {
	return openFileStore({ directory: join(scratch, String(stores++)), fsync })
}

/** Its neighbours would show, should the prefix leak. */
async function withNeighbours(store: ObjectStore): Promise<ObjectStore> {
	for (const key of ['d', 'db/0', 'db1', 'db10/x', 'db2/x']) {
		if (key !== 'db1') await store.put(key, new Uint8Array([1]))
	}
	return prefixedStore(store, 'db1', { onClose: 'close' })
}

const makers: Readonly<Record<string, () => ObjectStore | Promise<ObjectStore>>> = {
	'memory store': () => new MemoryStore(),
	'file store': () => fileStore('always'),
	'prefix over memory': () => withNeighbours(new MemoryStore()),
	'prefix over files': async () => withNeighbours(await fileStore('never')),
	'counting over memory': () => countingStore(new MemoryStore()),
	'counting over files': async () => countingStore(await fileStore('never')),
	'retrying over memory': () => retryingStore(new MemoryStore()),
	'retrying over files': async () => retryingStore(await fileStore('never')),
	'faulty store without faults': () => new FaultyStore(new MemoryStore()),
}

for (const [name, createStore] of Object.entries(makers)) {
	describe(name, () => storeConformance({ test, createStore }))
}
