/** The file store, in the directory of the run. */
import { pathToFileURL } from 'node:url'
import type { BenchStore } from '../store.ts'

export const store: BenchStore = {
	name: 'file',
	url: directory => pathToFileURL(directory).href,
}
