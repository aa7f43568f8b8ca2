/** What the thread of a maintainer runs: it serves one `MaintenanceActor`. Imported by nobody; started by its URL. */
import { serveActor } from '../runtime/actor-thread.ts'
import { MaintenanceActor, type ThreadSetup } from './maintenance-actor.ts'

// What the thread is given is what `startMaintenanceThread` sent.
serveActor((setup, notify) => MaintenanceActor.open(setup as ThreadSetup, notify))
