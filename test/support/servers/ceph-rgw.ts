/**
 * Ceph RADOS Gateway, a real S3 server with atomic conditional writes, on free ports of the loopback interface.
 *
 * Steps: fetch the programs once (`fetch-ceph-rgw.sh`); write a configuration and keys for a cluster of one monitor, one
 * storage daemon that keeps everything in memory, and one gateway; start them; make a user; wait until the port answers.
 *
 * Invariants: everything stands in one temporary folder, which `stop` removes, or else the next run; every process dies
 * with this one, however it ends (`setpriv --pdeathsig`); nothing listens beyond loopback.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sleep, systemClock } from '../../../src/host/clock.ts'
import { systemRandom } from '../../../src/host/random.ts'
import { makeOwnedFolder } from './owned-folder.ts'
import { freePorts, type TestServer } from './test-server.ts'

const PROGRAMS = join(import.meta.dirname, '../../../node_modules/.cache/isledb-servers/ceph-rgw')
const FETCH_MAX_MS = 300_000
const START_MAX_MS = 60_000
const POLL_MS = 20

export interface S3Server extends TestServer {
	readonly endpoint: string
	readonly accessKeyId: string
	readonly secretAccessKey: string
	/** A user who owns nothing there. */
	readonly stranger: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export interface CephRgwOptions {
	/**
	 * Whether it gives temporary credentials (STS). With them it no longer says which of the keys is wrong, and answers
	 * AccessDenied. Default `off`.
	 */
	readonly tokenService?: 'on' | 'off' | undefined
}

export interface CephRgw extends S3Server {
	/** Makes a role that the owner may take for a while, and that may do everything: with a token service. */
	createRole(name: string): Promise<void>
}

/** Fetches the programs where they are not there yet, and starts a cluster of its own. Rejects with why it cannot. */
export async function startCephRgw(options: CephRgwOptions = {}): Promise<CephRgw> {
	await fetchPrograms()
	const cluster = new Cluster(await freePorts(3), options)
	try {
		return await cluster.start()
	} catch (error) {
		const log = cluster.lastWords()
		await cluster.stop()
		throw new Error(`Ceph RGW did not start: ${error instanceof Error ? error.message : String(error)}\n${log}`)
	}
}

async function fetchPrograms(): Promise<void> {
	await promisify(execFile)(join(import.meta.dirname, 'fetch-ceph-rgw.sh'), [PROGRAMS], { timeout: FETCH_MAX_MS })
}

/** How a program of the unpacked folder is started: by the loader and with the libraries that came with it. */
function commandOf(program: string): string[] {
	const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
	const loader = process.arch === 'arm64' ? 'usr/lib/ld-linux-aarch64.so.1' : 'usr/lib64/ld-linux-x86-64.so.2'
	const libraries = join(PROGRAMS, 'usr/lib', triplet)
	return [
		join(PROGRAMS, loader),
		'--library-path',
		`${libraries}:${join(libraries, 'ceph')}`,
		join(PROGRAMS, 'usr/bin', program),
	]
}

class Cluster {
	readonly #folder = makeOwnedFolder('isledb-rgw-')
	readonly #conf = join(this.#folder, 'ceph.conf')
	readonly #daemons: ChildProcess[] = []
	readonly #gatewayPort: number
	readonly #monitors: string
	readonly #hasTokens: boolean

