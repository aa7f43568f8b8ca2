/**
 * Changes to what bytes mean: a value is decoded, one of its parts becomes another, and the encoder makes bytes of it that are sound
 * in form. So a decoder is asked about lies, and not about damage.
 */
import type { Random } from '../../src/host/random.ts'
import { below, mutate, oddNumber, oneOf } from './mutation.ts'

/** A copy of plain data with one to three leaves or lists changed. Types stay what they were. */
export function mutateValue<Value>(value: Value, random: Random): Value {
	const copy: unknown = structuredClone(value)
	const root = { value: copy }
	for (let left = 1 + below(random, 3); left > 0; left--) change(root, random)
	return root.value as Value
}

/** Walks down at random until something is changed. */
function change(parent: object, random: Random): void {
	const names = Object.keys(parent)
	if (names.length === 0) return
	const name = oneOf(random, names)
	const child: unknown = Reflect.get(parent, name)
	if (Array.isArray(child)) {
		if (child.length > 0 && random.next() < 0.7) change(child, random)
		else changeList(child, random)
	} else if (child instanceof Uint8Array)
		Reflect.set(parent, name, child.length === 0 ? random.bytes(3) : mutate(child, random, [child]))
	else if (typeof child === 'object' && child !== null) change(child, random)
	else if (typeof child === 'number')
		Reflect.set(parent, name, random.next() < 0.3 ? near(child, random) : oddNumber(random))
	else if (typeof child === 'string') Reflect.set(parent, name, changedText(child, random))
}

function near(value: number, random: Random): number {
	return Math.max(0, value + below(random, 3) - 1)
}

function changeList(list: unknown[], random: Random): void {
	const at = below(random, Math.max(1, list.length))
	if (list.length === 0 || random.next() < 0.4) list.splice(at, 1)
	else if (random.next() < 0.5) list.splice(at, 0, structuredClone(list[below(random, list.length)]))
	else list.reverse()
}

function changedText(text: string, random: Random): string {
	const at = below(random, text.length + 1)
	const piece = oneOf(random, ['', '/', '..', '\0', 'é', '\u{1f600}', '-', '9', 'x'.repeat(70), '../../'])
	return text.slice(0, at) + piece + text.slice(at + below(random, 3))
}
