/**
 * What the thread of a maintainer runs: it serves one `MaintenanceActor`. Imported by nobody; started by its URL.
 *
 * It and the pool beneath it give way to the threads of the application. They cannot fall behind for ever: writers who make
 * more than is merged are slowed down, and so leave it the processor.
 */
import { giveWay } from '../host/thread-priority.ts'
import { serveActor } from '../runtime/actor-thread.ts'
import { MaintenanceActor, type ThreadSetup } from './maintenance-actor.ts'

giveWay()
// What the thread is given is what `startMaintenanceThread` sent.
serveActor((setup, notify) => MaintenanceActor.open(setup as ThreadSetup, notify))