	constructor([gatewayPort = 0, monitorPort = 0, oldMonitorPort = 0]: readonly number[], options: CephRgwOptions) {
		this.#hasTokens = options.tokenService === 'on'
		this.#gatewayPort = gatewayPort
		this.#monitors = `[v2:127.0.0.1:${monitorPort},v1:127.0.0.1:${oldMonitorPort}]`
		for (const name of ['mon', 'osd', 'log', 'run']) mkdirSync(join(this.#folder, name))
	}

	async start(): Promise<CephRgw> {
		const clusterId = freshUuid()
		const [accessKeyId, secretAccessKey] = ['testaccess', 'testsecret']
		const keyring = join(this.#folder, 'keyring')
		writeFileSync(this.#conf, this.#configuration(clusterId))
		writeFileSync(keyring, keyringOf((await this.#run('ceph-authtool', '--gen-print-key')).trim()), { mode: 0o600 })

		const [monitorMap, storageMap] = [join(this.#folder, 'monmap'), join(this.#folder, 'osdmap')]
		await this.#run(
			'monmaptool',
			'--create',
			'--clobber',
			'--fsid',
			clusterId,
			'--addv',
			'a',
			this.#monitors,
			monitorMap,
		)
		await this.#run('osdmaptool', '-c', this.#conf, '--createsimple', '1', '--clobber', storageMap)
		const maps = ['--monmap', monitorMap, '--osdmap', storageMap, '--keyring', keyring]
		await this.#run('ceph-mon', '-c', this.#conf, '-i', 'a', '--mkfs', ...maps)
		this.#startDaemon('ceph-mon', '-i', 'a')
		await this.#run('ceph-osd', '-c', this.#conf, '-i', '0', '--mkfs', '--osd-uuid', freshUuid())
		this.#startDaemon('ceph-osd', '-i', '0')
		const stranger = { accessKeyId: 'strangeraccess', secretAccessKey: 'strangersecret' }
		await this.#createUser('test', accessKeyId, secretAccessKey)
		await this.#createUser('stranger', stranger.accessKeyId, stranger.secretAccessKey)
		await this.#listening(this.#startDaemon('radosgw', '-n', 'client.rgw'))

		const version = /ceph version (\S+)/.exec(await this.#run('radosgw', '--version'))?.[1] ?? 'of unknown version'
		const endpoint = `http://127.0.0.1:${this.#gatewayPort}`
		return {
			name: `Ceph RGW ${version}`,
			endpoint,
			accessKeyId,
			secretAccessKey,
			stranger,
			createRole: name => this.#createRole(name),
			stop: () => this.stop(),
		}
	}

	/** At once: nothing that it holds outlives it. */
	async stop(): Promise<void> {
		for (const daemon of this.#daemons.splice(0).reverse()) {
			if (daemon.exitCode !== null || daemon.signalCode !== null) continue
			const exited = new Promise(resolve => daemon.once('exit', resolve))
			daemon.kill('SIGKILL')
			await exited
		}
		rmSync(this.#folder, { recursive: true, force: true })
	}

	/** The end of each log, for the message of a failure. */
	lastWords(): string {
		const folder = join(this.#folder, 'log')
		const logs = readdirSync(folder).map(name => `${name}: ${readFileSync(join(folder, name), 'utf8').slice(-500)}`)
		return logs.join('\n')
	}

	async #run(program: string, ...args: string[]): Promise<string> {
		const [command = '', ...rest] = commandOf(program)
		const { stdout } = await promisify(execFile)(command, [...rest, ...args], { timeout: START_MAX_MS })
		return stdout
	}

	async #createUser(name: string, accessKeyId: string, secretAccessKey: string): Promise<void> {
		const keys = ['--access-key', accessKeyId, '--secret-key', secretAccessKey]
		await this.#run('radosgw-admin', '-c', this.#conf, 'user', 'create', '--uid', name, '--display-name', name, ...keys)
	}

	async #createRole(name: string): Promise<void> {
		const trust = { Effect: 'Allow', Principal: { AWS: ['arn:aws:iam:::user/test'] }, Action: ['sts:AssumeRole'] }
		const allowed = { Effect: 'Allow', Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] }
		const documentOf = (statement: object): string => JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
		const role = ['--role-name', name]
		const run = (...args: string[]): Promise<string> =>
			this.#run('radosgw-admin', '-c', this.#conf, 'role', ...args, ...role)
		await run('create', '--assume-role-policy-doc', documentOf(trust))
		await run('policy', 'put', '--policy-name', 'all', '--policy-doc', documentOf(allowed))
	}

	#startDaemon(program: string, ...args: string[]): ChildProcess {
		const log = openSync(join(this.#folder, 'log', `${program}.out`), 'w')
		const command = [...commandOf(program), '-c', this.#conf, ...args, '-f']
		const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['ignore', log, log] })
		this.#daemons.push(daemon)
		return daemon
	}

	async #listening(gateway: ChildProcess): Promise<void> {
		const endMs = systemClock.monotonicMs() + START_MAX_MS
		while (!(await isListening(this.#gatewayPort))) {
			if (gateway.exitCode !== null) throw new Error(`radosgw ended with ${gateway.exitCode}`)
			if (systemClock.monotonicMs() > endMs) throw new Error(`radosgw does not listen after ${START_MAX_MS} ms`)
			await sleep(systemClock, POLL_MS)
		}
	}

	/** One copy of everything, in memory; few placement groups and short intervals, so that it starts in a second. */
	#configuration(clusterId: string): string {
		const libraries = commandOf('radosgw')[2]?.split(':')[0] ?? ''
		return `[global]
fsid = ${clusterId}
mon host = ${this.#monitors}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = ${this.#folder}/keyring
run dir = ${this.#folder}/run
crash dir = ${this.#folder}/run
admin socket =
log file = ${this.#folder}/log/$name.log
log to stderr = false
plugin dir = ${libraries}/ceph
erasure code dir = ${libraries}/ceph/erasure-code
osd class dir = ${libraries}/rados-classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000

[mon]
mon data = ${this.#folder}/mon
mon cluster log file = ${this.#folder}/log/cluster.log
mon data avail crit = 1
paxos propose interval = 0.02
paxos min wait = 0.01

[osd]
osd data = ${this.#folder}/osd
osd objectstore = memstore
memstore device bytes = ${4 * 1024 ** 3}
osd op num shards = 2

[client]
objecter tick interval = 0.3
rgw frontends = beast endpoint=127.0.0.1:${this.#gatewayPort} tcp_nodelay=1
rgw enable apis = s3${this.#hasTokens ? ', sts' : ''}
rgw s3 auth use sts = ${this.#hasTokens}
rgw sts key = 0123456789abcdef
rgw sts min session duration = 1
rgw thread pool size = 128
rgw run sync thread = false
rgw enable lc threads = false
rgw enable quota threads = false
`
	}
}

function freshUuid(): string {
	const digits = Buffer.from(systemRandom.bytes(16)).toString('hex')
	return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** One key for all of them. */
function keyringOf(key: string): string {
	const client = (name: string): string =>
		`[${name}]\n\tkey = ${key}\n\tcaps mon = "allow *"\n\tcaps osd = "allow *"\n\tcaps mgr = "allow *"\n`
	return `[mon.]\n\tkey = ${key}\n\tcaps mon = "allow *"\n${['client.admin', 'client.rgw', 'osd.0'].map(client).join('')}`
}

function isListening(port: number): Promise<boolean> {
	return new Promise(resolve => {
		const socket = connect(port, '127.0.0.1')
		const answer = (value: boolean): void => {
			socket.destroy()
			resolve(value)
		}
		socket.once('connect', () => answer(true)).once('error', () => answer(false))
	})
}

// `node test/support/servers/ceph-rgw.ts` fetches the programs beforehand.
if (process.argv[1] === import.meta.filename) {
	await fetchPrograms()
	console.log(PROGRAMS)
}
