/**
 * Node's zlib, or `undefined` where the platform has none (a bundle for a runtime without it). Asked for at run time,
 * so that such a platform fails at the codec that it lacks and not while the module loads.
 */
type NodeZlib = typeof import('node:zlib')

function loadZlib(): NodeZlib | undefined {
	if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return undefined
	return process.getBuiltinModule('node:zlib')
}

export const nodeZlib: NodeZlib | undefined = loadZlib()
