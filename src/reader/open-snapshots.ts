/** The snapshots and pins that a database or a reader has open: what closes with it, and what the collector must leave. */
import type { Manifest } from '../manifest/manifest.ts'
import type { StoredPin } from '../manifest/pin.ts'
import { Pin, type PinHome } from './pin.ts'
import type { ReadCore, ViewProvider } from './read-core.ts'
import { type ReadView, viewOf } from './read-view.ts'
import { Snapshot } from './snapshot.ts'

export class OpenSnapshots<Key, Value> {
	readonly #core: ReadCore<Key, Value>
	readonly #onRelease: () => void
	readonly #open = new Set<Snapshot<Key, Value>>()

	/** `onRelease` is called when one of them lets go what it held. */
	constructor(core: ReadCore<Key, Value>, onRelease: () => void = () => undefined) {
		this.#core = core
		this.#onRelease = onRelease
	}

	get size(): number {
		return this.#open.size
	}

	/** `live` is asked for another view when objects of `view` are gone. */
	open(view: ReadView, nowMs: number, live: Pick<ViewProvider, 'renew'>): Snapshot<Key, Value> {
		return this.#add(new Snapshot(this.#core, view, nowMs, live, gone => this.#remove(gone)))
	}

	openPin(stored: StoredPin, home: PinHome): Pin<Key, Value> {
		return this.#add(new Pin(this.#core, viewOf(stored.manifest), stored, home, gone => this.#remove(gone)))
	}

	/** What is read that nothing on the store keeps: states of pins are not among them. */
	manifests(): Manifest[] {
		return [...this.#open].filter(snapshot => !(snapshot instanceof Pin)).map(snapshot => snapshot.manifest)
	}

	async closeAll(): Promise<void> {
		for (const snapshot of this.#open) await snapshot.close()
	}

	#add<Opened extends Snapshot<Key, Value>>(snapshot: Opened): Opened {
		this.#open.add(snapshot)
		return snapshot
	}

	#remove(snapshot: Snapshot<Key, Value>): void {
		this.#open.delete(snapshot)
		this.#onRelease()
	}
}
