import { describe, expect, test } from 'vitest'
import { drawRequests, SCAN_ROWS_MAX, YCSB_WORKLOADS, type YcsbOperation, ycsbKey } from '../../bench/ycsb.ts'
import { seededRandom } from '../../src/host/random.ts'

const RECORDS = 5_000
const COUNT = 20_000

describe('requests of YCSB', () => {
	test.each(YCSB_WORKLOADS.map(workload => [workload.name, workload] as const))(
		'workload %s has the shares that it names, and asks only for what there is',
		(_, workload) => {
			const requests = drawRequests(workload, RECORDS, COUNT, seededRandom(1))
			for (const [operation, share] of Object.entries(workload.shares) as [YcsbOperation, number][]) {
				const drawn = requests.filter(request => request.operation === operation).length / COUNT
				expect(Math.abs(drawn - share)).toBeLessThan(0.015)
			}
			expect(requests.every(({ record }) => record >= 0 && record < RECORDS)).toBe(true)
			const scans = requests.filter(({ operation }) => operation === 'scan').map(({ rows }) => rows)
			if (scans.length > 0) expect([Math.min(...scans), Math.max(...scans)]).toEqual([1, SCAN_ROWS_MAX])
			expect(Object.values(workload.shares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1)
		},
	)

	test('are the same for the same seed, and others for another one', () => {
		const draw = (seed: number) => drawRequests(YCSB_WORKLOADS[0] ?? fail(), RECORDS, 100, seededRandom(seed))
		expect(draw(5)).toEqual(draw(5))
		expect(draw(5)).not.toEqual(draw(6))
	})

	test('of the latest ask most for the newest, uniform ones for all alike', () => {
		const share = (name: string): number => {
			const workload = YCSB_WORKLOADS.find(one => one.name === name) ?? fail()
			const reads = drawRequests(workload, RECORDS, COUNT, seededRandom(2)).filter(
				({ operation }) => operation === 'read',
			)
			return reads.filter(({ record }) => record < RECORDS / 100).length / reads.length
		}
		expect(share('D')).toBeGreaterThan(0.4)
		expect(share('C uniform')).toBeCloseTo(0.01, 2)
	})
})

function fail(): never {
	throw new Error('there is no such workload')
}

test('keys differ', () => {
	expect(new Set(Array.from({ length: 10_000 }, (_, i) => ycsbKey(i))).size).toBe(10_000)
})
