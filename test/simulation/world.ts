/**
 * The world of a simulation: virtual time, and one source of chance that decides what happens next.
 *
 * Everything that anyone waits for is a task (it may run now) or a timer (it may run when it is due). A step lets all promises
 * come to rest and then runs one of them. Rest is exact: a callback of `process.nextTick` runs once no microtask is left, and
 * nothing under simulation waits for anything but promises, tasks and timers. So a seed gives one history, whatever the machine
 * does, and a step costs less than a turn of the event loop.
 */
import type { Timer } from '../../src/host/clock.ts'
import { type Random, seededRandom } from '../../src/host/random.ts'

/** What tasks and timers belong to, when it is a process that may be stopped. */
export interface Runner {
	/** Nothing of it runs before this time. */
	readonly pausedUntilMs: number
}

export interface Task {
	readonly runner: Runner | undefined
	run(): void
}

interface WorldTimer extends Task {
	readonly dueMs: number
	readonly order: number
}

/** 2023-11-14T22:13:20Z */
export const START_MS = 1_700_000_000_000
/** A task takes up to so many milliseconds. */
const TASK_MS = 4
/** A timer runs although tasks wait: what waits for the store is slower than what waits for time. */
const TIMER_FIRST = 0.03
/** Requests hang for this long at most while timers run: longer is a fault that is asked for. */
const HANG_MAX_MS = 5000

const SETTLED = Promise.resolve()

/** Decides, instead of chance, which of so many tasks that wait runs next, the oldest first: 0 … count − 1. */
export type Choose = (count: number) => number

export class World {
	readonly random: Random
	/** With it nothing is left to chance: no time passes while there is anything to do. */
	readonly #choose: Choose | undefined
	/** True time in whole milliseconds, which no process sees. */
	nowMs: number = START_MS
	steps = 0
	/** Tasks take no time, and come before timers: what takes long has waited for timers. */
	isPunctual = false
	#stamps = 0
	#timers: WorldTimer[] = []
	#tasks: Task[] = []
	#ordered = 0

	constructor(seed: number, choose?: Choose) {
		this.random = seededRandom(seed)
		this.#choose = choose
	}

	chance(probability: number): boolean {
		return this.#choose === undefined && this.random.next() < probability
	}

	/** 0 … count − 1 */
	pick(count: number): number {
		return this.#choose === undefined ? Math.floor(this.random.next() * count) : 0
	}

	/** Each call is later than the one before: the order in which things were seen to happen. */
	stamp(): number {
		return ++this.#stamps
	}

	task(runner: Runner | undefined, run: () => void): void {
		this.#tasks.push({ runner, run })
	}

	/** The same of what is a task itself: a request is one. */
	enqueue(task: Task): void {
		this.#tasks.push(task)
	}

	/** Resolves when it is somebody's turn. */
	turn(runner?: Runner): Promise<void> {
		return new Promise(resolve => this.task(runner, resolve))
	}

	timer(runner: Runner | undefined, delayMs: number, run: () => void): Timer {
		const timer = { runner, run, dueMs: this.nowMs + Math.max(0, Math.ceil(delayMs)), order: this.#ordered++ }
		this.#timers.push(timer)
		return {
			cancel: () => {
				const at = this.#timers.indexOf(timer)
				if (at >= 0) removeAt(this.#timers, at)
			},
		}
	}

	sleep(delayMs: number): Promise<void> {
		if (delayMs === 0) return this.turn()
		return new Promise(resolve => void this.timer(undefined, delayMs, resolve))
	}

	/** Nothing of `runner` happens any more. */
	drop(runner: Runner): void {
		this.#tasks = this.#tasks.filter(task => task.runner !== runner)
		this.#timers = this.#timers.filter(timer => timer.runner !== runner)
	}

	/** Answers false when it is not over after so many steps, or nothing is left that could happen. */
	runUntil(isOver: () => boolean, stepsMax: number): Promise<boolean> {
		return new Promise((resolve, reject) => {
			let stepsLeft = stepsMax
			const go = (): void => {
				try {
					if (isOver()) resolve(true)
					else if (stepsLeft-- === 0 || !this.#step()) resolve(false)
					else void SETTLED.then(rest)
				} catch (error) {
					reject(error)
				}
			}
			// A callback of `nextTick` runs once no microtask is left, if it was asked for by a microtask.
			const rest = (): void => process.nextTick(go)
			void SETTLED.then(rest)
		})
	}

	#step(): boolean {
		this.steps++
		const isTimersTurn = !this.isPunctual && this.chance(TIMER_FIRST)
		const due = isTimersTurn || this.#tasks.length === 0 ? this.#nextTimer() : undefined
		const mayRun = due !== undefined && (this.#tasks.length === 0 || dueMsOf(due) - this.nowMs <= HANG_MAX_MS)
		if (due !== undefined && mayRun) return this.#fire(due)
		const task = this.#takeTask()
		if (task !== undefined) {
			if (!this.isPunctual) this.nowMs += this.pick(TASK_MS)
			task.run()
			return true
		}
		const next = this.#nextTimer()
		const wakeMs = Math.min(...this.#tasks.map(({ runner }) => runner?.pausedUntilMs ?? this.nowMs))
		if (next !== undefined && dueMsOf(next) <= wakeMs) return this.#fire(next)
		if (this.#tasks.length === 0) return false
		this.nowMs = Math.max(this.nowMs, wakeMs)
		return true
	}

	#fire(timer: WorldTimer): boolean {
		removeAt(this.#timers, this.#timers.indexOf(timer))
		this.nowMs = Math.max(this.nowMs, dueMsOf(timer))
		timer.run()
		return true
	}

	#takeTask(): Task | undefined {
		const tasks = this.#tasks
		if (this.#choose !== undefined) return tasks.splice(this.#choose(tasks.length), 1)[0]
		const begin = this.pick(tasks.length)
		for (let i = 0; i < tasks.length; i++) {
			const at = (begin + i) % tasks.length
			const task = tasks[at] as Task
			if (task.runner !== undefined && task.runner.pausedUntilMs > this.nowMs) continue
			removeAt(tasks, at)
			return task
		}
		return undefined
	}

	#nextTimer(): WorldTimer | undefined {
		let next: WorldTimer | undefined
		for (const timer of this.#timers) {
			if (next === undefined || dueMsOf(timer) < dueMsOf(next)) next = timer
			else if (dueMsOf(timer) === dueMsOf(next) && timer.order < next.order) next = timer
		}
		return next
	}
}

/** A timer of whoever is stopped runs when he goes on. */
function dueMsOf({ dueMs, runner }: WorldTimer): number {
	return runner === undefined ? dueMs : Math.max(dueMs, runner.pausedUntilMs)
}

function removeAt<Item>(items: Item[], at: number): void {
	const last = items.pop()
	if (last !== undefined && at < items.length) items[at] = last
}
