/**
 * Tails as streams of single changes, with back-pressure: Node's (object mode) and the web's.
 *
 * Both ask for a batch when they have given the one before. Destroying or cancelling one frees its tail at once, also
 * while it is idle. They end with the error that ends the tail, and never by themselves.
 */
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import type { Change } from './change.ts'
import type { ChangeIterator } from './change-iterator.ts'

/** Changes that a Node stream holds for its consumer beside the rest of a batch. */
const HIGH_WATER_MARK = 256

export function readableOf<Key, Value>(iterator: ChangeIterator<Key, Value>): Readable {
	let batch: readonly Change<Key, Value>[] = []
	let at = 0
	let isAsking = false
	/** Pushes what is left of the batch; false when the consumer has enough. */
	const give = (): boolean => {
		while (at < batch.length) if (!stream.push(batch[at++])) return false
		return true
	}
	const stream = new Readable({
		objectMode: true,
		highWaterMark: HIGH_WATER_MARK,
		read() {
			if (isAsking || !give()) return
			isAsking = true
			iterator.next().then(
				result => {
					isAsking = false
					if (result.done) {
						stream.push(null)
						return
					}
					batch = result.value
					at = 0
					give()
				},
				(error: Error) => stream.destroy(error),
			)
		},
		destroy(error, done) {
			batch = []
			at = 0
			// It frees everything before it returns, and its promise says no more.
			void iterator.return()
			done(error)
		},
	})
	return stream
}

export function webStreamOf<Key, Value>(iterator: ChangeIterator<Key, Value>): ReadableStream<Change<Key, Value>> {
	return new ReadableStream<Change<Key, Value>>(
		{
			async pull(controller) {
				const result = await iterator.next()
				if (result.done) controller.close()
				// At most one batch is queued: `pull` is called again when all of it was read.
				else for (const change of result.value) controller.enqueue(change)
			},
			async cancel() {
				await iterator.return()
			},
		},
		{ highWaterMark: 0 },
	)
}
