/**
 * Packages that only some users need (cloud SDKs): imported when an adapter is opened, never before, because one costs
 * 120 to 280 ms and 20 to 30 MB. When exactly that package is missing, the error says what to install; when something
 * within it is missing or broken, that error passes through.
 */
import { IsleError } from '../errors.ts'

/**
 * What `load` (an `import()` of `packageName`, written out where it is called, so that bundlers see it) answers. Throws
 * `ISLE_UNSUPPORTED` with the install command when that package is not there.
 */
export async function importOptional<Module>(packageName: string, load: () => Promise<Module>): Promise<Module> {
	try {
		return await load()
	} catch (error) {
		if (!isMissing(error, packageName)) throw error
		throw new IsleError(
			'ISLE_UNSUPPORTED',
			`this store needs a package that is not installed, run \`npm install ${packageName}\`: package=\`${packageName}\``,
			{ cause: error, details: { package: packageName } },
		)
	}
}

/** Node.js and the bundlers name what they did not find in quotes: `Cannot find package '@azure/storage-blob' imported…`. */
function isMissing(error: unknown, packageName: string): boolean {
	if (!(error instanceof Error) || !('code' in error)) return false
	if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') return false
	return error.message.includes(`'${packageName}'`)
}
