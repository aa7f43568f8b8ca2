/** Records whose bytes are kept in `golden/`: a change that alters one of them breaks every database that exists. */
import type { RecordContent } from '../../src/log/record.ts'

const filled = (count: number, first: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => first + i)

export const GOLDEN_RECORDS: Readonly<Record<string, RecordContent>> = {
	'seal-0-0': {
		kind: 'seal',
		position: { epoch: 0, slot: 0 },
		owner: filled(16, 0x10),
		nonce: filled(8, 0x40),
		body: new Uint8Array(0),
		sections: [],
	},
	'commit-without-sections': {
		kind: 'commit',
		position: { epoch: 1, slot: 0 },
		owner: filled(16, 0x20),
		nonce: filled(8, 0x50),
		body: filled(5, 1),
		sections: [],
	},
	'commit-with-sections': {
		kind: 'commit',
		position: { epoch: 300, slot: 2 ** 40 },
		owner: filled(16, 0x30),
		nonce: filled(8, 0x60),
		body: filled(200, 7),
		sections: [filled(3, 0xa0), new Uint8Array(0), filled(130, 1)],
	},
}
