/** A range as engines with the options of `abstract-level` take it: isledb and classic-level. */
import type { ScanRange } from './engine.ts'

export interface ScanBounds {
	gte?: string
	lte?: string
	limit?: number
	reverse?: boolean
}

export function boundsOf({ start, limit, isReverse = false }: ScanRange): ScanBounds {
	const bounds: ScanBounds = { reverse: isReverse }
	if (start !== undefined) bounds[isReverse ? 'lte' : 'gte'] = start
	if (limit !== undefined) bounds.limit = limit
	return bounds
}
