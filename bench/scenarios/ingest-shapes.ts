/** Ingest by batches, by the shape of keys and of values: each shape of one beside the usual one of the other. */
import type { Engine } from '../engine.ts'
import { measureIngestion } from '../ingestion.ts'
import type { Case, Figures, Plan, Scenario, Task } from '../scenario.ts'
import { KEY_SHAPES, type KeyShape, shapedRecords, VALUE_SHAPES, type ValueShape } from '../shaped-records.ts'
import { USAGE_COLUMNS } from '../usage.ts'

const TABLE = 'ingest by batches, by shape of keys and values'

const SHAPES: readonly { readonly keys: KeyShape; readonly values: ValueShape }[] = [
	...KEY_SHAPES.map(keys => ({ keys, values: VALUE_SHAPES[0] })),
	...VALUE_SHAPES.slice(1).map(values => ({ keys: KEY_SHAPES[0], values })),
]

function cases(plan: Plan, engines: readonly Engine[]): Case[] {
	return engines.flatMap(engine =>
		plan.codecs.flatMap(codec =>
			SHAPES.map(({ keys, values }) => ({
				engine: engine.name,
				label: `${engine.codecName(codec)}, ${keys}, ${values}`,
				group: `${codec === 'none' ? 'uncompressed' : 'compressed'}, ${keys}, ${values}`,
				table: TABLE,
				settings: { codec, keys, values },
			})),
		),
	)
}

async function measure(task: Task): Promise<Figures> {
	const { engine, plan, settings, directory } = task
	const codec = settings['codec'] === 'none' ? 'none' : 'lz4'
	const keys = KEY_SHAPES.find(shape => shape === settings['keys']) ?? KEY_SHAPES[0]
	const values = VALUE_SHAPES.find(shape => shape === settings['values']) ?? VALUE_SHAPES[0]
	const form = keys === 'strings' ? 'text' : 'bytes'
	const session = await engine.open({ directory, store: plan.store, codec, form })
	return measureIngestion(session, shapedRecords(keys, values, plan.seed, plan.batch), 'batch', task)
}

export const scenario: Scenario = {
	name: 'ingest-shapes',
	summary: 'keys in random order, in order, as paths and as strings; values of 100 bytes, 1 KB and mixed sizes',
	records: 1_000_000,
	repeat: 1,
	engines: ['isledb', 'slatedb', 'classic-level', 'lmdb'],
	cases,
	measure,
	columns: {
		[TABLE]: [
			{ title: 'k puts/s', figure: 'putsPerSecond', digits: 0, unit: 1000, better: 'more' },
			{ title: 'M records', figure: 'records', digits: 2, unit: 1e6 },
			...USAGE_COLUMNS,
		],
	},
	targets: () => [],
	notes: [
		'Through to the committed state, as in ingest. Strings: keys and values are given as text. Paths: about 60 characters with long',
		'prefixes in common, in random order. Mixed: 20 to 4,500 bytes, 640 at the mean.',
	],
}
