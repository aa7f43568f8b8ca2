/**
 * The thread behind `Heartbeat`: posts the time to the thread that is watched, again and again, whether or not it is
 * answered. A blocked loop therefore finds one late beat for each interval that it slept through. In the end it tells what
 * processor time the beats took, in microseconds.
 */
import { parentPort, workerData } from 'node:worker_threads'

const { intervalMs, stop } = workerData as { readonly intervalMs: number; readonly stop: Int32Array }

const cpu = process.threadCpuUsage()
while (Atomics.load(stop, 0) === 0) {
	parentPort?.postMessage(process.hrtime.bigint())
	Atomics.wait(stop, 0, 0, intervalMs)
}
const { user, system } = process.threadCpuUsage(cpu)
parentPort?.postMessage(user + system)
