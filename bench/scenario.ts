/**
 * What a scenario is: a list of cases, each of one engine, how to measure one in a process of its own, and how to show
 * what came out. One file in `scenarios/` makes one.
 */
import type { BenchArguments } from './arguments.ts'
import type { EmbeddedEngine, Engine } from './engine.ts'

/** One line of a table. */
export interface Case {
	readonly engine: string
	/** Of all cases of a scenario, the only one with this engine and label. */
	readonly label: string
	/** What it does, the same for all engines: those of one group are compared. Default: the label. */
	readonly group?: string | undefined
	/** The line that it is a point of, in charts of lines. Default: the engine. */
	readonly series?: string | undefined
	/** The table that it is in. */
	readonly table: string
	/** What `measure` needs to know: plain data. */
	readonly settings: Readonly<Record<string, string | number | boolean>>
}

export interface Task {
	readonly engine: EmbeddedEngine
	readonly settings: Case['settings']
	readonly plan: Plan
	/** Empty; removed afterwards. */
	readonly directory: string
	/** Call it now and then with the part that is done, 0 to 1. */
	readonly progress: (done: number) => void
}

/** The arguments with the scenario's defaults. */
export interface Plan extends BenchArguments {
	readonly records: number
	readonly repeat: number
	readonly valueBytes: number
}

/** Figures by name. */
export type Figures = Readonly<Record<string, number>>

export interface Column {
	readonly title: string
	/** The figure that it shows. */
	readonly figure: string
	readonly digits: number
	/** What the figure is divided by. Default 1. */
	readonly unit?: number | undefined
	/** Which of two figures is the better one: such columns are compared between engines, and drawn. */
	readonly better?: 'more' | 'less' | undefined
}

/** A figure of each case against another one of it, both from the same table. */
export interface LineChart {
	readonly title: string
	readonly table: string
	readonly x: Omit<Column, 'digits'>
	readonly y: Omit<Column, 'digits'>
}

export interface Target {
	readonly name: string
	/** As it is written: "≥ 1.0". */
	readonly isAtLeast: boolean
	readonly required: number
	/** Undefined when its cases did not run. */
	readonly actual: number | undefined
	readonly digits: number
}

export interface Scenario {
	readonly name: string
	readonly summary: string
	readonly records: number
	readonly repeat: number
	/** Default 100. */
	readonly valueBytes?: number | undefined
	readonly engines: readonly string[]
	cases(plan: Plan, engines: readonly Engine[]): Case[]
	measure(task: Task): Promise<Figures>
	/** By title of the table. */
	readonly columns: Readonly<Record<string, readonly Column[]>>
	/** Of a table in which each case has several lines: what they are called. Their figures are `<part>/<figure>`. */
	readonly parts?: Readonly<Record<string, readonly string[]>> | undefined
	/** What is drawn as lines; tables with better and worse columns are drawn as bars without being asked. */
	readonly lines?: readonly LineChart[] | undefined
	/** `of` gives the medians of a case, or undefined when it did not run. */
	targets(of: (engine: string, label: string) => Figures | undefined, plan: Plan): Target[]
	/** What one must know to read the figures. */
	readonly notes: readonly string[]
}
