/** A store whose clock is behind the one of the host: for tests of what the time decides. */
import type { ListOptions, ListPage } from '../../src/object-store/object-store.ts'
import { PassThroughStore } from './pass-through-store.ts'

export class LateClockStore extends PassThroughStore {
	lateMs = 0

	override async list(options?: ListOptions): Promise<ListPage> {
		const page = await this.inner.list(options)
		const objects = page.objects.map(object => ({ ...object, lastModifiedMs: object.lastModifiedMs - this.lateMs }))
		return { ...page, objects }
	}
}
